"""Write keys: issuing, rotating, revoking. A secret key is in clear in the answer to its making, and never again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from hub.lib.clock import now
from tenants import keys
from tenants.auditing import Actor
from tenants.errors import Gone, Invalid, Taken, TooManyKeys
from tenants.models import Source, WriteKey
from tenants.querysets import WriteKeyQuerySet
from tenants.services import rows

MOST_LIVE_KEYS = 2
DIGEST = re.compile(r"^[0-9a-f]{64}\Z")
NOT_IN_ENVIRONMENT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A key that somebody brings: in clear, or as its digest when it comes out of an export."""

    value: str = ""
    sha256: str = ""
    last4: str = ""

    @property
    def digest(self) -> str:
        return keys.digest(self.value) if self.value else self.sha256


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key's row and the key itself; no text when only its digest was given."""

    row: WriteKey
    plain: str | None
    is_generated: bool


@transaction.atomic
def add_write_key(source: Source, given: GivenKey | None = None, *, actor: Actor) -> IssuedKey:
    """Give a source one more key: the one brought, or a new one of ours."""
    rows.lock(source)
    if len(live_keys(source)) >= MOST_LIVE_KEYS:
        raise TooManyKeys(f"A source has at most {MOST_LIVE_KEYS} live write keys; revoke one first.")
    plain = keys.generate(_environment(source)) if given is None else given.value
    row = _row(source, plain, given)
    if WriteKey.unscoped.filter(digest=row.digest).exists():
        # The same words wherever the key is, so that nobody learns of another workspace's keys.
        raise Taken("This write key cannot be used; choose another.")
    rows.create(row, actor, "source.write_key_added", label=source.slug)
    return IssuedKey(row, plain or None, is_generated=given is None)


@transaction.atomic
def rotate_write_key(source: Source, *, overlap: timedelta | None = None, actor: Actor) -> IssuedKey:
    """Make a new key beside the old one, which stays until it is revoked or the overlap ends."""
    rows.lock(source)
    old = live_keys(source)
    issued = add_write_key(source, actor=actor)
    if overlap is not None:
        ends_at = now() + overlap
        for row in old:
            if row.expires_at is None or row.expires_at > ends_at:
                rows.change(row, {"expires_at": ends_at}, actor, "source.write_key_rotated", label=source.slug)
    return issued


@transaction.atomic
def revoke_write_key(write_key: WriteKey, *, actor: Actor) -> WriteKey:
    """End a key at once."""
    rows.lock(write_key)
    if write_key.revoked_at is not None:
        raise Gone("The key was revoked before.")
    rows.change(write_key, {"revoked_at": now()}, actor, "source.write_key_revoked", label=write_key.source.slug)
    return write_key


def live_keys(source: Source) -> list[WriteKey]:
    """The keys that open the source now, oldest first."""
    found: WriteKeyQuerySet[WriteKey] = (
        WriteKeyQuerySet(WriteKey).for_workspace(source.workspace_id).filter(source=source).live(now())
    )
    return list(found.order_by("created_at", "id"))


def _row(source: Source, plain: str, given: GivenKey | None) -> WriteKey:
    if plain:
        _require_good(plain)
        digest, last4 = keys.digest(plain), plain[-4:]
    else:
        digest, last4 = _brought_digest(source, given or GivenKey())
    return WriteKey(
        workspace_id=source.workspace_id,
        source=source,
        is_public=source.has_public_keys,
        value=plain if source.has_public_keys else None,
        digest=digest,
        prefix=keys.shown_prefix(plain),
        last4=last4,
    )


def _brought_digest(source: Source, given: GivenKey) -> tuple[str, str]:
    if not DIGEST.match(given.sha256):
        raise Invalid("sha256", "A digest has 64 lower-case hexadecimal digits.")
    if source.has_public_keys:
        raise Invalid("sha256", "Keys of websites and mobile apps are public; give the key itself.")
    return given.sha256, given.last4


def _require_good(plain: str) -> None:
    keys.require_usable(plain)
    if keys.is_mistyped(plain):
        raise Invalid("write_key", "This write key is mistyped: its checksum does not fit.", "write_key_mistyped")


def _environment(source: Source) -> str:
    """The label `env` of the source, as far as it can stand in a key."""
    return NOT_IN_ENVIRONMENT.sub("", str(source.labels.get("env", "")).lower())[:12] or "live"
