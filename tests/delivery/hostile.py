"""Receivers that misbehave below HTTP, on raw sockets: each entry of `MISCHIEF` is what one does with a connection.

`tests.receivers` misbehaves inside the protocol. Here are those that answer before they were asked, tell wrong
lengths, reset in mid-answer, or stop in the middle of a TLS handshake.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

HEAD = b"HTTP/1.1 200 OK\r\n"
PIECE = b"y" * 16_384


class RawServer:
    """Hands every connection to `behave` in a thread of its own, from `with` to its end."""

    def __init__(self, behave: Callable[[socket.socket], None], scheme: str = "http") -> None:
        self._behave, self._scheme = behave, scheme
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="raw-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)
        for connection in self._open:
            connection.close()

    def url(self, path: str = "/") -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.getsockname()[1]}{path}"

    @property
    def connections(self) -> int:
        return len(self._open)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._behave(connection)


def read_request(connection: socket.socket) -> bytes:
    """One request with a body of known length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
    while len(body) < length:
        body += receive(connection)
    return head + b"\r\n\r\n" + body


def receive(connection: socket.socket) -> bytes:
    piece = connection.recv(65_536)
    if not piece:
        raise ConnectionResetError
    return piece


def wait_for_the_end(connection: socket.socket) -> None:
    """Say nothing more until the caller gives up."""
    while connection.recv(65_536):
        pass


def reset(connection: socket.socket) -> None:
    """End a connection by RST, as a crashed or cut-off machine does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(*pieces: bytes, then: Callable[[socket.socket], None] = socket.socket.close) -> Callable[..., None]:
    """Read a request, say exactly this, and do `then`."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
        then(connection)

    return behave


def endlessly(start: bytes, piece: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            threading.Event().wait(pause)

    return behave


def answers_unasked(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    wait_for_the_end(connection)


def accepts_and_is_silent(connection: socket.socket) -> None:
    wait_for_the_end(connection)


def reads_nothing(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    threading.Event().wait(30)


def stops_in_the_handshake(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"\x16\x03\x03\x40\x00\x02")  # a record that announces 16 KB of ServerHello
    wait_for_the_end(connection)


def speaks_plain_http_to_tls(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    connection.close()


MISCHIEF: dict[str, Callable[[socket.socket], None]] = {
    "is silent": accepts_and_is_silent,
    "reads nothing": reads_nothing,
    "drips a body": endlessly(HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 0.05),
    "drips headers": endlessly(HEAD, b"X-More: 1\r\n", 0.05),
    "drips chunks": endlessly(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05),
    "goes on processing": endlessly(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01),
    "sends headers without end": endlessly(HEAD, b"X-More: " + b"y" * 2_000 + b"\r\n"),
    "sends a body without end": endlessly(HEAD + b"Connection: close\r\n\r\n", PIECE),
    "sends chunks without end": endlessly(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + PIECE + b"\r\n"),
    "declares ten gigabytes": says(HEAD + b"Content-Length: 10000000000\r\n\r\n", PIECE, then=wait_for_the_end),
    "sends a header of a megabyte": says(HEAD + b"X-Large: " + b"y" * 1_000_000 + b"\r\n\r\n"),
    "sends a NUL in a header": says(HEAD + b"X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n"),
    "sends a NUL in its status line": says(b"HTTP/1.1 200 \0K\r\nContent-Length: 0\r\n\r\n"),
    "is another protocol": says(b"220 secret-banner.internal ESMTP ready\r\n"),
    "is binary": says(bytes(range(256)) * 64),
    "closes at once": socket.socket.close,
    "closes without an answer": says(),
    "closes in mid-body": says(HEAD + b"Content-Length: 1000\r\n\r\nhalf"),
    "closes in mid-header": says(HEAD + b"Content-Le"),
    "resets before its answer": says(then=reset),
    "resets in mid-body": says(HEAD + b"Content-Length: 1000\r\n\r\nhalf", then=reset),
    "breaks a chunk's length": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
    "declares a negative length": says(HEAD + b"Content-Length: -5\r\n\r\nhello"),
    "declares two lengths": says(HEAD + b"Content-Length: 5\r\nContent-Length: 2\r\n\r\nhello"),
    "answers in mid-request with 500": says(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno"),
    "has a status of four digits": says(b"HTTP/1.1 9999 X\r\nContent-Length: 0\r\n\r\n"),
    "has no status": says(b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    "speaks HTTP/9": says(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "switches protocols": says(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", then=wait_for_the_end
    ),
}
TLS_MISCHIEF: dict[str, Callable[[socket.socket], None]] = {
    "is silent": accepts_and_is_silent,
    "stops in the handshake": stops_in_the_handshake,
    "speaks plain HTTP": speaks_plain_http_to_tls,
    "closes at once": socket.socket.close,
}
