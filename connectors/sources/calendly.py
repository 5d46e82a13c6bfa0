"""Calendly's webhooks: meetings that are booked and cancelled, no-shows, routing forms, contacts, event types.

Made by the API, with a signing key of the owner's choice (https://developer.calendly.com/api-docs/overview/webhooks).
A meeting that is moved comes as one that is cancelled and one that is booked.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import BadPayload, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import HmacSignature, Timestamp
from connectors.sources._messages import (
    event_name,
    external_ids,
    json_object,
    member,
    message_id,
    objects,
    present,
    text_or_none,
    track,
)

EVENTS = {
    "invitee.created": "Meeting Booked",
    "invitee.canceled": "Meeting Cancelled",
    "invitee_no_show.created": "Meeting Missed",
    "invitee_no_show.deleted": "Meeting No Longer Missed",
    "routing_form_submission.created": "Routing Form Submitted",
}
# These happen to a thing once; all else may come again, and is told apart by its time.
ONCE = frozenset(("invitee.created", "invitee.canceled", "routing_form_submission.created"))
OF_PEOPLE = ("invitee", "routing_form")
TOLERANCE_SECONDS = 180
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one event."""
    body = json_object(request)
    kind, item = body.get("event"), body.get("payload")
    if not isinstance(kind, str) or not isinstance(item, dict):
        raise BadPayload("There is no event, or no payload.")
    identifier = text_or_none(item.get("uri")) or text_or_none(item.get("invitee")) or str(body.get("created_at"))
    named = (kind, identifier.removeprefix("https://api.calendly.com/"))
    email = _email(item)
    parameter = settings.get("user_id_parameter")
    message = track(
        EVENTS.get(kind) or event_name(kind),
        message_id("calendly", *(named if kind in ONCE else (*named, body.get("created_at")))),
        user_id=member(item, "tracking", str(parameter)) if parameter else None,
        anonymous_id=(email or "").lower() or None,
        at=body.get("created_at"),
        properties=_properties(kind, item),
        context=_context(item, email) if kind.startswith((*OF_PEOPLE, "contact.")) else None,
    )
    return Received((message,))


def _email(item: dict[str, Any]) -> str | None:
    """The invitee's address, or the first that a contact has."""
    listed = item.get("emails")
    found = (item.get("email"), *(listed if isinstance(listed, list) else ()))
    return next((text for one in found if (text := text_or_none(one))), None)


def _properties(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """What happened; of a contact, an event type or a recap the whole object."""
    if not kind.startswith(OF_PEOPLE):
        return {"event": kind, "object": item}
    meeting = item.get("scheduled_event")
    return present(
        {
            "event": kind,
            "uri": item.get("uri"),
            "status": item.get("status"),
            "rescheduled": item.get("rescheduled"),
            "timezone": item.get("timezone"),
            "meeting": meeting if isinstance(meeting, dict) else None,
            "cancellation": item.get("cancellation"),
            "no_show": item.get("no_show"),
            "payment": item.get("payment"),
            "answers": [
                present({"question": one.get("question"), "answer": one.get("answer")})
                for one in objects(item.get("questions_and_answers"))
            ]
            or None,
            "old_invitee": item.get("old_invitee"),
            "new_invitee": item.get("new_invitee"),
            "result": item.get("result"),
            "submission": item.get("submission"),
        }
    )


def _context(item: dict[str, Any], email: str | None) -> dict[str, Any]:
    """Who booked, and which campaign brought the person."""
    traits = present(
        {
            "email": email,
            "name": item.get("name"),
            "firstName": item.get("first_name"),
            "lastName": item.get("last_name"),
            "phone": item.get("text_reminder_number"),
        }
    )
    campaign = {
        {"utm_campaign": "name"}.get(name, name.removeprefix("utm_")): value
        for name in UTM
        if (value := text_or_none(member(item, "tracking", name)))
    }
    return {
        **external_ids(("email", email)),
        **({"traits": traits} if traits else {}),
        **({"campaign": campaign} if campaign else {}),
    }


source = InboundSource(
    slug="calendly",
    name="Calendly",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Meetings that people book, move, cancel or miss.",
    docs_url="https://developer.calendly.com/api-docs/overview/webhooks",
    settings=(
        Field(
            "signing_secret",
            "Signing key",
            "password",
            "The signing_key given when the webhook subscription was made.",
            required=True,
            secret=True,
        ),
        Field(
            "user_id_parameter",
            "User id parameter",
            description="The UTM parameter of your booking links that holds the user id, such as utm_content.",
            choices=(*((name, name) for name in UTM), ("salesforce_uuid", "salesforce_uuid")),
        ),
    ),
    signature=HmacSignature(
        "calendly-webhook-signature",
        signed=("{timestamp}", ".", "{body}"),
        field="v1",
        timestamp=Timestamp(field="t", tolerance_s=TOLERANCE_SECONDS),
    ),
    receive=receive,
    events=tuple(EVENTS.values()),
)
