"""Discord: posts a message to a channel when something happens.

**What you need.** A webhook of the channel: its settings → Integrations → Webhooks → Copy Webhook URL. Whoever has
the URL can post, so it is kept like a password.

**What is sent.** One message for each event that a mapping's trigger meets: text of up to 2,000 characters, or up to
ten embeds with 6,000 characters in all. Nobody is pinged by what stands in an event: mentions are off unless the
mapping names the kinds that are allowed.

**Limits.** Discord takes five messages in two seconds for each webhook; more wait here. It knows nothing by which a
repeated message is recognised, so a message that may have arrived already is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from connectors import answers
from connectors.base import Action, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import refuse
from connectors.fields import API_URL
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {"api": "https://discord.com", "legacy": "https://discordapp.com"}
LONGEST_TEXT, MOST_EMBEDS, LONGEST_EMBEDS = 2_000, 10, 6_000
UNKNOWN_WEBHOOK = 10015
LONGEST_WAIT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Channel:
    """The webhook of one channel."""

    url: str


def prepare(settings: Settings) -> Channel:
    """Work out the address once."""
    parts = urlsplit(str(settings["webhook_url"]))
    return Channel((str(settings.get("api_url") or "").rstrip("/") or f"https://{parts.netloc}") + parts.path)


def build(payloads: Sequence[Payload], channel: Channel, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one message for each payload."""
    return [_message(payload, index, channel) for index, payload in enumerate(payloads)]


def _message(payload: Payload, index: int, channel: Channel) -> RequestSpec | ItemOutcome:
    embeds = payload.get("embeds") or ()
    if not payload.get("content") and not embeds:
        return refuse(index, "no_content", "The message has neither text nor embeds.")
    if isinstance(embeds, list) and (len(embeds) > MOST_EMBEDS or _length(embeds) > LONGEST_EMBEDS):
        return refuse(index, "embeds_too_large", "A message has at most ten embeds of 6,000 characters in all.")
    body = {key: payload[key] for key in ("content", "username", "avatar_url", "embeds") if key in payload}
    body["allowed_mentions"] = {"parse": payload.get("mentions") or []}
    url = f"{channel.url}?wait=true"
    return RequestSpec("POST", url, (), body, "json", (index,), endpoint_label="message", is_idempotent=False)


def _length(value: object) -> int:
    """Count the characters of an embed's texts as Discord does."""
    if isinstance(value, str):
        return len(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_length, inner))


def build_test(channel: Channel, context: BuildContext) -> RequestSpec:
    """Read the webhook, which posts nothing."""
    return RequestSpec("GET", channel.url, endpoint_label="test")


GONE = answers.verdict(Outcome.DISABLED, "unknown_webhook", "Discord has removed this webhook; make a new one.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A 404 about the webhook itself is no event's fault; the other codes are added to the common table's words."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300:
        return answers.delivered(request, response, answers.words(answers.member(answer, "id")) or None)
    said = answers.words(answers.member(answer, "message"))
    if response.status == 429:
        return _limited(interpret(request, response), answers.member(answer, "retry_after"))
    if response.status == 404 and answers.member(answer, "code") in (UNKNOWN_WEBHOOK, None):
        return answers.for_all(request, response, GONE, said)
    if response.status in (400, 401, 403):
        return answers.with_words(request, response, said)
    return interpret(request, response)


def _limited(outcomes: list[ItemOutcome], wait: object) -> list[ItemOutcome]:
    """The body says to a fraction of a second what the header rounds up."""
    is_wait = isinstance(wait, int | float) and not isinstance(wait, bool) and 0 < wait <= LONGEST_WAIT_S
    return [replace(one, retry_after_s=float(wait)) for one in outcomes] if is_wait else outcomes  # type: ignore[arg-type]


SETTINGS = (
    Field(
        "webhook_url",
        "Webhook URL",
        "password",
        "Begins with https://discord.com/api/webhooks/. Whoever has it can post.",
        required=True,
        secret=True,
        pattern=r"https://(discord|discordapp)\.com/api(/v[0-9]+)?/webhooks/[0-9]{5,25}/[A-Za-z0-9_-]{8,120}",
    ),
    API_URL,
)

POST = Action(
    key="post_message",
    title="Post a message",
    description="Post a message to the channel.",
    default_trigger='type = "track"',
    fields=(
        Field(
            "content",
            "Text",
            "text",
            "Discord's Markdown.",
            maximum=LONGEST_TEXT,
            default={"@template": "{{event}} by {{userId}}"},
        ),
        Field("username", "Sender's name", description="Shown as the sender of this message.", maximum=80),
        Field("avatar_url", "Picture", description="Shown beside this message.", format="uri"),
        Field("embeds", "Embeds", "object", "Up to ten objects with title, description, fields …", multiple=True),
        Field(
            "mentions",
            "Who may be pinged",
            description="Nobody unless it is said here.",
            multiple=True,
            choices=(("users", "People"), ("roles", "Roles"), ("everyone", "Everyone")),
        ),
    ),
    build=build,
    idempotent=False,
)

connector = Connector(
    slug="discord",
    name="Discord",
    version="1.0.0",
    category="messaging",
    status="stable",
    description="Posts a message to a Discord channel when something happens.",
    docs_url="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    settings=SETTINGS,
    actions=(POST,),
    presets=(
        Preset(
            "Tell of each order",
            "post_message",
            'type = "track" and event = "Order Completed"',
            {"content": {"@template": "Order {{properties.order_id}}: {{properties.total}} {{properties.currency}}"}},
        ),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("destination", "requests", 5, 2.0),),
)
