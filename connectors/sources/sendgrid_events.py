"""Twilio SendGrid's event webhook: what became of each mail.

Arrays of events, signed with a key pair of which the public half is copied here. Custom arguments that were given at
sending come back as members of the event; `userId` among them says whose mail it was. The names are those of the
e-mail events that other tools know.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import InboundRequest, InboundSource, Message, Received, Settings
from connectors.signatures import EcdsaSignature, Timestamp
from connectors.sources._messages import event_name, external_ids, json_list, message_id, present, text_or_none, track

EVENTS = {
    "processed": "Email Processed",
    "deferred": "Email Deferred",
    "delivered": "Email Delivered",
    "bounce": "Email Bounced",
    "dropped": "Email Dropped",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "spamreport": "Email Marked as Spam",
    "unsubscribe": "Unsubscribed",
    "group_unsubscribe": "Group Unsubscribed",
    "group_resubscribe": "Group Resubscribed",
}
# SendGrid sends an event again for up to a day, and says nowhere that it signs it anew.
A_DAY = 24 * 3600


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read an array of events. What is no object is left to ingest, which refuses and counts it."""
    return Received(tuple(_message(item, settings) for item in json_list(request)))


def _message(item: Any, settings: Settings) -> Message:
    if not isinstance(item, dict):
        return item  # type: ignore[no-any-return]
    kind = str(item.get("event") or "unknown")
    ids = {str(settings.get(key) or key) for key in ("user_id_argument", "anonymous_id_argument")}
    shown = {name: value for name, value in item.items() if name not in {"event", "timestamp", "useragent", *ids}}
    event_id = item.get("sg_event_id") or f"{item.get('sg_message_id')}:{kind}:{item.get('timestamp')}"
    return track(
        EVENTS.get(kind) or f"Email {event_name(kind)}",
        message_id("sendgrid", event_id),
        user_id=item.get(str(settings.get("user_id_argument"))),
        anonymous_id=item.get(str(settings.get("anonymous_id_argument"))) or _address(item),
        at=item.get("timestamp"),
        properties=present(shown),
        context=_context(item, kind),
    )


def _address(item: dict[str, Any]) -> str | None:
    """The address as mails that come in and meetings have it too, so that it names one person everywhere."""
    return (text_or_none(item.get("email")) or "").lower() or None


def _context(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """The person's address; and where the person acted, from where. Else `ip` is that of a mail server."""
    context: dict[str, Any] = {**external_ids(("email", item.get("email")))}
    if item.get("email"):
        context["traits"] = {"email": item["email"]}
    if kind in ("open", "click"):
        context |= present({"ip": item.get("ip"), "userAgent": item.get("useragent")})
    return context


source = InboundSource(
    slug="sendgrid_events",
    name="Twilio SendGrid events",
    version="1.0.0",
    category="engage",
    status="stable",
    description="What became of each mail: delivered, bounced, opened, clicked, unsubscribed.",
    docs_url="https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event",
    settings=(
        Field(
            "public_key",
            "Verification key",
            "text",
            "Of the signed event webhook; SendGrid shows it where it is switched on.",
            required=True,
            format="ec-public-key",
        ),
        Field("user_id_argument", "User id argument", description="The custom argument with it.", default="userId"),
        Field(
            "anonymous_id_argument",
            "Anonymous id argument",
            description="The custom argument with it; the e-mail address where there is none.",
            default="anonymousId",
        ),
    ),
    signature=EcdsaSignature(
        header="x-twilio-email-event-webhook-signature",
        timestamp=Timestamp(header="x-twilio-email-event-webhook-timestamp", tolerance_s=A_DAY),
    ),
    receive=receive,
    events=tuple(EVENTS.values()),
    overlap_hours=0,
)
