"""Zendesk's webhooks, of both kinds: events that one subscribes to, and what triggers and automations send.

Events have a form of their own (https://developer.zendesk.com/api-reference/webhooks/event-types/webhook-event-types/).
A trigger sends whatever JSON its author wrote; members named `event` and `user_id` are understood there. It is named by
its invocation: an `id` that the author put in is mostly that of the ticket, which has triggers fire many times.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import InboundRequest, InboundSource, Message, Received, Settings
from connectors.signatures import HmacSignature, Timestamp
from connectors.sources._messages import (
    event_name,
    external_ids,
    json_object,
    message_id,
    present,
    text_or_none,
    track,
)

EVENT_TYPE = "zen:event-type:"
# Zendesk names no limit; it tries a call again within minutes.
AN_HOUR = 3600


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one event, or what a trigger sent."""
    body = json_object(request)
    invocation = request.headers.get("x-zendesk-webhook-invocation-id")
    kind = body.get("type")
    if isinstance(kind, str) and kind.startswith(EVENT_TYPE):
        return Received((_event(body, kind, invocation or request.digest, settings),))
    return Received((_trigger(body, invocation or request.digest),))


def _event(body: dict[str, Any], kind: str, invocation: str, settings: Settings) -> Message:
    """`zen:event-type:ticket.status_changed`, about the subject `zen:ticket:35436`."""
    detail = body["detail"] if isinstance(body.get("detail"), dict) else {}
    area = kind.removeprefix(EVENT_TYPE).partition(".")[0]
    requester = text_or_none(detail.get("id") if area == "user" else detail.get("requester_id"))
    own_id = text_or_none(detail.get("external_id")) if area == "user" else None
    email = text_or_none(detail.get("email"))
    return track(
        event_name(kind.removeprefix(EVENT_TYPE)),
        message_id("zendesk", body.get("id") or invocation),
        user_id=own_id or (requester if settings.get("requester_as") == "user_id" else None),
        anonymous_id=f"zendesk:{requester}" if requester else text_or_none(body.get("subject")),
        at=body.get("time"),
        properties=present(
            {
                "type": kind,
                "account_id": body.get("account_id"),
                "subject": body.get("subject"),
                "detail": detail,
                "event": body.get("event"),
            }
        ),
        context={
            **external_ids(("zendesk_id", requester)),
            **({"traits": {"email": email}} if area == "user" and email else {}),
        },
    )


def _trigger(body: dict[str, Any], invocation: str) -> Message:
    return track(
        text_or_none(body.get("event")) or "Zendesk Trigger Fired",
        message_id("zendesk", invocation),
        user_id=body.get("user_id"),
        properties={key: value for key, value in body.items() if key not in {"event", "user_id"}},
    )


source = InboundSource(
    slug="zendesk",
    name="Zendesk",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Tickets, users and organizations as they change, and what your triggers send.",
    docs_url="https://developer.zendesk.com/documentation/webhooks/",
    settings=(
        Field("signing_secret", "Signing secret", "password", "Of the webhook.", required=True, secret=True),
        Field(
            "requester_as",
            "Requester id is",
            description="How a ticket's requester is known; a user's external id is always the user id.",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
    ),
    signature=HmacSignature(
        "x-zendesk-webhook-signature",
        encoding="base64",
        signed=("{timestamp}", "{body}"),
        timestamp=Timestamp(header="x-zendesk-webhook-signature-timestamp", form="iso8601", tolerance_s=AN_HOUR),
    ),
    receive=receive,
    events=("Ticket Created", "Ticket Status Changed", "Ticket Comment Added", "User Created"),
)
