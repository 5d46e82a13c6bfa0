"""What is kept of an attempt: request and answer as JSON texts, without secrets and cut to 2 KB of body each."""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from connectors.answers import LONGEST_WORDS
from connectors.http import ItemOutcome
from hub.delivery.calls import Call
from hub.lib.net import Answer

BODY_KEPT = HEADERS_KEPT = 2_048
# The longest text of a secret that a cut could fall into.
LONGEST_SECRET = 8_192
SHORTEST = 4
HIDDEN = "••••"
PACKED, GZIP = "content-encoding: gzip", 31
# Control characters but TAB, LF and CR: no database takes NUL, and a terminal obeys the others.
INVISIBLE = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A, 0x0D}, "�")
HIDDEN_HEADERS = re.compile(r"authorization|cookie|token|secret|password|api-?key|signature", re.IGNORECASE)


def credentials_of(call: Call) -> tuple[str, ...]:
    """What the call's secret headers say, whole and without a scheme's name: a receiver may echo it."""
    values = [value for name, value in map(_split, call.headers) if _is_hidden(name)]
    return tuple({form for value in values for form in (value, value.rpartition(" ")[2]) if len(form) >= SHORTEST})


def request_text(call: Call, secrets: Sequence[str]) -> str:
    """The request as it may be shown: secret headers and every secret setting's text are hidden."""
    headers = [_split(line) for line in call.headers]
    shown = {
        "method": call.method,
        "url": _plain_url(call.url),
        "headers": [[name, HIDDEN if _is_hidden(name) else value] for name, value in headers],
        **_body(unpacked(call, BODY_KEPT + LONGEST_SECRET), secrets),
        "size": len(call.body or b""),
    }
    return scrub(orjson.dumps(shown).decode(), secrets)


def unpacked(call: Call, most: int) -> bytes:
    """The beginning of the body as it was before it was packed."""
    body = call.body or b""
    return zlib.decompressobj(GZIP).decompress(body, most) if PACKED in call.headers else body


def response_text(answer: Answer, secrets: Sequence[str]) -> str:
    """The answer as it may be shown. It may echo what we sent, so it is scrubbed in the same way."""
    headers = [_split(line.decode("latin-1").translate(INVISIBLE)) for line in _first(answer.headers) if b":" in line]
    shown = {
        "status": answer.status,
        "error": answer.error,
        "headers": [[name, HIDDEN if _is_hidden(name) else value] for name, value in headers],
        **_body(answer.body, secrets, answer.truncated),
    }
    return scrub(orjson.dumps(shown).decode(), secrets)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Hide each secret in a JSON text, as it is, JSON-escaped, percent-encoded or in Base64."""
    for secret in secrets:
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, HIDDEN)
    return text


def hushed(items: list[ItemOutcome], call: Call, secrets: Sequence[str]) -> list[ItemOutcome]:
    """Outcomes without secrets in their sentences, into which connectors take what a receiver says."""
    if not any(item.message for item in items):
        return items
    known = (*credentials_of(call), *secrets)
    clean = {message: _hush(message, known) for message in {item.message for item in items}}
    return [
        item if clean[item.message] == item.message else replace(item, message=clean[item.message]) for item in items
    ]


def _hush(message: str, secrets: Sequence[str]) -> str:
    """Of words that were cut, the end may be the beginning of a secret."""
    text = scrub(message, secrets)
    if len(text) < LONGEST_WORDS:
        return text
    words = text.removesuffix(")")
    for secret in secrets:
        lengths = range(min(len(secret), len(words)), SHORTEST - 1, -1)
        if cut := next((length for length in lengths if words.endswith(secret[:length])), 0):
            return f"{words[:-cut]}{HIDDEN}{text[len(words) :]}"
    return text


@lru_cache(1_024)
def _is_hidden(header: str) -> bool:
    return HIDDEN_HEADERS.search(header) is not None


@lru_cache(256)  # each of them is looked for in request and answer, and a destination's own in every call that fails
def _forms(secret: str) -> tuple[str, ...]:
    """The ways a secret may stand in a text; one in a JSON body has been escaped twice by the time it is seen."""
    escaped = orjson.dumps(secret).decode()[1:-1]
    twice = orjson.dumps(escaped).decode()[1:-1]
    return twice, escaped, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")


def _first(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Header lines up to the size that is kept."""
    left = HEADERS_KEPT
    for line in lines:
        left -= len(line)
        if left < 0:
            return
        yield line


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _plain_url(url: str) -> str:
    """The URL without the values of its query, which often hold keys."""
    parts = urlsplit(url)
    query = "&".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _body(body: bytes, secrets: Sequence[str], is_cut: bool = False) -> dict[str, object]:
    """The beginning of a body as text; what is not text is only counted.

    Secrets are hidden before the cut: half of one, left at the end, would no longer be known for what it is.
    """
    text = body[: BODY_KEPT + LONGEST_SECRET].decode("utf-8", "replace").translate(INVISIBLE)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    kept = scrub(text, secrets).encode()[:BODY_KEPT].decode("utf-8", "ignore")
    return {"body": kept, "size": len(body), "truncated": is_cut or len(body) > BODY_KEPT}
