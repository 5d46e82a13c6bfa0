"""Standard Webhooks 1.0: how a request proves to its receiver who sent it, and how a receiver checks that.

The text `id.timestamp.body` is signed with HMAC-SHA256 over the exact bytes that go out, so signing happens after
serialisation and once per attempt. Connectors only hand over the keys as data (`StandardWebhooks`); delivery calls
`headers`. While a secret is being rotated both keys sign, until the old one's time is over.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from connectors.errors import SignatureError

PREFIX = "whsec_"
KEY_BYTES = 32
# What may be set as a secret; to verify what others sign, shorter ones are in use.
SHORTEST_KEY, LONGEST_KEY = 24, 64
BLOCK_BYTES, INNER_PAD, OUTER_PAD = 64, 0x36, 0x5C
TOLERANCE_SECONDS = 300
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """The keys of one destination, decoded once. Kept out of `repr`, because requests end up in logs."""

    key: bytes = field(repr=False)
    previous_key: bytes | None = field(default=None, repr=False)
    previous_until: float = math.inf

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> StandardWebhooks:
        """Read `signing_secret`, `previous_signing_secret` and `previous_signing_secret_until`."""
        previous = settings.get("previous_signing_secret")
        until = settings.get("previous_signing_secret_until")
        return cls(
            key=decode_secret(str(settings["signing_secret"])),
            previous_key=decode_secret(str(previous)) if previous else None,
            previous_until=datetime.fromisoformat(str(until)).timestamp() if until else math.inf,
        )

    def headers(self, body: bytes, delivery_id: str, timestamp: int) -> tuple[tuple[str, str], ...]:
        """Give the three headers for one attempt made at `timestamp` (unix seconds)."""
        if self.previous_key is None or timestamp >= self.previous_until:
            return sign(body, delivery_id, timestamp, (self.key,))
        return sign(body, delivery_id, timestamp, (self.key, self.previous_key))


def sign(body: bytes, delivery_id: str, timestamp: int, keys: Sequence[bytes]) -> tuple[tuple[str, str], ...]:
    """Sign with each key; several signatures are separated by a space."""
    text = f"{delivery_id}.{timestamp}.".encode() + body
    signatures = " ".join([_signature(key, text) for key in keys])
    return ((ID, delivery_id), (TIMESTAMP, str(timestamp)), (SIGNATURE, signatures))


def verify(
    body: bytes,
    headers: Mapping[str, str],
    given_secrets: Sequence[str],
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> str:
    """Check a received request and return its id, which the receiver should remember to spot repeats.

    1. All three headers are there.
    2. The timestamp is within the tolerance, in both directions.
    3. One signature matches one secret; all are compared, in constant time.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        delivery_id, timestamp, signatures = lowered[ID], lowered[TIMESTAMP], lowered[SIGNATURE]
    except KeyError as missing:
        raise SignatureError("missing_header", f"The header {missing.args[0]} is missing.") from missing
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise SignatureError("bad_timestamp", "The timestamp is not a number of seconds.")
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureError("stale", "The timestamp is too far from this clock.")
    text = f"{delivery_id}.{timestamp}.".encode() + body
    expected = [_signature(decode_secret(secret), text).encode() for secret in given_secrets]
    given = [signature.encode() for signature in signatures.split(" ")]
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise SignatureError("no_match", "No signature matches.")
    return delivery_id


def generate_secret() -> str:
    """Make a new secret, as it is shown to the owner."""
    return PREFIX + _base64(secrets.token_bytes(KEY_BYTES))


def decode_secret(secret: str) -> bytes:
    """Give the key of a secret: the decoded bytes, never the text (padding may be missing)."""
    text = secret.removeprefix(PREFIX)
    try:
        key = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise SignatureError("bad_secret", "A signing secret is whsec_ and base64.") from error
    if not key:
        raise SignatureError("bad_secret", "A signing secret is not empty.")
    return key


def rotate(settings: Mapping[str, object], now: datetime, overlap: timedelta = OVERLAP) -> dict[str, object]:
    """Give the settings a new secret, with the present one signing beside it until the overlap ends."""
    until = now + min(overlap, LONGEST_OVERLAP)
    return {
        **settings,
        "signing_secret": generate_secret(),
        "previous_signing_secret": settings["signing_secret"],
        "previous_signing_secret_until": until.isoformat(),
    }


def _signature(key: bytes, text: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) from the key's two prepared states.

    `hmac.digest` lets go of the interpreter lock each time, which costs a busy sender ten times the hash itself.
    """
    inner, outer = (state.copy() for state in _states(key))
    inner.update(text)
    outer.update(inner.digest())
    return "v1," + _base64(outer.digest())


@lru_cache(maxsize=1024)
def _states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """SHA-256 after the key's inner and outer block; no key is longer than a block."""
    block = key.ljust(BLOCK_BYTES, b"\x00")
    return (
        hashlib.sha256(bytes(octet ^ INNER_PAD for octet in block)),
        hashlib.sha256(bytes(octet ^ OUTER_PAD for octet in block)),
    )


def _base64(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode()
