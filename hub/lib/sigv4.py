"""AWS Signature Version 4 over one finished request, as pure functions: credentials and time in, headers or a URL out.

The receiver decodes what arrives and writes it down in one spelling of its own, so the signature is made over that
spelling and not over ours: `*` and `,` in a query are `%2A` and `%2C` there, whichever way they are sent. S3 alone
takes the path as it is; every other service normalises it and encodes once more.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts"})
DEFAULT_PORTS = {"http": 80, "https": 443}
# What may be changed on the way, or is written by the HTTP library itself.
NOT_SIGNED = frozenset({"authorization", "connection", "content-length", "expect", "user-agent", "x-amzn-trace-id"})
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key; with a session token, one that was lent for some time."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """When and for what a signature is good."""

    moment: str
    region: str
    service: str

    @property
    def day(self) -> str:
        return self.moment[:8]

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def sign(
    keys: Keys,
    region: str,
    service: str,
    method: str,
    url: str,
    headers: Headers,
    body: bytes,
    now: datetime,
    *,
    signs_payload: bool = True,
) -> list[tuple[str, str]]:
    """Give the headers to be added to a request that already has these; `now` must be right to some minutes.

    With `signs_payload` false the body is left out of the signature, which only S3 over https accepts.
    """
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest() if signs_payload else UNSIGNED
    added = [("x-amz-date", moment)]
    if service in S3 or not signs_payload:
        added.append(("x-amz-content-sha256", payload))
    if keys.session_token:
        added.append(("x-amz-security-token", keys.session_token))
    names, lines = canonical_headers([*headers, *added, ("host", host_of(url))])
    canonical = "\n".join(
        (method, canonical_path(url, service), canonical_query(urlsplit(url).query), *lines, "", names, payload)
    )
    scope = Scope(moment, region, service)
    told = (
        f"Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={_signature(keys, scope, canonical)}"
    )
    return [*added, ("authorization", f"{ALGORITHM} {told}")]


def presign(keys: Keys, region: str, service: str, url: str, now: datetime, seconds: int) -> str:
    """Give the URL with the signature in its query: whoever has it may GET it for so many seconds, as these keys."""
    scope = Scope(now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"), region, service)
    added = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{keys.access_key}/{scope}",
        "X-Amz-Date": scope.moment,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": keys.session_token} if keys.session_token else {}),
    }
    parts = urlsplit(url)
    own = [parts.query] if parts.query else []
    query = canonical_query("&".join([*own, *(f"{name}={quote(value, safe='')}" for name, value in added.items())]))
    payload = UNSIGNED if service in S3 else hashlib.sha256(b"").hexdigest()
    host = f"host:{host_of(url)}"
    canonical = "\n".join(("GET", canonical_path(url, service), query, host, "", "host", payload))
    query += f"&X-Amz-Signature={_signature(keys, scope, canonical)}"
    return urlunsplit(parts._replace(path=parts.path or "/", query=query))


def _signature(keys: Keys, scope: Scope, canonical: str) -> str:
    text = "\n".join((ALGORITHM, scope.moment, str(scope), hashlib.sha256(canonical.encode()).hexdigest()))
    return _mac(signing_key(keys.secret_key, scope.day, scope.region, scope.service), text).hex()


@lru_cache(maxsize=256)
def signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for text in (day, region, service, "aws4_request"):
        key = _mac(key, text)
    return key


def canonical_query(query: str) -> str:
    """Names and values decoded and encoded anew in the one spelling, sorted; a name may come several times."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    spelt = sorted((_spell(_decode(name)), _spell(_decode(value))) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in spelt)


def canonical_path(url: str, service: str) -> str:
    """The path as the receiver of this service spells it."""
    path = urlsplit(url).path or "/"
    if service in S3:
        return quote(unquote_to_bytes(path), safe="/~")
    normal = posixpath.normpath(path).replace("//", "/")
    return quote(normal + "/" if path.endswith(("/", "/.", "/..")) and normal != "/" else normal, safe="/~")


def canonical_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, list[str]]:
    """The names that are signed, and the lines for them; values of one name are joined in their order."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in NOT_SIGNED:
            found.setdefault(name.lower(), []).append(" ".join(value.split()))
    return ";".join(sorted(found)), [f"{name}:{','.join(found[name])}" for name in sorted(found)]


def host_of(url: str) -> str:
    """The Host header as an HTTP library writes it: without the scheme's own port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{shown}:{parts.port}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _decode(text: str) -> bytes:
    """Undo whichever encoding was used; forms write a space as a plus sign."""
    return unquote_to_bytes(text.replace("+", " "))


def _spell(raw: bytes) -> str:
    return quote(raw, safe="~")
