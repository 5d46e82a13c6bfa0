"""A mail server that keeps what it gets and answers as it is told to: a small honest SMTP, with STARTTLS and AUTH."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """One mail: its envelope and content."""

    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""
    connection: int = 0
    is_encrypted: bool = False


class MailServer:
    """`answers` maps the beginning of a command line, or `.` for the content's end, to the reply instead of the usual.

    The reply `hang` never comes, `drop` closes the connection without one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, is_tls_at_once: bool = False) -> None:
        self.tls = tls
        self.is_tls_at_once = is_tls_at_once
        self.greeting = "220 mail.acme.test"
        self.passwords: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self.size_limit = 0
        self.mails: list[Received] = []
        self.commands: list[str] = []
        self.connection_count = 0
        self.end = threading.Event()
        self._server = Server(("127.0.0.1", 0), Session)
        self._server.house = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    house: MailServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about."""


class Hung(Exception):
    """The server says no more."""


class Session(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        house = self.server.house
        house.connection_count += 1
        self.number, self.is_encrypted, self.mail = house.connection_count, False, Received()
        if house.is_tls_at_once and house.tls is not None:
            self._encrypt(house.tls)
        self.file = self.request.makefile("rb")
        with contextlib.suppress(Hung, OSError):
            self._say(house.greeting)
            while line := self.file.readline():
                if not self._obey(line.decode("latin-1").strip()):
                    break
        self.file.close()
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)
        self.request.close()

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self.request = context.wrap_socket(self.request, server_side=True)
        self.is_encrypted = True

    def _say(self, *lines: str) -> None:
        if lines[0] == "hang":
            self.server.house.end.wait()
            raise Hung
        if lines[0] == "drop":
            raise Hung
        for place, line in enumerate(lines):
            mark = " " if place == len(lines) - 1 else "-"
            self.request.sendall(f"{line[:3]}{mark}{line[4:]}\r\n".encode())

    def _obey(self, line: str) -> bool:
        house = self.server.house
        house.commands.append(line)
        told = next((reply for start, reply in house.answers.items() if line.upper().startswith(start.upper())), None)
        if told is not None and start_of(line) != "DATA":
            self._say(told)
            return not told.startswith("421")
        verb, _, rest = line.partition(" ")
        act = getattr(self, f"_{verb.lower()}", None)
        if act is None:
            self._say("502 no such command")
            return True
        return act(rest) is not False

    def _ehlo(self, rest: str) -> None:
        house = self.server.house
        lines = ["250 mail.acme.test"]
        if house.tls is not None and not self.is_encrypted:
            lines.append("250 STARTTLS")
        if house.passwords and (self.is_encrypted or house.tls is None):
            lines.append("250 AUTH PLAIN LOGIN")
        if house.size_limit:
            lines.append(f"250 SIZE {house.size_limit}")
        self._say(*lines)

    def _starttls(self, rest: str) -> None:
        context = self.server.house.tls
        assert context is not None
        self._say("220 go ahead")
        self.file.close()
        self._encrypt(context)
        self.file = self.request.makefile("rb")

    def _auth(self, rest: str) -> None:
        kind, _, given = rest.partition(" ")
        if kind != "PLAIN":
            self._say("535 5.7.8 bad credentials")
            return
        _, name, password = base64.b64decode(given).decode().split("\0")
        is_known = self.server.house.passwords.get(name) == password
        self._say("235 welcome" if is_known else "535 5.7.8 bad credentials")

    def _mail(self, rest: str) -> None:
        self.mail = Received(rest.partition("<")[2].partition(">")[0], connection=self.number)
        self.mail.is_encrypted = self.is_encrypted
        self._say("250 ok")

    def _rcpt(self, rest: str) -> None:
        self.mail.recipients.append(rest.partition("<")[2].partition(">")[0])
        self._say("250 ok")

    def _data(self, rest: str) -> None:
        house = self.server.house
        told = house.answers.get("DATA")
        if told is not None:
            self._say(told)
            return
        self._say("354 go ahead")
        lines = []
        while (line := self.file.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        self.mail.content = b"".join(lines)
        told = house.answers.get(".")
        if told is None or told == "drop":
            house.mails.append(self.mail)
        self._say(told or "250 2.0.0 queued as 4711")

    def _noop(self, rest: str) -> None:
        self._say("250 ok")

    _rset = _noop

    def _quit(self, rest: str) -> bool:
        self._say("221 bye")
        return False


def start_of(line: str) -> str:
    return line.partition(" ")[0].upper()
