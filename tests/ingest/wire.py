"""Bytes to a running server and back, with no HTTP library in between that would refuse to send them."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it stood on the wire."""

    status: int
    head: bytes
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection. Reading has a bound, which is for a server that hangs and is no measurement."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._left = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def answer(self) -> Answer | None:
        """The next answer, None when the connection ends instead."""
        while b"\r\n\r\n" not in self._left:
            if not self._more():
                return None
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        length = header(head, b"content-length")
        while length and len(self._left) < int(length):
            if not self._more():
                break
        size = int(length or 0)
        body, self._left = self._left[:size], self._left[size:]
        return Answer(int(head.split(b" ", 2)[1]), head, body)

    def answers(self) -> list[Answer]:
        """All answers until the server ends the connection."""
        found: list[Answer] = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found

    def is_ended(self) -> bool:
        """Wait for the other side to end the connection, whatever it still says."""
        while self._more():
            self._left = b""
        return True

    def drip(self, raw: bytes, every_seconds: float) -> None:
        """Send byte by byte in the background for as long as the other side takes it."""

        def send() -> None:
            for byte in raw:
                try:
                    self.socket.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(every_seconds)

        threading.Thread(target=send, daemon=True).start()

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self._left += data
        return bool(data)


def header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return None


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/track", length: bool = True) -> bytes:
    """A request's bytes."""
    lines = [b"POST %s HTTP/1.1" % path, b"Host: x", *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*parts: bytes, trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"
