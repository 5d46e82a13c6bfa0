"""Intercom's webhooks: conversations, contacts, companies, tickets (https://developers.intercom.com/docs/webhooks).

Set up in the Developer Hub of an app, whose client secret signs each notification. Intercom asks with HEAD whether the
address is there, and sends a `ping` when the owner presses the button.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import BadPayload, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import HmacSignature
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

TOPICS = {
    "conversation.user.created": "Conversation Started",
    "conversation.user.replied": "Conversation Replied",
    "conversation.admin.replied": "Conversation Answered",
    "conversation.admin.closed": "Conversation Closed",
    "conversation.admin.opened": "Conversation Reopened",
    "conversation.rating.added": "Conversation Rated",
    "contact.user.created": "User Created",
    "contact.lead.created": "Lead Created",
    "contact.lead.signed_up": "Lead Signed Up",
    "contact.unsubscribed": "Unsubscribed",
    "user.created": "User Created",
    "user.unsubscribed": "Unsubscribed",
}
PEOPLE = ("contact", "user", "lead", "visitor")


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one notification."""
    body = json_object(request)
    topic, item = body.get("topic"), member(body, "data", "item")
    if topic == "ping":
        return Received()
    if not isinstance(topic, str) or not isinstance(item, dict):
        raise BadPayload("There is no topic, or no item.")
    person = _person(item)
    identifier = body.get("id") or f"{topic}:{item.get('id')}:{body.get('created_at')}"
    message = track(
        TOPICS.get(topic) or event_name(topic),
        message_id("intercom", identifier),
        user_id=text_or_none(person.get("external_id")) or text_or_none(person.get("user_id")),
        anonymous_id=f"intercom:{person['id']}" if text_or_none(person.get("id")) else None,
        at=body.get("created_at"),
        properties=present({"topic": topic, "workspace": body.get("app_id"), "item": item}),
        context=_context(person),
    )
    return Received((message,))


def _person(item: dict[str, Any]) -> dict[str, Any]:
    """Whom it is about: the item itself, or the person that it holds; a conversation lists contacts."""
    if item.get("type") in PEOPLE:
        return item
    for name in PEOPLE:
        if isinstance(item.get(name), dict):
            return dict(item[name])
    listed = next(objects(member(item, "contacts", "contacts") or member(item, "contacts", "data")), None)
    author = member(item, "source", "author")
    if listed is not None:
        same = isinstance(author, dict) and author.get("id") == listed.get("id")
        return {**author, **listed} if same else listed
    return dict(author) if isinstance(author, dict) and author.get("type") in PEOPLE else {}


def _context(person: dict[str, Any]) -> dict[str, Any]:
    traits = present({"email": person.get("email"), "name": person.get("name"), "phone": person.get("phone")})
    return {**external_ids(("intercom_id", person.get("id"))), **({"traits": traits} if traits else {})}


source = InboundSource(
    slug="intercom",
    name="Intercom",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Conversations, contacts and tickets as they change.",
    docs_url="https://developers.intercom.com/docs/webhooks",
    settings=(
        Field(
            "client_secret",
            "Client secret",
            "password",
            "Of the app in Intercom's Developer Hub, under Basic information.",
            required=True,
            secret=True,
        ),
    ),
    signature=HmacSignature("x-hub-signature", "client_secret", algorithm="sha1", prefix="sha1="),
    receive=receive,
    events=tuple(dict.fromkeys(TOPICS.values())),
)
