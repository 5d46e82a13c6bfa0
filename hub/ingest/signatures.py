"""Whether a call to a source's address comes from whom it should: every scheme that source connectors may declare.

All of it is over the bytes as they came and compared in constant time, and before anything is parsed but the form that
Twilio's scheme signs field by field. A secret that was replaced counts beside the new one until its overlap ends.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from connectors import signing
from connectors.errors import SignatureError
from connectors.inbound import InboundRequest
from connectors.signatures import (
    BasicAuth,
    EcdsaSignature,
    HmacSignature,
    SecretUrl,
    SharedHeader,
    Signature,
    StandardWebhooksSignature,
    Timestamp,
    TwilioSignature,
)

TWILIO_SIGNATURE = "x-twilio-signature"
TWILIO_SETTINGS = "x-twilio-webhooks-signature-settings"
BODY_HASH = "bodySHA256"
DEFAULT_PORTS = {"https": 443, "http": 80}
MOST_SIGNATURES = 20
# By setting: the present value, then one that was replaced and still counts.
Secrets = Mapping[str, Sequence[str]]


def verify(scheme: Signature, request: InboundRequest, secrets: Secrets) -> None:
    """Return if the call is what it claims to be, else raise SignatureError with the reason as its code."""
    CHECKS[type(scheme)](scheme, request, secrets)


def _hmac(scheme: HmacSignature, request: InboundRequest, secrets: Secrets) -> None:
    """Compute the hash with each secret, and compare it with each signature that the header lists."""
    header = scheme.other_header if scheme.other_header in request.headers else scheme.header
    listed = _listed(_header(request, header)) if scheme.field else []
    given = [value for name, value in listed if name == scheme.field] or [_header(request, header)]
    timestamp = _timestamp(scheme.timestamp, request, listed) if scheme.timestamp else ""
    url = _with_plain(request.url, scheme.plain_in_url) if scheme.plain_in_url else request.url
    parts = {"{method}": request.method.encode(), "{url}": url.encode(), "{timestamp}": timestamp.encode()}
    text = b"".join(_body(request) if part == "{body}" else parts.get(part, part.encode()) for part in scheme.signed)
    expected = [
        scheme.prefix + _encoded(hmac.digest(secret.encode(), text, scheme.algorithm), scheme.encoding)
        for secret in secrets.get(scheme.secret, ())
    ]
    if scheme.encoding == "hex":  # in either case
        expected, given = [text.lower() for text in expected], [text.lower() for text in given]
    _require_match(expected, given[:MOST_SIGNATURES])


def _with_plain(url: str, characters: str) -> str:
    """The address with these characters as themselves; everything else stays encoded as it is."""
    for character in characters:
        encoded = quote(character, safe="")
        url = url.replace(encoded, character).replace(encoded.lower(), character)
    return url


def _ecdsa(scheme: EcdsaSignature, request: InboundRequest, secrets: Secrets) -> None:
    given = _header(request, scheme.header)
    parts = {"{timestamp}": _timestamp(scheme.timestamp, request, []).encode(), "{body}": _body(request)}
    text = b"".join(parts.get(part, part.encode()) for part in scheme.signed)
    try:
        signature = binascii.a2b_base64(given, strict_mode=True)
    except ValueError:
        raise SignatureError("no_match", "The signature is not base64.") from None
    for key in secrets.get(scheme.public_key, ()):
        try:
            _public_key(key).verify(signature, text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return
    raise SignatureError("no_match", "No signature matches.")


@lru_cache(maxsize=256)
def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    """The key of a setting, which was checked to be one when it was set."""
    return cast(ec.EllipticCurvePublicKey, load_der_public_key(base64.b64decode(text)))


def _twilio(scheme: TwilioSignature, request: InboundRequest, secrets: Secrets) -> None:
    """The address and the form's fields by name, hashed with the auth token, or with a key that a rule names.

    1. A body that is no form is not in the signed text, so the address must name its hash.
    2. Twilio leaves a port out that the address has, or puts one in that it has not: both count, as in its libraries.
    """
    given = [_header(request, TWILIO_SIGNATURE)]
    algorithm, role = _twilio_key(request.headers.get(TWILIO_SETTINGS, ""), scheme)
    if request.form is None and _body(request):
        _require_body_hash(request)
    fields = "".join(name + value for name, value in _sorted_fields(request))
    texts = [
        (address + fields).encode("utf-8", "surrogateescape") for address in dict.fromkeys(_with_ports(request.url))
    ]
    expected = [
        _encoded(hmac.digest(secret.encode(), text, algorithm), "base64")
        for secret in secrets.get(role, ())
        for text in texts
    ]
    _require_match(expected, given)


def _twilio_key(rule: str, scheme: TwilioSignature) -> tuple[str, str]:
    """Which hash and which secret: those of the rule that Twilio says it went by, else the account's."""
    if not rule:
        return "sha1", scheme.secret
    told = dict(_listed(rule))
    if told.get("algorithm") not in ("HMAC_SHA1", "HMAC_SHA256"):
        raise SignatureError("unsupported", "Twilio signed with an algorithm that is not known here.")
    return told["algorithm"].removeprefix("HMAC_").lower(), scheme.shared_key


