"""The one safe way out over HTTP: a curl handle that asks the gate about every address, and one plain blocking call.

Every limit that protects this process from a hostile receiver is set here, once per handle: no redirect, no proxy, no
decompression, a wall-clock limit, a capped answer. `hub.delivery.sender` drives many such handles at once; any other
room uses `call`.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pycurl

from hub.lib.gate import BlockedURL, Gate

try:
    import certifi
except ImportError:
    certifi = None  # type: ignore[assignment]

__all__ = ["ABORTED", "Answer", "BlockedURL", "Gate", "Wire", "call"]

ANSWER_BYTES = 64 * 1024
DECLARED_BYTES = 1024 * 1024
HEADER_BYTES = 16 * 1024
SMALL_UPLOAD, LARGE_UPLOAD = 64 * 1024, 512 * 1024
CONNECT_TIMEOUT_MS = 5_000
# A pooled connection outlives neither a changed DNS answer nor a changed gate for long.
IDLE_CONNECTION_SECONDS, CONNECTION_SECONDS = 60, 600
ABORTED = -1

ERRORS: dict[int, str] = {
    ABORTED: "aborted",
    **dict.fromkeys((pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY), "dns"),
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    # Only a judged certificate is "tls", which stops a destination; a handshake that broke says nothing for good.
    **dict.fromkeys(
        (pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR, pycurl.E_SSL_INVALIDCERTSTATUS), "tls"
    ),
    **dict.fromkeys(
        (
            *(pycurl.E_COULDNT_CONNECT, pycurl.E_SSL_CONNECT_ERROR, pycurl.E_SSL_CIPHER, pycurl.E_USE_SSL_FAILED),
            *(pycurl.E_SSL_ENGINE_NOTFOUND, pycurl.E_SSL_ENGINE_SETFAILED, pycurl.E_SSL_ENGINE_INITFAILED),
            *(pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CRL_BADFILE),
        ),
        "connect",
    ),
    **dict.fromkeys(
        (
            *(pycurl.E_SEND_ERROR, pycurl.E_SEND_FAIL_REWIND, pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT),
            *(pycurl.E_URL_MALFORMAT, pycurl.E_BAD_FUNCTION_ARGUMENT),
        ),
        "send",
    ),
}
# We cut these answers ourselves; the status line had arrived, and that is the answer.
CUT = frozenset({pycurl.E_WRITE_ERROR, pycurl.E_FILESIZE_EXCEEDED})

METHOD = re.compile(r"[A-Z]{1,20}\Z")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# Connections are shared by all callers of one host: a header that moves the border between two requests would let one
# tenant answer another's.
FRAMING = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)


@dataclass(slots=True)
class Answer:
    """What came back of one call. `error` is None for any readable status, else the word a tenant may see."""

    status: int
    error: str | None = None
    retry_after: float | None = None
    body: bytes = b""
    headers: Sequence[bytes] = ()
    duration_ms: float = 0.0
    truncated: bool = False
    sent: bool = True

    def header(self, name: str) -> str | None:
        """The last value of a header, when headers were collected."""
        wanted = name.lower().encode("ascii")
        for line in reversed(self.headers):
            key, _, value = line.partition(b":")
            if key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return None


@cache
def ca_bundle() -> str | None:
    """The certificates to trust: what the system says, then the usual places. The pycurl wheel knows only Red Hat's."""
    places = [
        ssl.get_default_verify_paths().cafile,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        certifi.where() if certifi is not None else None,
    ]
    return next((place for place in places if place and Path(place).is_file()), None)


class HandedOver:
    """A socket that pycurl duplicates and then drops; dropped bare, it would warn of not having been closed."""

    __slots__ = ("_opened",)

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def fileno(self) -> int:
        return self._opened.fileno()

    def __del__(self) -> None:
        self._opened.close()


