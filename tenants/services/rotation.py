"""Moving stored credentials to the key ring's first key.

Small transactions, each over rows that still need it: a run that was stopped goes on where it ended, and a change of
the same destination meanwhile waits a moment at most.
"""

from __future__ import annotations

from django.db import transaction

from hub.lib.crypto import key_id_of
from tenants import credentials
from tenants.auditing import SYSTEM, Actor, record
from tenants.models import Destination

NEEDS_ROTATION = "EXISTS (SELECT FROM jsonb_each_text(secrets) AS secret WHERE split_part(secret.value, ':', 2) <> %s)"


def rotate_secrets(*, batch: int = 100, actor: Actor = SYSTEM) -> int:
    """Re-encrypt whatever an older key has sealed, and tell how many credentials that was."""
    total = 0
    while count := _rotate_batch(batch, actor):
        total += count
    return total


@transaction.atomic
def _rotate_batch(batch: int, actor: Actor) -> int:
    current = credentials.ring().current_key_id
    waiting = Destination.unscoped.extra(where=[NEEDS_ROTATION], params=[current])  # noqa: S610 - constant text
    count = 0
    for destination in waiting.order_by("pk").select_for_update()[:batch]:
        count += _rotate(destination, current)
        record(actor, "destination.secrets_reencrypted", destination, label=destination.slug, after={"key_id": current})
    return count


def _rotate(destination: Destination, current: str) -> int:
    stale = {field: text for field, text in destination.secrets.items() if key_id_of(text) != current}
    place = (destination.workspace_id, destination.pk)
    opened = credentials.open_all(*place, stale)
    destination.secrets |= {field: credentials.seal(*place, field, value) for field, value in opened.items()}
    destination.save(update_fields=["secrets"])
    return len(stale)
