"""Stripe's event destinations: payments, invoices, subscriptions (https://docs.stripe.com/webhooks).

Both forms of events are read: those with a snapshot of the object, and thin ones, which only name it. While a signing
secret is being rolled, Stripe signs with the old and the new one, so a replaced secret need not count on here.
"""

from __future__ import annotations

import re
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
    present,
    text_or_none,
    track,
)

THIN = "v2.core.event"
# The names of thin events begin with the API's version.
VERSION = re.compile(r"^v\d+\.(core\.)?")


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one event."""
    body = json_object(request)
    kind, item = body.get("type"), _item(body)
    if not text_or_none(body.get("id")) or not isinstance(kind, str) or not isinstance(item, dict):
        raise BadPayload("This is no event: there is no id, no type, or no object.")
    customer = _customer(item)
    message = track(
        event_name(VERSION.sub("", kind)),
        message_id("stripe", body["id"]),
        user_id=_user(item, customer, settings),
        anonymous_id=customer or text_or_none(item.get("id")),
        at=body.get("created"),
        properties=present(
            {
                "type": kind,
                "object": item,
                "previous_attributes": member(body, "data", "previous_attributes"),
                "livemode": body.get("livemode"),
                "api_version": body.get("api_version"),
                "account": body.get("account"),
                "context": body.get("context"),
            }
        ),
        context=_context(item, customer),
    )
    return Received((message,))


def _item(body: dict[str, Any]) -> Any:
    """The object that it is about; of a thin event its id and kind, where it is about one at all."""
    if body.get("object") != THIN:
        return member(body, "data", "object")
    related = body.get("related_object")
    return {"object": related.get("type"), **related} if isinstance(related, dict) else {}


def _customer(item: dict[str, Any]) -> str | None:
    """The customer's id: the object's own, or that of the object that it belongs to, expanded or not."""
    if item.get("object") == "customer":
        return text_or_none(item.get("id"))
    customer = item.get("customer")
    return text_or_none(customer.get("id") if isinstance(customer, dict) else customer)


def _user(item: dict[str, Any], customer: str | None, settings: Settings) -> str | None:
    """The user id that you put into the metadata; else your reference of a checkout; else, if so chosen, Stripe's."""
    key = str(settings.get("user_id_key") or "")
    places = (item, item.get("customer"), item.get("subscription_details"), item.get("payment_intent"))
    found = next((text for place in places if (text := text_or_none(member(place, "metadata", key)))), None)
    found = found or text_or_none(item.get("client_reference_id"))
    return found or (customer if settings.get("customer_as") == "user_id" else None)


def _context(item: dict[str, Any], customer: str | None) -> dict[str, Any]:
    email = next(
        (
            text
            for value in (
                item.get("customer_email"),
                item.get("receipt_email"),
                member(item, "customer_details", "email"),
                member(item, "billing_details", "email"),
                item.get("email"),
            )
            if (text := text_or_none(value))
        ),
        None,
    )
    traits = {"traits": {"email": email}} if email else {}
    return {**external_ids(("stripe_customer_id", customer)), **traits}


source = InboundSource(
    slug="stripe",
    name="Stripe",
    version="1.0.0",
    category="commerce",
    status="stable",
    description="Payments, invoices, subscriptions, checkouts.",
    docs_url="https://docs.stripe.com/webhooks",
    settings=(
        Field("signing_secret", "Signing secret", "password", "Begins with whsec_.", required=True, secret=True),
        Field(
            "user_id_key",
            "Metadata key",
            description="The key of the metadata that holds the user id.",
            default="userId",
        ),
        Field(
            "customer_as",
            "Customer id is",
            description="How a customer is known when the metadata name no user.",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
    ),
    signature=HmacSignature(
        "stripe-signature",
        signed=("{timestamp}", ".", "{body}"),
        field="v1",
        timestamp=Timestamp(field="t"),
    ),
    receive=receive,
    events=(
        *("Checkout Session Completed", "Payment Intent Succeeded", "Charge Refunded", "Invoice Paid"),
        *("Invoice Payment Failed", "Customer Subscription Created", "Customer Subscription Deleted"),
    ),
    overlap_hours=0,
)
