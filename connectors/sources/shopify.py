"""Shopify's webhooks: orders, checkouts, customers, products (https://shopify.dev/docs/apps/build/webhooks).

Deliveries of Shopify's Events are read as well (https://shopify.dev/docs/apps/build/events): they have a topic and an
action, headers without the `x-`, and of the object what the subscription's own query asks for.

Orders and checkouts carry, beside Shopify's object, the properties of e-commerce events that other tools expect. The
three compliance topics (`customers/redact` …) become events like all others; acting on them is the owner's to do.
"""

from __future__ import annotations

import math
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
    "orders/create": "Order Completed",
    "orders/updated": "Order Updated",
    "orders/paid": "Order Paid",
    "orders/cancelled": "Order Cancelled",
    "orders/fulfilled": "Order Fulfilled",
    "refunds/create": "Order Refunded",
    "checkouts/create": "Checkout Started",
    "checkouts/update": "Checkout Updated",
    "carts/create": "Cart Created",
    "carts/update": "Cart Updated",
    "customers/create": "Customer Created",
    "customers/update": "Customer Updated",
    "customers/delete": "Customer Deleted",
    "products/create": "Product Created",
    "products/update": "Product Updated",
    "app/uninstalled": "Application Uninstalled",
}
WITH_LINES = ("orders/", "checkouts/", "carts/")
MOST_PRODUCTS = 50
DONE = {"create": "Created", "update": "Updated", "delete": "Deleted"}


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one delivery. Topic and id are in the headers; the topics of webhooks have two parts."""
    body = json_object(request)
    topic = _header(request, "topic")
    if not topic:
        raise BadPayload("There is no header X-Shopify-Topic.")
    delivery = _header(request, "webhook-id") or _header(request, "event-id")
    if "/" in topic:
        topic = topic.lower()
        name, customer = TOPICS.get(topic) or event_name(topic), _customer(body, topic)
    else:
        action = _header(request, "action") or str(body.get("action") or "")
        name, customer = event_name(topic, DONE.get(action, action)), _queried_customer(body)
    known_by = text_or_none(customer.get("email" if settings.get("user_id_is") == "email" else "id"))
    shop = _header(request, "shop-domain")
    message = track(
        name,
        message_id("shopify", delivery or f"{topic}:{body.get('id')}:{body.get('updated_at')}"),
        user_id=known_by,
        anonymous_id=_anonymous_id(body, customer, shop, is_known=known_by is not None),
        at=_header(request, "triggered-at") or body.get("updated_at") or body.get("created_at"),
        properties={**_commerce(body, topic), **present({"topic": topic, "shop": shop}), "object": body},
        context=_context(body, customer),
    )
    return Received((message,))


def _header(request: InboundRequest, name: str) -> str:
    return request.headers.get(f"x-shopify-{name}") or request.headers.get(f"shopify-{name}") or ""


def _customer(body: dict[str, Any], topic: str) -> dict[str, Any]:
    """The customer that the object is or has; a guest's order has an address only."""
    if topic.startswith("customers/") and not isinstance(body.get("customer"), dict):
        return body
    customer = body.get("customer")
    return {
        "email": body.get("email"),
        "phone": body.get("phone"),
        **present(customer if isinstance(customer, dict) else {}),
    }


def _queried_customer(body: dict[str, Any]) -> dict[str, Any]:
    """The customer of an Event, as far as the subscription's query asked for one; ids are `gid://shopify/Customer/7`."""
    found = member(body, "data", "customer") or member(body, "data", "order", "customer")
    customer = found if isinstance(found, dict) else {}
    gid = text_or_none(customer.get("id")) or text_or_none(member(body, "query_variables", "customerId")) or ""
    return {
        "id": gid.rpartition("/")[2],
        "email": customer.get("email") or member(customer, "defaultEmailAddress", "emailAddress"),
        "first_name": customer.get("firstName"),
        "last_name": customer.get("lastName"),
        "phone": customer.get("phone") or member(customer, "defaultPhoneNumber", "phoneNumber"),
    }


def _anonymous_id(body: dict[str, Any], customer: dict[str, Any], shop: str, *, is_known: bool) -> str | None:
    """The cart's token; else the customer, or the shop where there is none.

    The shop never stands beside a user's id: whoever joins people by their ids would make one of all customers.
    """
    token = text_or_none(body.get("cart_token") or body.get("token"))
    if token or is_known:
        return token
    return f"shopify:{text_or_none(customer.get('id')) or shop}"


def _commerce(body: dict[str, Any], topic: str) -> dict[str, Any]:
    """The properties of order and checkout events as the e-commerce specification of tracking calls names them."""
    if not topic.startswith(WITH_LINES):
        return {"order_id": str(body["order_id"])} if topic.startswith("refunds/") and body.get("order_id") else {}
    return present(
        {
            "order_id" if topic.startswith("orders/") else "checkout_id": text_or_none(body.get("id")),
            "order_number": text_or_none(body.get("order_number")),
            "total": _amount(body.get("total_price")),
            "subtotal": _amount(body.get("subtotal_price")),
            "tax": _amount(body.get("total_tax")),
            "discount": _amount(body.get("total_discounts")),
            "shipping": _amount(member(body, "total_shipping_price_set", "shop_money", "amount")),
            "currency": body.get("currency"),
            "coupon": next((code.get("code") for code in objects(body.get("discount_codes"))), None),
            "products": [_product(line) for line in list(objects(body.get("line_items")))[:MOST_PRODUCTS]],
        }
    )


def _product(line: dict[str, Any]) -> dict[str, Any]:
    return present(
        {
            "product_id": text_or_none(line.get("product_id")),
            "variant": text_or_none(line.get("variant_id")),
            "sku": line.get("sku"),
            "name": line.get("title"),
            "brand": line.get("vendor"),
            "price": _amount(line.get("price")),
            "quantity": line.get("quantity"),
        }
    )


def _amount(value: object) -> float | None:
    """Shopify writes money as text, such as `199.00`."""
    try:
        amount = float(value) if isinstance(value, str | int | float) and len(str(value)) < 24 else math.nan
    except ValueError:
        return None
    return amount if math.isfinite(amount) else None


def _context(body: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
    names = {"email": "email", "phone": "phone", "first_name": "firstName", "last_name": "lastName"}
    traits = {name: customer[key] for key, name in names.items() if text_or_none(customer.get(key))}
    context: dict[str, Any] = {**external_ids(("shopify_customer_id", customer.get("id")))}
    if traits:
        context["traits"] = traits
    if text_or_none(body.get("browser_ip")):
        context["ip"] = body["browser_ip"]
    return context


source = InboundSource(
    slug="shopify",
    name="Shopify",
    version="1.0.0",
    category="commerce",
    status="stable",
    description="Orders, checkouts, refunds, customers and products of a shop.",
    docs_url="https://shopify.dev/docs/apps/build/webhooks",
    settings=(
        Field(
            "client_secret",
            "Client secret",
            "password",
            "Of the app; for webhooks made in the shop's settings the secret shown there.",
            required=True,
            secret=True,
        ),
        Field(
            "user_id_is",
            "User id is",
            description="By what of a customer the same person is known to your other sources.",
            default="customer_id",
            choices=(("customer_id", "Shopify's customer id"), ("email", "The e-mail address")),
        ),
    ),
    signature=HmacSignature(
        "x-shopify-hmac-sha256", "client_secret", encoding="base64", other_header="shopify-hmac-sha256"
    ),
    receive=receive,
    events=tuple(TOPICS.values()),
)
