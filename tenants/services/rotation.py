"""Moving stored credentials to the key ring's first key.

Small transactions, each over rows that still need it: a run that was stopped goes on where it ended, and a change of
the same destination or source meanwhile waits a moment at most.
"""

from __future__ import annotations

from django.db import transaction

from hub.lib.crypto import key_id_of
from tenants import credentials, sealed
from tenants.auditing import SYSTEM, Actor, record
from tenants.models import Destination, Source
from tenants.sealed import SealedPlace

NEEDS_ROTATION = "EXISTS (SELECT FROM jsonb_each_text(secrets) AS secret WHERE split_part(secret.value, ':', 2) <> %s)"
FORMER_NEEDS_ROTATION = (
    "EXISTS (SELECT FROM jsonb_each(former_secrets) AS former WHERE split_part(former.value->>'sealed', ':', 2) <> %s)"
)


def rotate_secrets(*, batch: int = 100, actor: Actor = SYSTEM) -> int:
    """Re-encrypt whatever an older key has sealed, and tell how many credentials that was."""
    total = 0
    for place in sealed.places():
        while count := place.rotate(batch, actor):
            total += count
    return total


@transaction.atomic
def _rotate_destinations(batch: int, actor: Actor) -> int:
    current = credentials.ring().current_key_id
    waiting = Destination.unscoped.extra(where=[NEEDS_ROTATION], params=[current])  # noqa: S610 - constant text
    count = 0
    for destination in waiting.order_by("pk").select_for_update()[:batch]:
        destination.secrets, moved = _moved(destination, destination.secrets, current)
        destination.save(update_fields=["secrets"])
        count += moved
        record(actor, "destination.secrets_reencrypted", destination, label=destination.slug, after={"key_id": current})
    return count


@transaction.atomic
def _rotate_sources(batch: int, actor: Actor) -> int:
    """Those in use, and the replaced ones whose overlap goes on."""
    current = credentials.ring().current_key_id
    waiting = Source.unscoped.extra(  # noqa: S610 - constant text
        where=[f"({NEEDS_ROTATION} OR {FORMER_NEEDS_ROTATION})"], params=[current, current]
    )
    count = 0
    for source in waiting.order_by("pk").select_for_update()[:batch]:
        source.secrets, moved = _moved(source, source.secrets, current)
        former = {field: kept["sealed"] for field, kept in source.former_secrets.items()}
        former, moved_too = _moved(source, former, current)
        source.former_secrets = {
            field: {**kept, "sealed": former[field]} for field, kept in source.former_secrets.items()
        }
        source.save(update_fields=["secrets", "former_secrets"])
        count += moved + moved_too
        record(actor, "source.secrets_reencrypted", source, label=source.slug, after={"key_id": current})
    return count


def _moved(row: Destination | Source, held: dict[str, str], current: str) -> tuple[dict[str, str], int]:
    """The secrets sealed by the current key, and how many were not."""
    place = (row.workspace_id, row.pk)
    stale = {field: text for field, text in held.items() if key_id_of(text) != current}
    opened = credentials.open_all(*place, stale)
    return {**held, **{field: credentials.seal(*place, field, value) for field, value in opened.items()}}, len(stale)


DESTINATIONS = SealedPlace(
    ("SELECT workspace_id, id, key AS field, value AS sealed FROM tenants_destination, jsonb_each_text(secrets)",),
    _rotate_destinations,
)
SOURCES = SealedPlace(
    (
        "SELECT workspace_id, id, key, value FROM tenants_source, jsonb_each_text(secrets)",
        "SELECT workspace_id, id, key, value->>'sealed' FROM tenants_source, jsonb_each(former_secrets)",
    ),
    _rotate_sources,
)
