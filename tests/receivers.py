"""A hostile HTTP receiver on loopback: each path misbehaves in its own way, and every request is kept.

    with Receiver() as receiver:
        receiver.url("/status/503")

Paths: /ok /echo /status/<code> /delay/<ms> /busy /redirect /moved /hang /drip /slow-headers /processing
/endless-headers /huge /huge-declared /gzip-bomb /close /cut /garbage. `script(path, statuses)` answers a path with each
status in turn, then with 200; `rule(path, decide)` by a function of the request. It speaks HTTP/1.1 over raw asyncio,
in a thread and loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Self

PIECE = b"x" * 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `connection` numbers the connections in the order they were opened."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    header_lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a rule of a test's own answers."""

    status: int
    body: bytes = b""
    headers: tuple[str, ...] = ()


class Receiver:
    """Runs from `with` to its end; `requests` is safe to read at any time."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, backlog: int = 4_096) -> None:
        self.host, self.port = host, 0
        self.requests: list[Request] = []
        self.connections = self.open_connections = self.busiest = 0
        self._under_way = 0
        self._tls, self._backlog = tls, backlog
        self._scripts: dict[str, deque[int]] = {}
        self._rules: dict[str, Callable[[Request], Reply]] = {}
        self._redirects: dict[str, tuple[int, str]] = {}
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def url(self, path: str = "/ok", host: str | None = None) -> str:
        name = host or self.host
        shown = f"[{name}]" if ":" in name else name
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}{path}"

    def script(self, path: str, statuses: Iterable[int]) -> str:
        self._scripts[path] = deque(statuses)
        return self.url(path)

    def script_redirect(self, status: int, target: str) -> str:
        """A URL that answers with this status and sends its callers elsewhere."""
        self._redirects[f"/moved/{status}"] = (status, target)
        return self.url(f"/moved/{status}")

    def rule(self, path: str, decide: Callable[[Request], Reply]) -> str:
        self._rules[path] = decide
        return self.url(path)

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, self.host, 0, ssl=self._tls, backlog=self._backlog)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open_connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer_one(reader, writer, number):
                    pass
        finally:
            self.open_connections -= 1
            writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        lines = [line for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, body, number, lines)
        self.requests.append(request)
        self._under_way += 1
        self.busiest = max(self.busiest, self._under_way)
        try:
            return await self._behave(request, reader, writer)
        finally:
            self._under_way -= 1

    async def _behave(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        path = request.path.partition("?")[0]
        if path in self._scripts:
            statuses = self._scripts[path]
            return await plain(writer, statuses.popleft() if statuses else 200)
        if path in self._rules:
            reply = self._rules[path](request)
            return await plain(writer, reply.status, reply.body, *reply.headers)
        if path in self._redirects:
            status, target = self._redirects[path]
            return await plain(writer, status, b"", f"Location: {target}")
        name, _, rest = path[1:].partition("/")
        if name == "moving":
            return await plain(writer, 200, b"", 'Alt-Svc: h2=":1"', "Strict-Transport-Security: max-age=9999")
        if name == "status":
            return await plain(writer, int(rest))
        if name == "unstorable":  # a multi-status answer whose text no database takes
            return await plain(writer, 207, b'[{"status": 400, "message": "bad \\u0000 \\ud800 thing"}]')
        if name == "poison":  # refuses any body that says of itself that it is poison
            return await plain(writer, 400 if b'"poison":true' in request.body else 200)
        if name == "delay":
            await asyncio.sleep(int(rest) / 1000)
        if name == "echo":
            return await plain(writer, 200, request.body)
        if name == "hang":
            await reader.read()  # until the caller gives up
            return False
        misbehave = MISCHIEF.get(name)
        if misbehave is None:
            return await plain(writer, 200, b"" if request.method == "HEAD" else b"ok")
        await misbehave(writer)
        return False


async def plain(writer: asyncio.StreamWriter, status: int, body: bytes = b"", *headers: str) -> bool:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    return True


async def endlessly(writer: asyncio.StreamWriter, piece: bytes, pause: float) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)


async def busy(writer: asyncio.StreamWriter) -> None:
    await plain(writer, 503, b"later", "Retry-After: 7")


async def redirect(writer: asyncio.StreamWriter) -> None:
    await plain(writer, 302, b"", "Location: http://169.254.169.254/latest/meta-data/")


async def moved(writer: asyncio.StreamWriter) -> None:
    await plain(writer, 307, b"", "Location: /ok")


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    await endlessly(writer, b"x", 0.1)


async def slow_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endlessly(writer, b"X-More: 1\r\n", 0.1)


async def processing(writer: asyncio.StreamWriter) -> None:
    await endlessly(writer, b"HTTP/1.1 102 Processing\r\n\r\n", 0.1)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endlessly(writer, b"X-More: " + b"y" * 2_000 + b"\r\n", 0)


async def huge(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    await endlessly(writer, PIECE, 0)


async def huge_declared(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    await endlessly(writer, PIECE, 0)


@cache
def bomb() -> bytes:
    """200 KB that unpack to 50 MB."""
    return gzip.compress(b"\0" * 50_000_000, 1)


async def gzip_bomb(writer: asyncio.StreamWriter) -> None:
    await plain(writer, 200, bomb(), "Content-Encoding: gzip")


async def close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    await writer.drain()


async def garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP ready\r\n")
    await writer.drain()


MISCHIEF: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {
    "busy": busy,
    "redirect": redirect,
    "moved": moved,
    "drip": drip,
    "slow-headers": slow_headers,
    "processing": processing,
    "endless-headers": endless_headers,
    "huge": huge,
    "huge-declared": huge_declared,
    "gzip-bomb": gzip_bomb,
    "close": close,
    "cut": cut,
    "garbage": garbage,
}