def _require_body_hash(request: InboundRequest) -> None:
    hashed = [value for name, value in parse_qsl(urlsplit(request.url).query) if name == BODY_HASH]
    if not hashed:
        raise SignatureError("missing_body_hash", f"The address does not name the body's hash in {BODY_HASH}.")
    if not hmac.compare_digest(hashed[-1].lower().encode(), request.digest.encode()):
        raise SignatureError("no_match", "The body is another than the signed one.")


def _sorted_fields(request: InboundRequest) -> list[tuple[str, str]]:
    return sorted(set(request.form.fields)) if request.form is not None else []


def _with_ports(url: str) -> Iterator[str]:
    """The address as it is, without its port, and with the one that its scheme implies."""
    yield url
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    yield urlunsplit(parts._replace(netloc=host))
    yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))


def _standard(scheme: StandardWebhooksSignature, request: InboundRequest, secrets: Secrets) -> None:
    headers = dict(request.headers)
    for name in (signing.ID, signing.TIMESTAMP, signing.SIGNATURE):
        older = name.replace("webhook-", "svix-")
        if name not in headers and older in headers:
            headers[name] = headers[older]
    signing.verify(_body(request), headers, secrets.get(scheme.secret, ()), request.received_at.timestamp())


def _basic(scheme: BasicAuth, request: InboundRequest, secrets: Secrets) -> None:
    kind, _, value = _header(request, "authorization").partition(" ")
    try:
        given = base64.b64decode(value.strip(), validate=True) if kind.lower() == "basic" else b""
    except ValueError:
        given = b""
    expected = [
        f"{name}:{password}".encode()
        for name in secrets.get(scheme.username, ())
        for password in secrets.get(scheme.password, ())
    ]
    _require_same(expected, [given])


def _shared(scheme: SharedHeader, request: InboundRequest, secrets: Secrets) -> None:
    _require_match(secrets.get(scheme.secret, ()), [_header(request, scheme.header)])


def _secret_url(scheme: SecretUrl, request: InboundRequest, secrets: Secrets) -> None:
    """The address was known, else the call had found no source."""


def _header(request: InboundRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise SignatureError("missing_header", f"The header {name} is missing.")
    return value


def _body(request: InboundRequest) -> bytes:
    if request.body is None:
        raise SignatureError("unsupported", "A form with files cannot be signed as a whole.")
    return request.body


def _listed(header: str) -> list[tuple[str, str]]:
    """The pairs of `t=…,v1=…,v1=…`."""
    pairs = (part.strip().partition("=") for part in header.split(",")[:MOST_SIGNATURES])
    return [(name, value) for name, _, value in pairs]


def _timestamp(where: Timestamp, request: InboundRequest, listed: Iterable[tuple[str, str]]) -> str:
    """The signed time as it was sent, if it is near enough to our clock, in both directions."""
    text = next((value for name, value in listed if name == where.field), "")
    text = _header(request, where.header) if where.header else text
    moment = _moment(text, where)
    if moment is None:
        raise SignatureError("bad_timestamp", "The timestamp cannot be read.")
    if abs((request.received_at - moment).total_seconds()) > where.tolerance_s:
        raise SignatureError("stale", "The timestamp is too far from this clock.")
    return text


def _moment(text: str, where: Timestamp) -> datetime | None:
    try:
        if where.form == "iso8601":
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            return None
        return datetime.fromtimestamp(int(text) / (1000 if where.form == "milliseconds" else 1), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _encoded(octets: bytes, encoding: str) -> str:
    return octets.hex() if encoding == "hex" else base64.b64encode(octets).decode()


def _require_match(expected: Sequence[str], given: Sequence[str]) -> None:
    _require_same([text.encode() for text in expected], [text.encode() for text in given])


def _require_same(expected: Sequence[bytes], given: Sequence[bytes]) -> None:
    """All are compared, whichever matches, so that the time tells nothing."""
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise SignatureError("no_match", "No signature matches.")


CHECKS: dict[type[Any], Callable[[Any, InboundRequest, Secrets], None]] = {
    HmacSignature: _hmac,
    EcdsaSignature: _ecdsa,
    TwilioSignature: _twilio,
    StandardWebhooksSignature: _standard,
    BasicAuth: _basic,
    SharedHeader: _shared,
    SecretUrl: _secret_url,
}
