"""Ten thousand damaged requests: none may cost more than itself.

Valid bodies of every endpoint are mutated at random, from a fixed seed, as text and as values. No answer may be a
5xx, and every message that is still valid must be in the log.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import REGISTRY

from hub.ingest import answers
from tests.ingest.doors import FrontDoor, Reply
from tests.ingest.running import WRITE_KEY, Ingest

REQUESTS = 10_000
AT_ONCE = 50
SEED = 20_261_124
SINGLE = ["track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a"]
BATCH = ["batch", "import", "b", ""]
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, 2**64, 10**40, 1e308, "", "x", "\x00", "\x1e", "\x1f", "a\x1fb\x1fc", "\ud800",
    "ü" * 50, "x" * 40_000, [], {}, [[[[]]]], {"a": {"b": {}}}, ["\x1f"], {"\x00": "\x1e"},
]  # fmt: skip
ODD_TEXT = [
    b"NaN", b"-Infinity", b"1e999", b"\\u0000", b"\\u001f", b"\\u001e", b"\\ud800", b"\\udc00\\ud800", b"\xff", b"\x00",
    b"\x1f", b"{", b"}", b"[", b"]", b'"', b",", b"\\", b"[" * 30, b"[" * 2_000, b"9" * 5_000, b"\xef\xbb\xbf",
]  # fmt: skip


def message(draw: random.Random, number: int) -> dict[str, Any]:
    """A valid message whose id says which one it is."""
    call = draw.choice(["track", "identify", "page", "screen", "group", "alias"])
    return {
        "type": call,
        "messageId": f"m-{number}",
        "userId": f"user-{draw.randrange(50)}",
        "anonymousId": draw.choice([None, "", "anon"]),
        "event": "Ordered",
        "name": "Home",
        "category": "",
        "groupId": "g",
        "previousId": "p",
        "properties": {"revenue": 12.5, "items": [{"sku": "a"}], "note": None},
        "traits": {"email": "a@b.c", "plan": {"name": "pro"}},
        "context": {"library": {"name": "analytics-node"}, "page": {"url": "https://x.y"}},
        "timestamp": "2026-11-24T08:00:00.123Z",
        "integrations": draw.choice([{}, {"All": True, "X": {"a": 1}}]),
    }


def spoiled(draw: random.Random, item: dict[str, Any]) -> dict[str, Any]:
    """The message with one of its fields, or one inside them, replaced by something odd."""
    changed = json.loads(json.dumps(item))
    place = changed
    name = draw.choice([key for key in place if key != "messageId"])
    while isinstance(place[name], dict) and place[name] and draw.random() < 0.5:
        place = place[name]
        name = draw.choice(list(place))
    place[name] = draw.choice(ODD_VALUES)
    return changed


def scarred(draw: random.Random, body: bytes) -> bytes:
    """The body with some of its bytes cut out, or odd ones put in."""
    start = draw.randrange(len(body))
    if draw.random() < 0.3:
        return body[:start] + body[start + draw.randrange(1, 20) :]
    return body[:start] + draw.choice(ODD_TEXT) + body[start:]


def mutated(draw: random.Random, number: int) -> tuple[str, str, bytes, dict[str, str], set[str]]:
    """One request: method, path and query, body, headers, and the ids of the messages that are untouched in it."""
    if draw.random() < 0.05:
        item = message(draw, number * 10)
        sound = {item["messageId"]} if draw.random() < 0.5 else set()
        item = (item if sound else spoiled(draw, item)) | {"writeKey": WRITE_KEY}
        packed = base64.b64encode(json.dumps(item).encode()).decode()
        return "GET", f"/v1/pixel/track?data={quote(packed)}", b"", {}, sound
    kind = draw.choice(["single", "batch", "batch", "batch"])
    items = [message(draw, number * 10 + place) for place in range(1 if kind == "single" else draw.randrange(1, 5))]
    hurt = {place for place in range(len(items)) if draw.random() < 0.4}
    sound = {item["messageId"] for place, item in enumerate(items) if place not in hurt}
    items = [spoiled(draw, item) if place in hurt else item for place, item in enumerate(items)]
    path = "/v1/" + draw.choice(SINGLE if kind == "single" else BATCH)
    payload = {**items[0], "writeKey": WRITE_KEY} if kind == "single" else {"batch": items, "writeKey": WRITE_KEY}
    body = json.dumps(payload).encode()
    headers: dict[str, str] = {}
    if draw.random() < 0.25:
        body, sound = scarred(draw, body), set()
    if draw.random() < 0.1:
        body, headers = gzip.compress(body, 1), {"Content-Encoding": "gzip"}
        if draw.random() < 0.3:
            body, sound = scarred(draw, body), set()
    return "POST", path, body, headers, sound


def deliver(requests: list[tuple[str, str, bytes, dict[str, str], set[str]]]) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(requests), AT_ONCE):
            calls = []
            for method, target, body, headers, _ in requests[start : start + AT_ONCE]:
                path, _, query = target.partition("?")
                calls.append(FrontDoor().exchange(method, path, [body], headers, query))
            replies += await asyncio.gather(*calls)
        return replies

    return asyncio.run(all_of_them())


def refused_by_the_database() -> float:
    """How many events only the database found fault with, which cleaning should have."""
    return REGISTRY.get_sample_value("ingest_events_total", {"result": "not_storable"}) or 0.0


def test_ten_thousand_damaged_requests_cost_nobody_else_anything(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = ingest.source()
    draw = random.Random(SEED)
    refused_before = refused_by_the_database()
    requests = [mutated(draw, number) for number in range(REQUESTS)]
    replies = deliver(requests)
    ingest.start()

    statuses = {reply.status for reply in replies}
    assert statuses <= {200, 400, 401}
    assert not [record for record in caplog.records if record.exc_info]
    sound = set().union(*(request[4] for request in requests))
    stored = {row[0] for row in ingest.query("SELECT message_id FROM event_log WHERE source_id = %s", source.source_id)}
    assert sound - stored == set()
    assert sum(bool(request[4]) for request in requests) >= REQUESTS // 3
    received, rejected, duplicate, accepted = ingest.counts(source)
    assert refused_by_the_database() == refused_before
    assert received == rejected + duplicate + accepted
    assert accepted == len(ingest.bodies(source))
    assert all(
        reply.body == answers.PIXEL for reply, request in zip(replies, requests, strict=True) if request[0] == "GET"
    )
