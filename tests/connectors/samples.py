"""One call of each type, as a website would send it, for tests that want all of them."""

from __future__ import annotations

BASE = {
    "messageId": "ajs-next-1",
    "timestamp": "2026-03-01T11:59:58.123Z",
    "userId": "ada-1815",
    "anonymousId": "anon-77",
    "context": {"ip": "203.0.113.7", "page": {"url": "https://shop.example/", "title": "Shop"}, "locale": "en-GB"},
}
CALLS = [
    {
        "type": "track",
        "event": "Order Completed",
        "properties": {"total": 36.5, "currency": "EUR", "products": [{"product_id": "tea", "price": 4.5}]},
    },
    {"type": "page", "name": "Home", "properties": {"url": "https://shop.example/"}},
    {"type": "screen", "name": "Basket"},
    {"type": "identify", "traits": {"email": "ada@acme.test", "plan": "pro"}},
    {"type": "group", "groupId": "acme", "traits": {"name": "Acme"}},
    {"type": "alias", "previousId": "anon-77"},
]
