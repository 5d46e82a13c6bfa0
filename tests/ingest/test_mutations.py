"""Ten thousand damaged requests: none may cost more than itself.

Valid bodies of every endpoint are mutated at random, from a fixed seed: as text, as values, in their packing, and in
the pieces that they arrive in. No answer may be a 5xx, and every message that is still valid must be in the log.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import zlib
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import REGISTRY

from hub.ingest import answers
from hub.web.bodies import bodies
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


def packed(draw: random.Random, body: bytes) -> bytes:
    """The body as gzip, in any of the ways that are sound: level, window, stored blocks, flushes, a name."""
    kind = draw.randrange(4)
    if kind == 0:
        return gzip.compress(body, draw.randrange(10))
    packer = zlib.compressobj(draw.randrange(10), wbits=16 + draw.randrange(9, 16))
    if kind == 1:
        return packer.compress(body) + packer.flush()
    pieces = []
    for part in cut(draw, body):
        pieces += [packer.compress(part), packer.flush(draw.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH]))]
    return b"".join(pieces) + packer.flush()


def broken_packing(draw: random.Random, raw: bytes) -> bytes:
    """A gzip body with something wrong that only shows while it is unpacked, or after."""
    return draw.choice(
        [
            lambda: raw[: draw.randrange(len(raw))],
            lambda: raw + draw.choice([b"\x00", b"garbage", raw[:10]]),
            lambda: raw + raw,
            lambda: gzip.compress(raw),
            lambda: raw[:-8] + bytes(4) + raw[-4:],
            lambda: raw[:-4] + b"\xff\xff\xff\xff",
            lambda: raw[:2] + bytes([draw.randrange(256)]) + raw[3:],
            lambda: gzip.compress(b" " * draw.choice([50_000, 600_000, 20_000_000]), 9),
            lambda: zlib.compress(raw),
        ]
    )()


def cut(draw: random.Random, body: bytes) -> list[bytes]:
    """The body in pieces, some of which may be empty."""
    places = sorted(draw.randrange(len(body) + 1) for _ in range(draw.randrange(1, 8)))
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


@dataclass(frozen=True)
class Mutant:
    """One request, and the ids of the messages that are untouched in it."""

    method: str
    path: str
    query: str = ""
    chunks: tuple[bytes | None, ...] = (b"",)
    packing: str = ""
    sound: frozenset[str] = frozenset()

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Encoding": self.packing} if self.packing else {}


def pixel(draw: random.Random, number: int) -> Mutant:
    item = message(draw, number * 10)
    is_sound = draw.random() < 0.5
    item = (item if is_sound else spoiled(draw, item)) | {"writeKey": WRITE_KEY}
    data = quote(base64.b64encode(json.dumps(item).encode()).decode())
    return Mutant("GET", "/v1/pixel/track", f"data={data}", sound=frozenset({item["messageId"]} if is_sound else ()))


def posted(draw: random.Random, number: int) -> tuple[str, bytes, frozenset[str]]:
    """Path and body of a message or a batch, some of whose messages are spoiled, and the ids of the others."""
    is_single = draw.random() < 0.25
    items = [message(draw, number * 10 + place) for place in range(1 if is_single else draw.randrange(1, 5))]
    hurt = {place for place in range(len(items)) if draw.random() < 0.4}
    sound = frozenset(item["messageId"] for place, item in enumerate(items) if place not in hurt)
    items = [spoiled(draw, item) if place in hurt else item for place, item in enumerate(items)]
    payload = {**items[0], "writeKey": WRITE_KEY} if is_single else {"batch": items, "writeKey": WRITE_KEY}
    return "/v1/" + draw.choice(SINGLE if is_single else BATCH), json.dumps(payload).encode(), sound


def mutated(draw: random.Random, number: int) -> Mutant:
    """One request, hurt in some ways or in none."""
    if draw.random() < 0.05:
        return pixel(draw, number)
    path, body, sound = posted(draw, number)
    packing = ""
    if draw.random() < 0.2:
        body, sound = scarred(draw, body), frozenset()
    if draw.random() < 0.3:
        body, packing = packed(draw, body), draw.choice(["gzip", "GZIP", "x-gzip"])
        if draw.random() < 0.4:
            body, sound = draw.choice([scarred, broken_packing])(draw, body), frozenset()
    mutant = Mutant("POST", path, chunks=(body,), packing=packing, sound=sound)
    return framed(draw, mutant, body)


def framed(draw: random.Random, mutant: Mutant, body: bytes) -> Mutant:
    """The request with its body in pieces, which may break off."""
    if draw.random() < 0.5:
        return mutant
    pieces = cut(draw, body)
    if draw.random() < 0.1:
        return replace(mutant, chunks=(*pieces[: draw.randrange(len(pieces))], None), sound=frozenset())
    return replace(mutant, chunks=tuple(pieces))


def deliver(requests: list[Mutant]) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(requests), AT_ONCE):
            replies += await asyncio.gather(
                *(
                    FrontDoor().exchange(each.method, each.path, each.chunks, each.headers, each.query)
                    for each in requests[start : start + AT_ONCE]
                )
            )
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
    sound = set().union(*(request.sound for request in requests))
    stored = {row[0] for row in ingest.query("SELECT message_id FROM event_log WHERE source_id = %s", source.source_id)}
    assert sound - stored == set()
    assert sum(bool(request.sound) for request in requests) >= REQUESTS // 3
    assert sum(None in request.chunks for request in requests) >= REQUESTS // 50
    assert bodies.held == 0
    received, rejected, duplicate, accepted = ingest.counts(source)
    assert refused_by_the_database() == refused_before
    assert received == rejected + duplicate + accepted
    assert accepted == len(ingest.bodies(source))
    assert all(
        reply.body == answers.PIXEL for reply, request in zip(replies, requests, strict=True) if request.method == "GET"
    )
