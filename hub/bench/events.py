"""The bodies that benchmarks send: an event of about 0.8 KB, alone or a hundred in a batch, each with an id of its own.

A body is made once; before it is sent a number of fixed width is put into each message id and user id, which costs the
generator next to nothing and leaves the length as it is.
"""

from __future__ import annotations

import json

NUMBER = b"@@@@@@@@@@"
USER = b"%%%%%%"
USERS = 2_000
BATCH = 100


def event(place: int, run: str) -> dict[str, object]:
    """One event as a browser's SDK sends it. `place` is its place in the batch."""
    path = f"/tea/sencha-{place:03d}"
    return {
        "type": "track",
        "event": "Product Added",
        "messageId": f"{run}-{NUMBER.decode()}-{place:03d}",
        "anonymousId": f"0f5ad2a6-7c7b-4f3a-9a55-{place:06d}{USER.decode()}",
        "userId": f"user_{place:03d}{USER.decode()}",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "context": {
            "library": {"name": "analytics.js", "version": "2.1.0"},
            "page": {"path": path, "title": "Sencha, 100 g", "url": f"https://shop.example{path}", "search": ""},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "locale": "en-GB",
            "timezone": "Europe/London",
            "screen": {"width": 1920, "height": 1080, "density": 1},
            "campaign": {"name": "autumn-sale", "source": "newsletter", "medium": "email"},
        },
        "properties": {
            "cart_id": "c-5512",
            "product_id": "TEA-101",
            "name": "Sencha, 100 g",
            "category": "tea",
            "brand": "Headwater",
            "price": 8.9,
            "quantity": 2,
            "currency": "EUR",
            "value": 17.8,
            "image_url": "https://shop.example/images/tea-101.jpg",
        },
    }


def single(run: str) -> bytes:
    """The body of a request with one event, with its places for numbers."""
    return json.dumps(event(0, run), separators=(",", ":")).encode()


def batch(run: str, size: int = BATCH) -> bytes:
    """The body of a request with many events."""
    envelope = {"batch": [event(place, run) for place in range(size)], "sentAt": "2026-03-01T12:00:01.000Z"}
    return json.dumps(envelope, separators=(",", ":")).encode()


def numbered(body: bytes, number: int, users: int = USERS) -> bytes:
    """The body as the request with this number sends it; its users come again after so many requests."""
    return body.replace(NUMBER, b"%010d" % number).replace(USER, b"%06d" % (number % users))
