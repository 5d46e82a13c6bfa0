"""Slack: posts a message to a channel when something happens.

**What you need.** Either an incoming webhook (api.slack.com/apps → your app → Incoming Webhooks), which posts to the
one channel it was made for, or the bot token of an app with the scope `chat:write`, which posts to every channel that
the bot was invited to.

**What is sent.** One message for each event that a mapping's trigger meets. The text is Slack's own markup (mrkdwn), so
a value with `<!channel>` in it pings; the Liquid filter `escape` in a mapping takes that power from it. Blocks may be
given instead of text alone.

**Limits.** Slack takes about one message a second for each channel; more wait here. Messages end at 40,000 characters.
Slack offers nothing by which a repeated message is recognised, so a message that may have arrived already is not sent
again: it becomes a failed delivery that you can look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors import answers, auth
from connectors.base import (
    Action,
    BuildContext,
    Connector,
    Field,
    Payload,
    Preset,
    RateLimit,
    Settings,
    When,
)
from connectors.batching import refuse
from connectors.fields import API_URL
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Scope, Verdict, interpret

BASE_URLS = {"webhook": "https://hooks.slack.com", "api": "https://slack.com"}
SCHEMES = (auth.none(), auth.bearer("bot_token"))
LONGEST_MESSAGE = 40_000


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages are posted, and as whom."""

    url: str
    test_url: str
    headers: Headers
    is_bot: bool
    channel: str


def prepare(settings: Settings) -> Channel:
    """Work out the address once: the webhook's own, or the Web API's."""
    own = str(settings.get("api_url") or "").rstrip("/")
    if settings.get("auth") == "bearer":
        base = own or BASE_URLS["api"]
        headers = auth.headers(auth.choose(SCHEMES, settings), settings)
        channel = str(settings.get("channel") or "")
        return Channel(f"{base}/api/chat.postMessage", f"{base}/api/auth.test", headers, True, channel)
    parts = urlsplit(str(settings["webhook_url"]))
    url = (own or f"https://{parts.netloc}") + parts.path
    return Channel(url, url, (), False, "")


