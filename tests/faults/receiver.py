"""A receiver that can be switched at run time and counts what it has taken, by message id and by delivery id.

One thread and a raw protocol, so that the receiver is never what a test waits for. Each channel is a path with a mode
of its own: a status to answer with, HANG or CLOSE; `extra` holds header lines of its answers, `said` their body. Only
what was answered with 2xx counts as taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from tests.faults.product import wait_until

HANG, CLOSE = 0, -1
Headers: TypeAlias = dict[str, str]
# What a channel answers with: a status, or a function of the request that gives one.
Mode: TypeAlias = int | Callable[[Headers, bytes], int]


@dataclass(slots=True)
class Channel:
    """One destination's end: how it behaves now, and what it has taken."""

    url: str
    mode: Mode = 200
    keeps_bodies: bool = False
    extra: str = ""
    said: bytes = b"ok"
    is_echo: bool = False
    asked: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[Headers, bytes]] = field(default_factory=list)

    def take(self, headers: Headers, body: bytes) -> int:
        """Look at one request and say how it is answered."""
        self.asked += 1
        status = self.mode(headers, body) if callable(self.mode) else self.mode
        if self.keeps_bodies:
            self.requests.append((headers, body))
        if 200 <= status < 300:
            self._count(headers, json.loads(body))
        return status

    def missing(self, message_ids: Iterable[str]) -> set[str]:
        """Those of the message ids that have not been taken."""
        return set(message_ids) - self.messages.keys()

    def invented(self, message_ids: Iterable[str]) -> set[str]:
        """What was taken though nobody had sent it."""
        return self.messages.keys() - set(message_ids)

    def repeats(self) -> int:
        """How often something was taken once more."""
        return self.messages.total() - len(self.messages)

    def await_all(self, message_ids: Iterable[str], seconds: float = 120.0) -> None:
        """Wait until everything has arrived."""
        wanted = set(message_ids)
        wait_until(lambda: not self.missing(wanted), seconds, f"of {len(wanted)} sent, some have not arrived")

    def _count(self, headers: Headers, body: Any) -> None:
        self.deliveries[headers.get("webhook-id", "")] += 1
        for message in body if isinstance(body, list) else [body]:
            self.messages[message["messageId"]] += 1
            if self.keeps_bodies:
                self.bodies.append(message)


class SwitchReceiver:
    """Runs from `with` to its end; `close_port` and `open_port` take it off the network and back."""

    def __init__(self) -> None:
        self.port = 0
        self._channels: dict[str, Channel] = {}
        self._protocols: set[_Protocol] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="switch-receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.open_port()
        return self

    def __exit__(self, *_: object) -> None:
        self.close_port()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def channel(self, name: str, mode: Mode = 200, *, keeps_bodies: bool = False) -> Channel:
        """A path of this receiver with counts of its own."""
        made = Channel(f"http://127.0.0.1:{self.port}/{name}", mode, keeps_bodies)
        self._channels[f"/{name}"] = made
        return made

    def open_port(self) -> None:
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def close_port(self) -> None:
        """Stop listening and end every connection."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def answer(self, path: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
        """The status of an answer and its bytes; an echo says what it was sent, as careless receivers do."""
        channel = self._channels.get(path)
        if channel is None:
            return 404, b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
        status = channel.take(headers, body)
        said = repr(headers).encode() if channel.is_echo else channel.said
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\n{channel.extra}\r\n"
        return status, head.encode() + said

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(lambda: _Protocol(self), "127.0.0.1", self.port, backlog=1024)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for protocol in list(self._protocols):
                protocol.transport.abort()
            while self._protocols:
                await asyncio.sleep(0)
            await server.wait_closed()

    def joined(self, protocol: _Protocol) -> None:
        self._protocols.add(protocol)

    def left(self, protocol: _Protocol) -> None:
        self._protocols.discard(protocol)


class _Protocol(asyncio.Protocol):
    """Just enough HTTP/1.1 for requests with a Content-Length."""

    transport: asyncio.Transport

    def __init__(self, receiver: SwitchReceiver) -> None:
        self._receiver = receiver
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._receiver.joined(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._receiver.left(self)

    def data_received(self, received: bytes) -> None:
        self._buffer += received
        while self._take_one():
            pass

    def _take_one(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            return False
        self._buffer = rest[size:]
        status, answer = self._receiver.answer(first.split(" ")[1], headers, rest[:size])
        if status == CLOSE:
            self.transport.abort()
        elif status != HANG:
            with contextlib.suppress(RuntimeError):
                self.transport.write(answer)
        return status > 0
