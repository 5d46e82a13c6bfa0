"""The webhook source that an address names: its connector, and its settings with credentials in clear.

For ingest, which checks and reads the vendor's calls. A replaced secret is told beside the present one until its
overlap ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hub.lib.clock import now
from tenants import credentials
from tenants.keys import SourceRef, digest, source_ref
from tenants.models import Source, WriteKey

PATH = "/v1/webhooks/"


@dataclass(frozen=True, slots=True)
class WebhookRef:
    """What ingest needs to know to take a vendor's calls."""

    source: SourceRef
    connector: str
    settings: Mapping[str, object] = field(repr=False)
    secrets: Mapping[str, tuple[str, ...]] = field(repr=False)  # every setting that is text, former values last


def find_webhook(write_key: str) -> WebhookRef | None:
    """The webhook source that a live key names, or None. A key of any other source opens nothing here."""
    found = (
        WriteKey.unscoped.filter(digest=digest(write_key), source__deleted_at=None)
        .exclude(source__connector="")
        .select_related("source", "workspace")
        .first()
    )
    if found is None or not found.is_live(now()):
        return None
    settings = found.source.open_settings()
    former = former_secrets(found.source)
    texts = {key: (value, *former.get(key, ())) for key, value in settings.items() if isinstance(value, str)}
    return WebhookRef(source_ref(found), found.source.connector, settings, texts)


def former_secrets(source: Source) -> dict[str, tuple[str, ...]]:
    """Replaced secrets that still count, in clear."""
    at = now()
    kept = {key: one for key, one in source.former_secrets.items() if datetime.fromisoformat(one["until"]) > at}
    sealed = {key: one["sealed"] for key, one in kept.items()}
    opened = credentials.open_all(source.workspace_id, source.pk, sealed)
    return {key: (str(value),) for key, value in opened.items()}


def address_of(public_url: str, write_key: str) -> str:
    """Where the vendor is to send its calls."""
    return f"{public_url}{PATH}{write_key}"
