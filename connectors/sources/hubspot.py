"""HubSpot's webhooks: contacts, companies, deals as they are made, changed, merged and deleted.

Up to 100 notifications come in one call, without the object itself: its id, and what changed
(https://developers.hubspot.com/docs/api/webhooks). HubSpot says that an event id alone is not unique.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import InboundRequest, InboundSource, Message, Received, Settings
from connectors.signatures import HmacSignature, Timestamp
from connectors.sources._messages import event_name, external_ids, json_list, message_id, present, text_or_none, track

# What is done, as a participle; the rest of a subscription's type is the kind of object.
DONE = {
    "creation": "Created",
    "deletion": "Deleted",
    "privacyDeletion": "Deleted for Privacy",
    "propertyChange": "Property Changed",
    "merge": "Merged",
    "restore": "Restored",
    "associationChange": "Association Changed",
    "newMessage": "Message Received",
}
# By HubSpot's own numbers; an owner's kinds of objects have numbers of each account's.
OBJECT_TYPES = {
    **{"0-1": "Contact", "0-2": "Company", "0-3": "Deal", "0-5": "Ticket", "0-7": "Product", "0-8": "Line Item"},
    **{"0-14": "Quote", "0-18": "Communication", "0-19": "Feedback Submission", "0-27": "Task", "0-46": "Note"},
    **{"0-47": "Meeting", "0-48": "Call", "0-49": "Email", "0-53": "Invoice", "0-69": "Subscription", "0-74": "Goal"},
    **{"0-84": "Discount", "0-85": "Fee", "0-86": "Tax", "0-101": "Commerce Payment", "0-115": "User"},
    **{"0-116": "Postal Mail", "0-123": "Order", "0-136": "Lead", "0-142": "Cart"},
}


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read an array of notifications. What is no object is left to ingest, which refuses and counts it."""
    return Received(tuple(_message(item, settings) for item in json_list(request)))


def _thing(word: str, item: dict[str, Any]) -> tuple[str, str]:
    """What kind of object it is, in words, and by what ids of this kind are told from those of others."""
    if word != "object":
        return event_name(word), word
    number = str(item.get("objectTypeId") or word)
    name = OBJECT_TYPES.get(number)
    return (name, name.lower()) if name else (event_name(word), number)


def _message(item: Any, settings: Settings) -> Message:
    if not isinstance(item, dict):
        return item  # type: ignore[no-any-return]
    kind = str(item.get("subscriptionType") or item.get("eventType") or "object.change")
    thing, _, deed = kind.rpartition(".")
    name, label = _thing(thing, item)
    object_id = text_or_none(item.get("objectId") or item.get("fromObjectId") or item.get("newObjectId"))
    is_contact = name == "Contact" and object_id is not None
    return track(
        f"{name} {DONE.get(deed) or event_name(deed)}",
        message_id("hubspot", item.get("eventId"), kind, object_id, item.get("occurredAt")),
        user_id=object_id if is_contact and settings.get("contact_as") == "user_id" else None,
        anonymous_id=f"hubspot:{label}:{object_id}" if object_id else None,
        at=item.get("occurredAt"),
        # The number of the try is another each time; the message must be the same.
        properties=present({key: value for key, value in item.items() if key not in {"attemptNumber", "occurredAt"}}),
        context=external_ids(("hubspot_contact_id", object_id)) if is_contact else {},
    )


source = InboundSource(
    slug="hubspot",
    name="HubSpot",
    version="1.0.0",
    category="crm",
    status="stable",
    description="Contacts, companies, deals and tickets as they change.",
    docs_url="https://developers.hubspot.com/docs/api/webhooks",
    settings=(
        Field("client_secret", "Client secret", "password", "Of the app.", required=True, secret=True),
        Field(
            "contact_as",
            "Contact id is",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
    ),
    signature=HmacSignature(
        "x-hubspot-signature-v3",
        "client_secret",
        encoding="base64",
        signed=("{method}", "{url}", "{body}", "{timestamp}"),
        timestamp=Timestamp(header="x-hubspot-request-timestamp", form="milliseconds"),
        plain_in_url=":/?@!$'()*,;",
    ),
    receive=receive,
    events=("Contact Created", "Contact Property Changed", "Contact Deleted", "Deal Created", "Company Created"),
)