def build(payloads: Sequence[Payload], place: Channel, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one message for each payload."""
    return [_message(payload, index, place) for index, payload in enumerate(payloads)]


def _message(payload: Payload, index: int, place: Channel) -> RequestSpec | ItemOutcome:
    body = {key: payload[key] for key in ("text", "username", "icon_url", "icon_emoji", "blocks") if key in payload}
    if place.is_bot:
        body["channel"] = payload.get("channel") or place.channel
        if not body["channel"]:
            return refuse(index, "channel_missing", "Neither the mapping nor the destination names a channel.")
    if not body.get("text") and not body.get("blocks"):
        return refuse(index, "no_text", "The message has neither text nor blocks.")
    return RequestSpec(
        "POST", place.url, place.headers, body, "json", (index,), endpoint_label="message", is_idempotent=False
    )


def build_test(place: Channel, context: BuildContext) -> RequestSpec:
    """Ask who the bot is; of a webhook, that it refuses a message without text, which posts nothing."""
    if place.is_bot:
        return RequestSpec("POST", place.test_url, place.headers, {}, "json", endpoint_label="test")
    return RequestSpec("POST", place.test_url, (), {"text": ""}, "json", endpoint_label="test")


GONE = answers.verdict(Outcome.DISABLED, "no_service", "Slack has removed this webhook; make a new one.")
PROHIBITED = answers.verdict(Outcome.DISABLED, "action_prohibited", "The workspace's administrators forbid this.")
REFUSED = answers.verdict(Outcome.REJECTED, "message_refused", "Slack does not take this message.")
TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "invalid_auth", "Slack refuses the token; install the app again.")
SCOPE = answers.verdict(Outcome.DISABLED, "missing_scope", "The app lacks a permission; add it and install it again.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Slack asks to wait.")
TROUBLE = answers.verdict(Outcome.RETRY, "server_error", "Slack has trouble of its own.", Scope.EVENT)

WEBHOOK_WORDS: Mapping[str, Verdict] = {
    "no_service": GONE,
    "no_team": GONE,
    "team_disabled": GONE,
    "action_prohibited": PROHIBITED,
    "posting_to_general_channel_denied": PROHIBITED,
    "invalid_token": GONE,
    **dict.fromkeys(
        (
            "invalid_payload",
            "no_text",
            "channel_not_found",
            "channel_is_archived",
            "user_not_found",
            "too_many_attachments",
        ),
        REFUSED,
    ),
}
API_WORDS: Mapping[str, Verdict] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission"), TOKEN
    ),
    **dict.fromkeys(("missing_scope", "not_allowed_token_type", "access_denied"), SCOPE),
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), LIMITED),
    **dict.fromkeys(
        ("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"), TROUBLE
    ),
    "org_login_required": TROUBLE,
}


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Webhooks answer with a word and a status, the Web API with 200 and `ok`."""
    word = response.body[: answers.LONGEST_WORDS].decode("utf-8", "replace").strip()
    if request.endpoint_label == "test" and response.status == 400 and word in ("no_text", "invalid_payload"):
        return answers.delivered(request, response)
    if response.status in (400, 403, 404, 410) and word in WEBHOOK_WORDS:
        return answers.for_all(request, response, WEBHOOK_WORDS[word], word)
    if response.status == 403 and request.endpoint_label == "message" and not request.headers:  # of a webhook
        return answers.for_all(request, response, PROHIBITED, word)
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and answers.member(answer, "ok") is False:
        error = answers.words(answers.member(answer, "error"))
        return answers.for_all(request, response, API_WORDS.get(error, REFUSED), error)
    if 200 <= response.status < 300 and answers.member(answer, "ok") is True:
        return answers.delivered(request, response, answers.words(answers.member(answer, "ts")) or None)
    return interpret(request, response)


WEBHOOK, BOT = When("auth", ("none",)), When("auth", ("bearer",))
SETTINGS = (
    Field(
        "auth",
        "How to post",
        default="none",
        choices=(("none", "Incoming webhook"), ("bearer", "Bot token")),
        description="An incoming webhook posts to one channel; a bot token posts to every channel the bot is in.",
    ),
    Field(
        "webhook_url",
        "Webhook URL",
        "password",
        "Begins with https://hooks.slack.com/services/. Whoever has it can post.",
        required=WEBHOOK,
        secret=True,
        pattern=r"https://hooks\.slack\.com/(services|workflows|triggers)/[A-Za-z0-9/_-]{10,300}",
    ),
    Field(
        "bot_token",
        "Bot token",
        "password",
        "Begins with xoxb-; found under OAuth & Permissions of your app.",
        required=BOT,
        secret=True,
        pattern=r"[\x21-\x7e]{8,400}",
    ),
    Field("channel", "Channel", description="Where the bot posts unless a mapping says otherwise, such as #orders."),
    API_URL,
)

POST = Action(
    key="post_message",
    title="Post a message",
    description="Post a message to a channel.",
    default_trigger='type = "track"',
    fields=(
        Field(
            "text",
            "Text",
            "text",
            "Slack's markup; with blocks it is what notifications show.",
            maximum=LONGEST_MESSAGE,
            default={"@template": "{{event}} by {{userId}}"},
        ),
        Field("channel", "Channel", description="Of a bot alone; an incoming webhook has one channel."),
        Field("username", "Sender's name", description="Shown as the sender, where the app may choose it.", maximum=80),
        Field("icon_url", "Picture", format="uri"),
        Field("icon_emoji", "Emoji", placeholder=":tada:", pattern=r":[^:\s]{1,100}:"),
        Field("blocks", "Blocks", "object", "Slack's Block Kit, at most 50 blocks.", multiple=True),
    ),
    build=build,
    idempotent=False,
)

connector = Connector(
    slug="slack",
    name="Slack",
    version="1.0.0",
    category="messaging",
    status="stable",
    description="Posts a message to a Slack channel when something happens.",
    docs_url="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
    settings=SETTINGS,
    actions=(POST,),
    presets=(
        Preset(
            "Tell of each order",
            "post_message",
            'type = "track" and event = "Order Completed"',
            {"text": {"@template": "Order {{properties.order_id}} by {{userId}}, {{properties.total}} in all"}},
        ),
        Preset(
            "Tell of each sign-up",
            "post_message",
            'type = "track" and event = "Signed Up"',
            {"text": {"@template": "{{userId}} has signed up."}},
        ),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=SCHEMES,
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("destination", "requests", 1),),
)
