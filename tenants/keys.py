"""Write keys: how they are made, how they are told apart, and which source one of them names.

Ours read `wk_<environment>_<24 random characters>_<checksum>`. The checksum is there to tell a typo from a revoked
key; it opens nothing. People may bring keys of their own, so that an SDK set up elsewhere need not change.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
import zlib
from dataclasses import dataclass

from django.conf import settings

from hub.lib.clock import now
from hub.lib.ids import ALPHABET, base62
from tenants.errors import Invalid
from tenants.models import WriteKey

RANDOM_LENGTH = 24
BROUGHT = re.compile(r"^[A-Za-z0-9_-]{8,128}\Z")
OURS = re.compile(r"^(wk_[a-z0-9]{1,12}_[0-9A-Za-z]{22,})_([0-9A-Za-z]{6})\Z")
# A shorter key would be half given away by what is shown of it.
LEAST_LENGTH_FOR_PREFIX = 20


@dataclass(frozen=True, slots=True)
class SourceRef:
    """What ingest needs to know about the source that a key names."""

    workspace_id: uuid.UUID
    source_id: uuid.UUID
    workspace_slug: str
    source_slug: str
    kind: str
    is_public_key: bool
    key_digest: str
    source_enabled: bool
    workspace_locked: bool
    allowed_origins: tuple[str, ...]
    capture_ip: bool
    key_rate: int | None
    source_rate: int | None
    workspace_rate: int | None
    dedupe_hours: int
    # The app whose token must come with the key; None where the key is enough.
    token_app: uuid.UUID | None = None


def generate(environment: str = "live") -> str:
    """A new key of ours."""
    body = f"wk_{environment}_" + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{body}_{_checksum(body)}"


def digest(write_key: str) -> str:
    """What is stored of a key; its randomness makes a slow hash needless."""
    return hashlib.sha256(write_key.encode("utf-8", "surrogatepass")).hexdigest()


def require_usable(write_key: str) -> None:
    """Refuse a key that could not travel in a header and in an address."""
    if not BROUGHT.match(write_key):
        raise Invalid("write_key", "A write key has 8 to 128 of A-Z, a-z, 0-9, - and _.", "write_key_malformed")


def is_mistyped(write_key: str) -> bool:
    """Whether a key looks like one of ours but cannot be: a character was lost or changed."""
    if not write_key.startswith("wk_"):
        return False
    parts = OURS.match(write_key)
    return parts is not None and _checksum(parts[1]) != parts[2]


def shown_prefix(write_key: str) -> str:
    """The beginning that may be shown to tell keys apart."""
    if OURS.match(write_key):
        return "_".join(write_key.split("_", 2)[:2]) + "_"
    return write_key[:4] if len(write_key) >= LEAST_LENGTH_FOR_PREFIX else ""


def find_source(write_key: str) -> SourceRef | None:
    """The source that a live key names, or None. Works across workspaces: the key is what says which one.

    The key of a webhook source opens its address alone: what comes by the tracking API is signed by nobody.
    """
    found = (
        WriteKey.unscoped.filter(digest=digest(write_key), source__deleted_at=None, source__connector="")
        .select_related("source", "workspace")
        .first()
    )
    return source_ref(found) if found is not None and found.is_live(now()) else None


def source_ref(key: WriteKey) -> SourceRef:
    """What ingest needs to know about a key's source, with workspace and source loaded."""
    source, workspace = key.source, key.workspace
    return SourceRef(
        workspace_id=workspace.pk,
        source_id=source.pk,
        workspace_slug=workspace.slug,
        source_slug=source.slug,
        kind=source.kind,
        is_public_key=key.is_public,
        key_digest=key.digest,
        source_enabled=source.is_enabled,
        workspace_locked=workspace.is_locked,
        allowed_origins=tuple(source.settings.get("allowed_origins", ())),
        capture_ip=bool(source.settings.get("capture_ip", True)),
        key_rate=key.rate_limit,
        source_rate=source.rate_limit,
        workspace_rate=workspace.rate_limit,
        dedupe_hours=workspace.dedupe_hours or settings.DEDUPE_HOURS,
        token_app=source.oauth_app_id if source.oauth_required else None,
    )


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()).to_bytes(4, "big"))