class Wire:
    """One curl handle, made safe once and used for many calls, one after the other.

    `load` sets the next request, a multi handle (or `easy.perform`) carries it, `answer` reads what happened. `watch`
    is told of each socket that is opened; `flight` is the driver's own note about the call under way.
    """

    __slots__ = (
        "_address_count",
        "_body",
        "_body_bytes",
        "_bodyless",
        "_collecting",
        "_gate",
        "_header_bytes",
        "_header_lines",
        "_header_starts",
        "_large_upload",
        "_max_bytes",
        "_method",
        "_refused_count",
        "_scheme",
        "_timeout_ms",
        "_truncated",
        "_url",
        "easy",
        "flight",
        "started_at",
        "watch",
    )

    def __init__(self, gate: Gate, max_bytes: int = ANSWER_BYTES, ca_file: str | None = None) -> None:
        self._gate = gate
        self._max_bytes = max_bytes
        self._url = self._method = self._scheme = ""
        self._bodyless: bool | None = None
        self._timeout_ms = 0
        self._collecting = self._large_upload = False
        self._header_starts: list[str] = []
        self._clear()
        self.watch: Callable[[socket.socket], None] | None = None
        self.flight: Any = None
        self.started_at = 0.0
        self.easy = pycurl.Curl()
        self.easy.wire = self
        self._make_safe(ca_file or ca_bundle())

    def _make_safe(self, ca_file: str | None) -> None:
        set_option = self.easy.setopt
        set_option(pycurl.NOSIGNAL, 1)
        set_option(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        set_option(pycurl.FOLLOWLOCATION, 0)
        set_option(pycurl.PROXY, "")
        set_option(pycurl.NOPROXY, "*")
        set_option(pycurl.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
        set_option(pycurl.MAXAGE_CONN, IDLE_CONNECTION_SECONDS)
        set_option(pycurl.MAXLIFETIME_CONN, CONNECTION_SECONDS)
        set_option(pycurl.TCP_NODELAY, 1)
        set_option(pycurl.SSL_VERIFYPEER, 1)
        set_option(pycurl.SSL_VERIFYHOST, 2)
        set_option(pycurl.USERAGENT, "Headwater/1")
        set_option(pycurl.MAXFILESIZE_LARGE, max(DECLARED_BYTES, self._max_bytes))
        set_option(pycurl.WRITEFUNCTION, self._take)
        set_option(pycurl.OPENSOCKETFUNCTION, self._open)
        if ca_file is not None:
            set_option(pycurl.CAINFO, ca_file)

    def load(
        self, method: str, url: str, headers: Sequence[str], body: bytes | None, timeout_ms: int, collect: bool = False
    ) -> str | None:
        """Set the next request. An error word means that it can never be sent."""
        easy = self.easy
        body = body or None
        try:
            if url != self._url:
                self._aim(url)
            if method != self._method or (body is None) != self._bodyless:
                self._shape(method, body is None)
            if body is not None:
                if (len(body) > SMALL_UPLOAD) != self._large_upload:
                    self._large_upload = not self._large_upload
                    easy.setopt(pycurl.UPLOAD_BUFFERSIZE, LARGE_UPLOAD if self._large_upload else SMALL_UPLOAD)
                easy.setopt(pycurl.POSTFIELDS, body)
            self._check_headers(headers)
            # Both are named empty so that libcurl adds neither its own type nor a wait for "100 Continue".
            easy.setopt(pycurl.HTTPHEADER, [*headers, "Expect:", "Content-Type:"])
            if timeout_ms != self._timeout_ms:
                easy.setopt(pycurl.TIMEOUT_MS, max(1, timeout_ms))
                self._timeout_ms = timeout_ms
            if collect != self._collecting:
                self._collect(collect)
        except BlockedURL as error:
            self._gate.on_refusal(error.code)
            return "blocked"
        except (UnicodeError, ValueError, pycurl.error):
            return "send"
        return None

    def answer(self, code: int) -> Answer:
        """What the call came to, by libcurl's code; the wire is free for the next one after this."""
        easy = self.easy
        status = easy.getinfo(pycurl.RESPONSE_CODE)
        pieces, headers = self._body, self._header_lines
        if 300 <= status < 400 and not headers:  # the owner is always told where to
            target = easy.getinfo_raw(pycurl.REDIRECT_URL)
            headers = (b"location: " + target,) if target else ()
        answer = Answer(
            status,
            None if code == 0 else self._error(code, status),
            None if status < 300 else float(easy.getinfo(pycurl.RETRY_AFTER)) or None,
            pieces[0] if len(pieces) == 1 else b"".join(pieces),
            headers,
            easy.getinfo(pycurl.TOTAL_TIME) * 1000.0,
            self._truncated or code in CUT,
            code == 0 or easy.getinfo(pycurl.REQUEST_SIZE) > 0,
        )
        self._clear()
        return answer

    def close(self) -> None:
        """Let the handle go. Its connections belong to the multi handle and stay."""
        self.easy.wire = None
        self.easy.close()

    def _clear(self) -> None:
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._header_lines: Sequence[bytes] = ()
        self._header_bytes = 0
        self._truncated = False
        self._address_count = self._refused_count = 0

    def _aim(self, url: str) -> None:
        normal = self._gate.check_url(url)
        self.easy.setopt(pycurl.URL, normal)
        self._scheme = normal.partition(":")[0]
        self._url = url

    def _shape(self, method: str, bodyless: bool) -> None:
        if not METHOD.match(method):
            raise ValueError("not a method")
        easy = self.easy
        if method == "HEAD" and bodyless:
            easy.setopt(pycurl.NOBODY, 1)
        elif bodyless and method not in ("POST", "PUT", "PATCH"):
            easy.setopt(pycurl.HTTPGET, 1)
        else:
            easy.setopt(pycurl.POST, 1)
            easy.setopt(pycurl.POSTFIELDS, b"")
        if method == "POST" or (bodyless and method in ("GET", "HEAD")):
            easy.unsetopt(pycurl.CUSTOMREQUEST)
        else:
            easy.setopt(pycurl.CUSTOMREQUEST, method)
        self._method, self._bodyless = method, bodyless

    def _check_headers(self, headers: Sequence[str]) -> None:
        known = self._header_starts
        if len(headers) != len(known) or not all(map(str.startswith, headers, known)):
            names = [line.partition(":")[0] for line in headers]
            for name in names:
                if not HEADER_NAME.match(name) or name.lower() in FRAMING:
                    raise ValueError("a header that may not be set")
            self._header_starts = [f"{name}:" for name in names]
        text = "".join(headers)
        if "\n" in text or "\r" in text or "\0" in text:
            raise ValueError("a line break in a header")

    def _collect(self, collect: bool) -> None:
        if collect:
            self.easy.setopt(pycurl.HEADERFUNCTION, self._take_header)
        else:
            self.easy.unsetopt(pycurl.HEADERFUNCTION)
        self._collecting = collect

    def _error(self, code: int, status: int) -> str | None:
        if code in CUT and status:
            return None
        if code == pycurl.E_COULDNT_CONNECT and self._refused_count and self._refused_count == self._address_count:
            return "blocked"
        return ERRORS.get(code, "incomplete")

    def _open(self, _purpose: int, target: Any) -> HandedOver | int:
        """libcurl's question before each connection, with the resolved address."""
        family, kind, protocol, address = target
        self._address_count += 1
        refusal: str | None = "blocked_address"
        if family in (socket.AF_INET, socket.AF_INET6):
            refusal = self._gate.refusal(address[0], address[1], self._scheme)
        if refusal is not None:
            self._refused_count += 1
            self._gate.on_refusal(refusal)
            return int(pycurl.SOCKET_BAD)
        opened = socket.socket(family, kind, protocol)
        if self.watch is not None:
            self.watch(opened)
        return HandedOver(opened)

    def _take(self, piece: bytes) -> int | None:
        room = self._max_bytes - self._body_bytes
        if len(piece) > room:
            self._truncated = True
            self._body.append(piece[:room])
            self._body_bytes = self._max_bytes
            return 0
        self._body_bytes += len(piece)
        self._body.append(piece)
        return None

    def _take_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # an interim 1xx answer came before: only the last block counts
            self._header_lines, self._header_bytes = [], 0
            return
        stripped = line.strip()
        self._header_bytes += len(stripped)
        if stripped and self._header_bytes <= HEADER_BYTES and isinstance(self._header_lines, list):
            self._header_lines.append(stripped)


def call(
    gate: Gate,
    method: str,
    url: str,
    headers: Sequence[str] = (),
    body: bytes | None = None,
    timeout_seconds: float = 15.0,
    max_bytes: int = ANSWER_BYTES,
) -> Answer:
    """Make one safe blocking call. Never raises for what the network or the receiver does: see `Answer.error`."""
    wire = Wire(gate, max_bytes)
    try:
        refused = wire.load(method, url, headers, body, int(timeout_seconds * 1000), collect=True)
        if refused is not None:
            return Answer(0, refused, sent=False)
        code = 0
        try:
            wire.easy.perform()
        except pycurl.error as error:
            code = error.args[0]
        return wire.answer(code)
    finally:
        wire.close()
