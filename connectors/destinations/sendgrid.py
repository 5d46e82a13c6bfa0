"""Twilio SendGrid: sends an e-mail to a person.

**What you need.** An API key with the permission "Mail Send" (Settings → API Keys), and a sender that SendGrid has
verified. Accounts in the European Union choose the region EU.

**What is sent.** One mail for each event that a mapping's trigger meets: subject and text written in the mapping, or a
dynamic template (its id begins with d-) that is filled with data. Categories, unsubscribe group, IP pool, time of
sending (up to 72 hours ahead), attachments and tracking can be mapped too.

**What comes back.** SendGrid answers "accepted"; opens, clicks, bounces and complaints it sends to its event webhook.
Make a source "SendGrid events" in this hub, and they become events of the person.

**Limits.** A mail has at most 1,000 recipients and 30 MB. SendGrid knows nothing by which a repeated request is
recognised, so a mail that may have been accepted already is not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from connectors import answers, auth, fields
from connectors.base import Action, BuildContext, Choices, Connector, Field, Payload, Preset, Settings
from connectors.batching import refuse
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import moment_of, seconds_of

BASE_URLS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
SCHEME = auth.bearer("api_key")
MOST_RECIPIENTS, MOST_CATEGORIES, MOST_GROUPS = 1_000, 10, 25
LATEST = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Mailer:
    """The account, and as whom it sends."""

    url: str
    headers: Headers
    sender: Mapping[str, str]
    is_sandbox: bool


def prepare(settings: Settings) -> Mailer:
    """Work out address and credentials once."""
    sender = {"email": str(settings.get("from_email") or ""), "name": str(settings.get("from_name") or "")}
    return Mailer(
        url=fields.api_url(BASE_URLS, settings),
        headers=auth.headers(SCHEME, settings),
        sender={key: value for key, value in sender.items() if value},
        is_sandbox=settings.get("sandbox") is True,
    )


def build(payloads: Sequence[Payload], mailer: Mailer, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one mail for each payload."""
    return [_mail(payload, index, mailer, context) for index, payload in enumerate(payloads)]


def _mail(payload: Payload, index: int, mailer: Mailer, context: BuildContext) -> RequestSpec | ItemOutcome:
    sender = payload.get("from") or mailer.sender
    problem = _problem(payload, sender, context)
    if problem is not None:
        return refuse(index, *problem)
    body: dict[str, object] = {"personalizations": [_personalization(payload)], "from": sender}
    body |= {
        key: payload[key] for key in ("reply_to", "subject", "template_id", "categories", "headers") if payload.get(key)
    }
    content = [
        {"type": kind, "value": payload[key]}
        for key, kind in (("text", "text/plain"), ("html", "text/html"))
        if payload.get(key)
    ]
    if content:
        body["content"] = content
    if payload.get("unsubscribe_group"):
        shown = payload.get("unsubscribe_groups_shown")
        body["asm"] = {"group_id": payload["unsubscribe_group"]} | ({"groups_to_display": shown} if shown else {})
    if payload.get("ip_pool"):
        body["ip_pool_name"] = payload["ip_pool"]
    if payload.get("send_at"):
        body["send_at"] = seconds_of(payload["send_at"])
    if payload.get("attachments"):
        body["attachments"] = payload["attachments"]
    if payload.get("tracking"):
        body["tracking_settings"] = payload["tracking"]
    if mailer.is_sandbox:
        body["mail_settings"] = {"sandbox_mode": {"enable": True}}
    url = f"{mailer.url}/v3/mail/send"
    return RequestSpec(
        "POST", url, mailer.headers, body, "json", (index,), 30.0, endpoint_label="mail_send", is_idempotent=False
    )


def _personalization(payload: Payload) -> dict[str, object]:
    """Say to whom, and with which values."""
    said: dict[str, object] = {key: payload[key] for key in ("to", "cc", "bcc") if payload.get(key)}
    if payload.get("template_data"):
        said["dynamic_template_data"] = payload["template_data"]
    arguments = payload.get("custom_arguments")
    if isinstance(arguments, Mapping):
        said["custom_args"] = {str(key): str(value) for key, value in arguments.items() if value is not None}
    return said


def _problem(payload: Payload, sender: object, context: BuildContext) -> tuple[str, str] | None:
    """Tell what SendGrid would refuse."""
    if not sender:
        return "sender_missing", "Neither the mapping nor the destination names a sender."
    if not (payload.get("template_id") or payload.get("text") or payload.get("html")):
        return "no_content", "The mail has neither a text nor a template."
    if not payload.get("template_id") and not payload.get("subject"):
        return "no_subject", "A mail without a template needs a subject."
    people = [payload.get(key) for key in ("to", "cc", "bcc")]
    if sum(len(each) for each in people if isinstance(each, list)) > MOST_RECIPIENTS:
        return "too_many_recipients", "A mail has at most 1,000 recipients."
    categories, groups = payload.get("categories"), payload.get("unsubscribe_groups_shown")
    if isinstance(categories, list) and len(categories) > MOST_CATEGORIES:
        return "too_many_categories", "A mail has at most ten categories."
    if isinstance(groups, list) and len(groups) > MOST_GROUPS:
        return "too_many_groups", "At most 25 unsubscribe groups can be shown."
    moment = moment_of(payload.get("send_at"))
    if moment is not None and moment - context.now > LATEST:
        return "schedule_out_of_range", "A mail can be scheduled up to 72 hours ahead."
    return None


