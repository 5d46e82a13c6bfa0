"""Events and settings to try a connector with before there are any: made up, complete, and the same every time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from connectors import catalogue
from connectors.base import Connector, Field, When

PERSON = {
    "email": "ada@example.com",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "phone": "+14155550100",
    "company": {"id": "acme", "name": "Acme"},
    "address": {"street": "1 Main St", "city": "London", "postalCode": "N1 9GU", "country": "GB"},
    "plan": "pro",
}
ORDER = {
    "order_id": "order-1",
    "total": 59.5,
    "revenue": 50.0,
    "currency": "EUR",
    "email": "ada@example.com",
    "phone": "+14155550100",
    "products": [{"product_id": "sku-1", "name": "Monopoly", "price": 25.0, "quantity": 2, "category": "Games"}],
}
CONTEXT = {
    "ip": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "locale": "en-GB",
    "page": {"url": "https://shop.example.com/cart", "path": "/cart", "title": "Cart", "referrer": ""},
    "traits": {"email": "ada@example.com", "phone": "+14155550100"},
}
OF_CALL: dict[str, dict[str, Any]] = {
    "track": {"event": "Order Completed", "properties": ORDER},
    "identify": {"traits": PERSON},
    "page": {"name": "Cart", "properties": {"url": "https://shop.example.com/cart", "path": "/cart", "title": "Cart"}},
    "screen": {"name": "Cart", "properties": {"variation": "b"}},
    "group": {"groupId": "acme", "traits": {"name": "Acme", "industry": "Retail", "employees": 42}},
    "alias": {"previousId": "anonymous-1"},
}
TEXTS = {
    "uri": "https://example.com/in",
    "email": "ada@example.com",
    "service-account": (
        '{"type": "service_account", "client_email": "a@acme.test", "token_uri": "https://oauth2.example.com/token", '
        '"private_key": "-----BEGIN PRIVATE KEY-----\\nc2FtcGxl\\n-----END PRIVATE KEY-----\\n"}'
    ),
    "webhook-secret": "whsec_c2FtcGxlLXNpZ25pbmctc2VjcmV0LW9mLW5vYm9keQ==",
}
MOMENT = "2026-03-01T11:59:58.123Z"
# Events made up are of this moment, and so are those of fixtures: some vendors take no old ones.
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(call: str) -> dict[str, Any]:
    """A message of this call type."""
    return {
        "type": call,
        "messageId": f"sample-{call}",
        "timestamp": MOMENT,
        "receivedAt": MOMENT,
        "userId": "user-1",
        "anonymousId": "anonymous-1",
        "context": CONTEXT,
        **OF_CALL[call],
    }


def event_for(connector: Connector) -> dict[str, Any]:
    """A message that the connector's first preset asks for by its call type."""
    calls = catalogue.calls_of([connector.presets[0].trigger]) if connector.presets else catalogue.calls(connector)
    return event(calls[0] if calls else "track")


def settings_for(connector: Connector) -> dict[str, object]:
    """Settings with something in every field that is needed. What a pattern asks for nobody can guess."""
    defaults = {field.key: field.default for field in connector.settings if field.default is not None}
    found: dict[str, object] = {}
    for field in connector.settings:
        if field.key not in defaults and not field.generate and _is_needed(field, defaults | found):
            found[field.key] = _value(field)
    return found


def _is_needed(field: Field, found: dict[str, object]) -> bool:
    condition = field.required
    return found.get(condition.field) in condition.values if isinstance(condition, When) else condition


def _value(field: Field) -> object:
    if field.choices:
        value: object = field.choices[0][0]
    elif field.type in ("integer", "number"):
        value = field.minimum or 1
    elif field.type in ("boolean", "object"):
        value = True if field.type == "boolean" else {}
    else:
        value = TEXTS.get(field.format) or f"sample-{field.key.replace('_', '-')}"
    return [value] if field.multiple else value
