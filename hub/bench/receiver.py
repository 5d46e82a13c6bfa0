"""The receiver of benchmarks: raw asyncio over uvloop, no HTTP library, so that it is not what is measured.

It counts what is posted to it. The path says how it behaves: `/traced` notes when each message came, `/batch` counts
the messages of a body, `/flaky/20` refuses 20 of 100 calls and watches the order of each user's messages, `/hang` never
answers. `GET /count` tells what has come and between which instants, `GET /arrivals` when each traced message did;
both in the machine's monotonic time, which all processes share.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from hub.bench import children
from hub.bench.order import MESSAGE_ID, OrderWatch, text_after

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
TRACED, BATCH, FLAKY, HANG = b"POST /traced", b"POST /batch", b"POST /flaky/", b"POST /hang"
HOST = "127.0.0.1"


@dataclass(slots=True)
class Tally:
    """What has arrived so far; `count` is of calls, and in batches of messages."""

    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    arrivals: list[tuple[str, float]] = field(default_factory=list)
    hanging: int = 0
    order: OrderWatch = field(default_factory=OrderWatch)


class Counting(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._rest = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, piece: bytes) -> None:
        """Answer every whole request in what has come."""
        data: bytes | bytearray = piece
        if self._rest:
            self._rest += piece
            data = self._rest
        start, answers = 0, []
        while (head_end := data.find(b"\r\n\r\n", start)) >= 0:
            end = head_end + 4 + body_length(data, start, head_end)
            if end > len(data):
                break
            answers.append(self._answer(data, start, head_end, end))
            start = end
        if start < len(data):
            self._rest = bytearray(data[start:]) if start or not self._rest else self._rest
        elif self._rest:
            self._rest = bytearray()
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))

    def _answer(self, data: bytes | bytearray, start: int, head_end: int, end: int) -> bytes:
        tally = self._tally
        if not data.startswith(b"POST", start):
            return told(tally, bytes(data[start:head_end]))
        if data.startswith(HANG, start):
            tally.hanging += 1
            return b""
        if data.startswith(FLAKY, start):
            place = start + len(FLAKY)
            share = int(data[place : data.index(b" ", place)]) / 100
            if not tally.order.take(data, head_end, end, share):
                return UNAVAILABLE
        tally.last_at = time.monotonic()
        tally.first_at = tally.first_at or tally.last_at
        tally.count += data.count(MESSAGE_ID, head_end, end) if data.startswith(BATCH, start) else 1
        if data.startswith(TRACED, start):
            tally.arrivals.append((text_after(MESSAGE_ID, data, head_end, end).decode(), tally.last_at))
        return OK


def body_length(data: bytes | bytearray, start: int, head_end: int) -> int:
    head = bytes(data[start : head_end + 2]).lower()
    place = head.find(LENGTH)
    return int(head[place + len(LENGTH) : head.index(b"\r", place + 2)]) if place >= 0 else 0


def told(tally: Tally, head: bytes) -> bytes:
    """Answer a question about what has arrived; `/reset` forgets it."""
    watched = tally.order
    body: object = {
        "count": tally.count,
        "first_at": tally.first_at,
        "last_at": tally.last_at,
        "hanging": tally.hanging,
        "accepted": len(watched.accepted),
        "inversions": watched.inversions,
        "repeats": watched.repeats,
        "refused": watched.failed,
    }
    if head.startswith(b"GET /arrivals"):
        body = tally.arrivals
    elif head.startswith(b"GET /reset"):
        tally.count, tally.first_at, tally.last_at, tally.arrivals = 0, 0.0, 0.0, []
        tally.hanging, tally.order = 0, OrderWatch()
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the receiver tells: calls or messages, when the first and last came, and what the watch of order saw."""

    count: int
    first_at: float
    last_at: float
    hanging: int
    accepted: int
    inversions: int
    repeats: int
    refused: int


class ReceiverClient:
    """The benchmark's side: where to send, and what has arrived."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def count(self) -> Arrived:
        return Arrived(**self._ask("/count"))

    def arrivals(self) -> dict[str, float]:
        """When each traced message arrived first."""
        found: dict[str, float] = {}
        for name, at in self._ask("/arrivals"):
            found.setdefault(name, at)
        return found

    def reset(self) -> None:
        self._ask("/reset")

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def receiving() -> Iterator[ReceiverClient]:
    """Run a receiver in a process of its own."""
    with children.running(children.module("receiver")) as (ready, _pid):
        yield ReceiverClient(ready["port"])


async def serve() -> None:
    """Listen until stopped."""
    tally = Tally()
    server = await asyncio.get_running_loop().create_server(lambda: Counting(tally), HOST, 0, backlog=4096)
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
