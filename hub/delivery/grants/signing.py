"""What is added to a request to prove who sends it: a token, or a signature over the finished request.

Made in the sender's thread for each call, so nothing here waits, asks or reads a clock but the one it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from connectors.auth import AwsSignature
from hub.delivery.grants.needs import Need
from hub.lib import sigv4
from hub.lib.gate import URL_SAFE
from hub.lib.sigv4 import Keys

HIDDEN = "••••"
# A token that was just renewed and is refused again says that its age was not the cause. Renewing helps no more, unless
# it was taken meanwhile; and even then not at once.
RENEWED_WITHIN_SECONDS, ACCEPTED_WITHIN_SECONDS = 600.0, 60.0


class Signer(Protocol):
    """Of one destination; replaced as a whole when its token is."""

    @property
    def version(self) -> int:
        """The version of the token in it; 0 for what needs none."""

    def lines(self, method: str, url: str, headers: Sequence[str], body: bytes | None, now: datetime) -> list[str]:
        """The header lines to add to a request that has these."""

    def may_renew(self, accepted_at: float) -> bool:
        """Whether a refusal may be due to the token's age; `accepted_at` is when the receiver last let us in."""


@dataclass(frozen=True, slots=True)
class Age:
    """When this process took a token over, and when it was last renewed for having been refused."""

    taken_at: float = field(default_factory=monotonic)
    refused_at: float = float("-inf")

    def may_renew(self, accepted_at: float) -> bool:
        since = monotonic() - self.refused_at
        if since >= RENEWED_WITHIN_SECONDS:
            return True
        return since >= ACCEPTED_WITHIN_SECONDS and accepted_at > self.taken_at


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in a header."""

    line: str = field(repr=False)
    version: int = 0
    age: Age = field(default_factory=Age)

    def lines(self, method: str, url: str, headers: Sequence[str], body: bytes | None, now: datetime) -> list[str]:
        return [self.line]

    def may_renew(self, accepted_at: float) -> bool:
        return self.age.may_renew(accepted_at)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature with an access key, one's own or that of a role."""

    keys: Keys
    region: str
    grant: AwsSignature
    version: int = 0
    age: Age | None = None

    def lines(self, method: str, url: str, headers: Sequence[str], body: bytes | None, now: datetime) -> list[str]:
        pairs = [line.partition(": ")[::2] for line in headers]
        added = sigv4.sign(
            self.keys,
            self.region,
            self.grant.service,
            method,
            as_sent(url),
            pairs,
            body or b"",
            now,
            signs_payload=self.grant.signs_payload,
        )
        return [f"{name}: {value}" for name, value in added]

    def may_renew(self, accepted_at: float) -> bool:
        return self.age is not None and self.age.may_renew(accepted_at)


def signer_of(need: Need, access: object = None, version: int = 0, refused_seconds_ago: float | None = None) -> Signer:
    """What signs with this token, or with the access key itself."""
    age = Age() if refused_seconds_ago is None else Age(refused_at=monotonic() - refused_seconds_ago)
    if isinstance(need.grant, AwsSignature):
        return Signature(
            keys_of(need, access), need.text(need.grant.region), need.grant, version, age if version else None
        )
    return Bearer(f"{need.scheme.header}: {need.scheme.prefix}{access}", version, age)


def keys_of(need: Need, lent: object = None) -> Keys:
    """The access key of the settings, or the one that was lent."""
    if isinstance(lent, Mapping):
        return Keys(str(lent["access_key"]), str(lent["secret_key"]), str(lent["session_token"]))
    return Keys(need.credential(0), need.credential(1))


def placeholder(need: Need) -> Signer:
    """What a request shows that is not sent: where the token or signature will be."""
    scheme = f"{sigv4.ALGORITHM} " if isinstance(need.grant, AwsSignature) else need.scheme.prefix
    return Bearer(f"{need.scheme.header}: {scheme}{HIDDEN}")


def as_sent(url: str) -> str:
    """The URL as the gate lets it out, where nothing but ASCII may stand."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=quote(parts.path, safe=URL_SAFE), query=quote(parts.query, safe=URL_SAFE)))
