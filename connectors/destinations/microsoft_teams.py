"""Microsoft Teams: posts a card to a channel or chat when something happens.

**What you need.** A workflow with the trigger "When a Teams webhook request is received": the menu of the channel in
Teams → Workflows → "Send webhook alerts to a channel" → copy the URL. The URL carries its own signature and is kept
like a password. Connectors of Office 365 (`webhook.office.com`) still work where your organisation has them.

**What is sent.** An adaptive card with a title, a text in Markdown and, if you map them, facts (name and value) and one
button. A whole card of your own design can be mapped instead.

**Limits.** Teams takes four messages a second, and 28 KB for each. It knows nothing by which a repeated message is
recognised, so a message that may have arrived already is not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors import answers
from connectors.base import Action, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import byte_count, refuse
from connectors.fields import API_URL
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {
    "power_automate": "https://*.*.logic.azure.com",
    "power_platform": "https://*.*.environment.api.powerplatform.com",
    "connector": "https://*.webhook.office.com",
}
SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
LARGEST_MESSAGE = 28_000


@dataclass(frozen=True, slots=True)
class Workflow:
    """The address of one workflow."""

    url: str


def prepare(settings: Settings) -> Workflow:
    """Work out the address once; what signs it stands in its query."""
    parts = urlsplit(str(settings["webhook_url"]))
    base = str(settings.get("api_url") or "").rstrip("/") or f"https://{parts.netloc}"
    return Workflow(f"{base}{parts.path}?{parts.query}" if parts.query else base + parts.path)


def build(payloads: Sequence[Payload], workflow: Workflow, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one message for each payload."""
    return [_message(payload, index, workflow) for index, payload in enumerate(payloads)]


def _message(payload: Payload, index: int, workflow: Workflow) -> RequestSpec | ItemOutcome:
    card = payload.get("card") or _card(payload)
    if not card:
        return refuse(index, "no_text", "The message has neither text nor a card.")
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    body = {"type": "message", "attachments": [attachment]}
    if byte_count(body) > LARGEST_MESSAGE:
        return refuse(index, "payload_too_large", "A message to Teams has at most 28 KB.")
    return RequestSpec("POST", workflow.url, (), body, "json", (index,), endpoint_label="message", is_idempotent=False)


def _card(payload: Payload) -> Mapping[str, object]:
    """Lay out title, text, facts and a button."""
    parts: list[dict[str, object]] = []
    if payload.get("title"):
        parts.append(
            {"type": "TextBlock", "text": payload["title"], "size": "Medium", "weight": "Bolder", "wrap": True}
        )
    if payload.get("text"):
        parts.append({"type": "TextBlock", "text": payload["text"], "wrap": True})
    facts = payload.get("facts")
    if isinstance(facts, Mapping) and facts:
        shown = [{"title": str(name), "value": str(value)} for name, value in facts.items() if value is not None]
        parts.append({"type": "FactSet", "facts": shown})
    if not parts:
        return {}
    card: dict[str, object] = {"$schema": SCHEMA, "type": "AdaptiveCard", "version": "1.2", "body": parts}
    if payload.get("link"):
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": payload.get("link_title") or "Open", "url": payload["link"]}
        ]
    return card


LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Teams asks to wait.")
GONE = answers.verdict(
    Outcome.DISABLED, "unknown_workflow", "This workflow is switched off or deleted; make a new one."
)
FAILED = answers.verdict(Outcome.REJECTED, "message_refused", "Teams does not take this message.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Old connectors answer 200 with the true status in the text; workflows answer 202, and 404 once they are gone."""
    if response.status == 200 and response.error is None:
        text = response.body[:1_000].decode("utf-8", "replace")
        if "429" in text and "endpoint" in text.lower():
            return answers.for_all(request, response, LIMITED)
        if text.strip() not in ("", "1") and "error" in text.lower():
            return answers.for_all(request, response, FAILED, text)
        return answers.delivered(request, response)
    if response.status == 404:
        return answers.for_all(request, response, GONE)
    if response.status == 400:
        code = answers.words(answers.member(answers.parsed(response), "error", "code"))
        is_off = code in ("WorkflowTriggerIsNotEnabled", "TriggerDisabled")
        return answers.for_all(request, response, GONE if is_off else FAILED, code)
    return interpret(request, response)


SETTINGS = (
    Field(
        "webhook_url",
        "Workflow URL",
        "password",
        "Copied from the workflow in Teams. Whoever has it can post.",
        required=True,
        secret=True,
        pattern=r"https://[A-Za-z0-9.-]+\.(logic\.azure\.com|api\.powerplatform\.com|webhook\.office\.com)(:443)?/[!-~]{10,900}",
    ),
    API_URL,
)

POST = Action(
    key="post_message",
    title="Post a message",
    description="Post a card to the channel or chat.",
    default_trigger='type = "track"',
    fields=(
        Field("title", "Title", default={"@path": "$.event"}, maximum=500),
        Field("text", "Text", "text", "Markdown.", default={"@template": "By {{userId}}"}),
        Field("facts", "Facts", "object", "Names and values, shown as a table."),
        Field("link", "Link", description="Where the button leads.", format="uri"),
        Field("link_title", "Link's title", maximum=100),
        Field("card", "Adaptive card", "object", "A card of your own, instead of all of the above."),
    ),
    build=build,
    idempotent=False,
)

connector = Connector(
    slug="microsoft_teams",
    name="Microsoft Teams",
    version="1.0.0",
    category="messaging",
    status="stable",
    description="Posts a card to a Microsoft Teams channel when something happens.",
    docs_url="https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using",
    settings=SETTINGS,
    actions=(POST,),
    presets=(
        Preset(
            "Tell of each order",
            "post_message",
            'type = "track" and event = "Order Completed"',
            {
                "title": {"@template": "Order {{properties.order_id}}"},
                "text": {"@template": "By {{userId}}"},
                "facts": {"Total": {"@template": "{{properties.total}} {{properties.currency}}"}},
            },
        ),
    ),
    prepare=prepare,
    test=None,  # a workflow can only be tried by posting
    interpret=interpret_answer,
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("destination", "requests", 4),),
)
