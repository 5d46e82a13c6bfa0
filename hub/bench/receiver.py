"""The receiver of benchmarks: raw asyncio over uvloop, no HTTP library, so that it is not what is measured.

It counts what is posted to it. `GET /count` tells how much and between which instants, `GET /arrivals` when each
message of `/traced` came; both in the machine's monotonic time, which all processes share.
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

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = b"\r\ncontent-length:"
MESSAGE_ID = b'"messageId":"'
TRACED = b"POST /traced"
HOST = "127.0.0.1"


@dataclass(slots=True)
class Tally:
    """What has arrived so far."""

    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    arrivals: list[tuple[str, float]] = field(default_factory=list)


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
        tally.last_at = time.monotonic()
        tally.first_at = tally.first_at or tally.last_at
        tally.count += 1
        if data.startswith(TRACED, start):
            tally.arrivals.append((message_id(data, head_end, end), tally.last_at))
        return OK


def body_length(data: bytes | bytearray, start: int, head_end: int) -> int:
    head = bytes(data[start : head_end + 2]).lower()
    place = head.find(LENGTH)
    return int(head[place + len(LENGTH) : head.index(b"\r", place + 2)]) if place >= 0 else 0


def message_id(data: bytes | bytearray, start: int, end: int) -> str:
    place = data.find(MESSAGE_ID, start, end)
    if place < 0:
        return ""
    return bytes(data[place + len(MESSAGE_ID) : data.index(b'"', place + len(MESSAGE_ID))]).decode()


def told(tally: Tally, head: bytes) -> bytes:
    """Answer a question about what has arrived; `/reset` forgets it."""
    body: object = {"count": tally.count, "first_at": tally.first_at, "last_at": tally.last_at}
    if head.startswith(b"GET /arrivals"):
        body = tally.arrivals
    elif head.startswith(b"GET /reset"):
        tally.count, tally.first_at, tally.last_at, tally.arrivals = 0, 0.0, 0.0, []
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


class ReceiverClient:
    """The benchmark's side: where to send, and what has arrived."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def count(self) -> Tally:
        told = self._ask("/count")
        return Tally(told["count"], told["first_at"], told["last_at"])

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
