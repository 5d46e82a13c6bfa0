"""What is kept of an attempt: request and answer as JSON texts, without secrets and cut to 2 KB of body each."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from hub.delivery.calls import Call
from hub.lib.net import Answer

BODY_KEPT = 2_048
SHORTEST = 4
HIDDEN = "••••"
HIDDEN_HEADERS = re.compile(r"authorization|cookie|token|secret|password|api-?key|signature", re.IGNORECASE)


def credentials_of(call: Call) -> tuple[str, ...]:
    """What the call's secret headers say, whole and without a scheme's name: a receiver may echo it."""
    values = [value for name, value in map(_split, call.headers) if HIDDEN_HEADERS.search(name)]
    return tuple({form for value in values for form in (value, value.rpartition(" ")[2]) if len(form) >= SHORTEST})


def request_text(call: Call, secrets: Sequence[str]) -> str:
    """The request as it may be shown: secret headers and every secret setting's text are hidden."""
    headers = [_split(line) for line in call.headers]
    shown = {
        "method": call.method,
        "url": _plain_url(call.url),
        "headers": [[name, HIDDEN if HIDDEN_HEADERS.search(name) else value] for name, value in headers],
        **_body(call.body or b""),
    }
    return scrub(orjson.dumps(shown).decode(), secrets)


def response_text(answer: Answer, secrets: Sequence[str]) -> str:
    """The answer as it may be shown. It may echo what we sent, so it is scrubbed in the same way."""
    headers = [_split(line.decode("latin-1")) for line in answer.headers if b":" in line]
    shown = {
        "status": answer.status,
        "error": answer.error,
        "headers": [[name, HIDDEN if HIDDEN_HEADERS.search(name) else value] for name, value in headers],
        **_body(answer.body, answer.truncated),
    }
    return scrub(orjson.dumps(shown).decode(), secrets)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Hide each secret in a JSON text, as it is, JSON-escaped, percent-encoded or in Base64."""
    for secret in secrets:
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, HIDDEN)
    return text


def _forms(secret: str) -> tuple[str, ...]:
    escaped = orjson.dumps(secret).decode()[1:-1]
    return escaped, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _plain_url(url: str) -> str:
    """The URL without the values of its query, which often hold keys."""
    parts = urlsplit(url)
    query = "&".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _body(body: bytes, is_cut: bool = False) -> dict[str, object]:
    """The beginning of a body as text; what is not text is only counted."""
    text = body[:BODY_KEPT].decode("utf-8", "replace")
    return {"body": text.replace("\x00", "�"), "size": len(body), "truncated": is_cut or len(body) > BODY_KEPT}