def build_test(mailer: Mailer, context: BuildContext) -> RequestSpec:
    """Read what the key may do, which sends nothing."""
    return RequestSpec("GET", f"{mailer.url}/v3/scopes", mailer.headers, endpoint_label="test")


FORBIDDEN = answers.verdict(
    Outcome.DISABLED, "forbidden", "The key may not send, or the sender is not verified; see the account."
)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Accepted mails have their id in a header; a 403 is about the key or the sender, which is every mail's."""
    if 200 <= response.status < 300 and response.error is None:
        return answers.delivered(request, response, response.header("x-message-id"))
    said = answers.words(answers.member(answers.parsed(response), "errors", 0, "message"))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _templates(mailer: Mailer, context: BuildContext, page: str) -> RequestSpec:
    url = fields.page_url(f"{mailer.url}/v3/templates?generations=dynamic&page_size=200", page)
    return RequestSpec("GET", url, mailer.headers, endpoint_label="choices")


def _groups(mailer: Mailer, context: BuildContext, page: str) -> RequestSpec:
    return RequestSpec("GET", f"{mailer.url}/v3/asm/groups", mailer.headers, endpoint_label="choices")


def _pools(mailer: Mailer, context: BuildContext, page: str) -> RequestSpec:
    return RequestSpec("GET", f"{mailer.url}/v3/ips/pools", mailer.headers, endpoint_label="choices")


CHOICES = {
    "templates": Choices(
        _templates, answers.listed("result", value="id", label="name", following=("_metadata", "next"))
    ),
    "groups": Choices(_groups, answers.listed(value="id", label="name")),
    "pools": Choices(_pools, answers.listed(value="name", label="name")),
}
PERSON = (
    Field("email", "E-mail", required=True, format="email", category="pii"),
    Field("name", "Name", category="pii", maximum=200),
)
SEND = Action(
    key="send_email",
    title="Send an e-mail",
    description="Send a mail, written in the mapping or made of a dynamic template.",
    default_trigger='type = "track"',
    fields=(
        Field(
            "to",
            "To",
            "object",
            "One or more people with e-mail and name.",
            required=True,
            multiple=True,
            properties=PERSON,
            additional=False,
            default=[{"email": fields.EMAIL, "name": fields.of_person("name")}],
            category="pii",
        ),
        Field("cc", "Copy to", "object", multiple=True, properties=PERSON, additional=False),
        Field("bcc", "Blind copy to", "object", multiple=True, properties=PERSON, additional=False),
        Field(
            "from", "From", "object", "Instead of the destination's own sender.", properties=PERSON, additional=False
        ),
        Field("reply_to", "Reply to", "object", properties=PERSON, additional=False),
        Field("subject", "Subject", maximum=998),
        Field("text", "Text", "text"),
        Field("html", "HTML", "text"),
        Field("template_id", "Dynamic template", pattern=r"d-[0-9a-f]{32}", dynamic="templates"),
        Field("template_data", "Template's data", "object", "The values that the template's variables get."),
        Field("custom_arguments", "Custom arguments", "object", "Come back with each event about this mail."),
        Field("categories", "Categories", description="For SendGrid's statistics.", multiple=True, maximum=255),
        Field("unsubscribe_group", "Unsubscribe group", "integer", dynamic="groups"),
        Field("unsubscribe_groups_shown", "Groups to show", "integer", multiple=True, dynamic="groups"),
        Field("ip_pool", "IP pool", minimum=2, maximum=64, dynamic="pools"),
        Field("send_at", "Send at", "datetime", "Up to 72 hours ahead."),
        Field("headers", "Headers", "object", format="http-headers"),
        Field(
            "attachments", "Attachments", "object", "Objects with content in Base64, filename and type.", multiple=True
        ),
        Field("tracking", "Tracking", "object", "SendGrid's tracking settings."),
    ),
    build=build,
    idempotent=False,
)

connector = Connector(
    slug="sendgrid",
    name="Twilio SendGrid",
    version="1.0.0",
    category="email",
    status="stable",
    description="Sends e-mails through SendGrid.",
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send",
    settings=(
        fields.secret("api_key", "API key", "Begins with SG.; needs the permission to send mail."),
        Field("from_email", "From", description="The sender of mails whose mapping names none.", format="email"),
        Field("from_name", "Sender's name", maximum=200),
        Field("sandbox", "Sandbox", "boolean", "SendGrid checks each mail and sends none.", default=False),
        fields.region(("global", "Global"), ("eu", "European Union")),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset(
            "Confirm each order",
            "send_email",
            'type = "track" and event = "Order Completed"',
            {
                "to": [{"email": fields.EMAIL}],
                "subject": {"@template": "Your order {{properties.order_id}}"},
                "text": {"@template": "Thank you! Your order {{properties.order_id}} is on its way."},
                "custom_arguments": {"userId": fields.USER_ID},
            },
        ),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    choices=CHOICES,
)
