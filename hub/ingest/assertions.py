"""The claims of a signed request for a token: who asks, of whom, when, and that it was not asked before.

SDKs sign a request for one minute, dated five seconds back, and correct their clock by our answers: for that the words
of `EXPIRED` and `TOO_EARLY` must be exactly these.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

EXPIRED = "Token is expired"
TOO_EARLY = "Token used before issued"
SKEW_SECONDS = 30.0
LONGEST_SECONDS = 600.0
LONGEST_ID = 255


class BadClaims(ValueError):
    """The request is refused; the message is for who wrote the client."""


class UntimelyClaims(BadClaims):
    """The request was or will be good; a client with a wrong clock can mend it by itself."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request must say: the client that its key belongs to, and the names that this server goes by."""

    client_id: str
    audiences: Collection[str]


def require_good(claims: dict[str, Any], expected: Expected, now: float) -> str:
    """Return the request's own id if every claim is as it must be, or raise BadClaims."""
    if claims.get("sub") != expected.client_id:
        raise BadClaims("sub must be the client id")
    if claims.get("iss", expected.client_id) not in (expected.client_id, *expected.audiences):
        raise BadClaims("iss must be the client id")
    if not _audiences(claims) & set(expected.audiences):
        raise BadClaims("aud must be the address of this authorization server")
    _require_timely(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_ID:
        raise BadClaims("jti must be a text that was not used before")
    return jti


def _audiences(claims: dict[str, Any]) -> set[str]:
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return {one for one in listed if isinstance(one, str)}


def _require_timely(claims: dict[str, Any], now: float) -> None:
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if expires is None:
        raise BadClaims("exp is missing")
    if expires <= now - SKEW_SECONDS:
        raise UntimelyClaims(EXPIRED)
    starts = max(issued or 0.0, _moment(claims, "nbf") or 0.0)
    if starts > now + SKEW_SECONDS:
        raise UntimelyClaims(TOO_EARLY)
    if expires > now + LONGEST_SECONDS + SKEW_SECONDS:
        raise BadClaims(f"exp must not lie more than {LONGEST_SECONDS:.0f} seconds ahead")


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A moment in seconds, whole or not, as SDKs send both."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadClaims(f"{name} must be a number of seconds")
    return float(value)
