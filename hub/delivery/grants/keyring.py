"""Stored tokens among all that the key ring has sealed: counted, checked at start and moved to a new key with the rest.

The settings name this place (`SEALED_PLACES`) beside those of the control plane.
"""

from __future__ import annotations

from django.db import transaction

from hub.delivery.grants.models import Token
from hub.delivery.grants.store import ACCESS, CLIENT, REFRESH
from hub.lib.crypto import key_id_of
from tenants import credentials
from tenants.auditing import Actor
from tenants.sealed import SealedPlace

COLUMNS = {ACCESS: "access", REFRESH: "refresh", CLIENT: "client"}
SEALED_IN = f"""
SELECT workspace_id, destination_id, field, sealed FROM delivery_token,
    LATERAL (VALUES {", ".join(f"('{name}', {column})" for name, column in COLUMNS.items())}) AS each (field, sealed)
WHERE sealed <> ''
"""  # noqa: S608 - our own constants
STALE = """EXISTS (SELECT FROM (VALUES (access), (refresh), (client)) AS each (sealed)
                   WHERE sealed <> '' AND split_part(sealed, ':', 2) <> %s)"""


@transaction.atomic
def rotate(batch: int, actor: Actor) -> int:
    """Re-encrypt some tokens that an older key has sealed, and tell how many texts that was."""
    current, count = credentials.ring().current_key_id, 0
    waiting = Token.objects.extra(where=[STALE], params=[current])  # noqa: S610 - constant text
    for token in waiting.order_by("pk").select_for_update()[:batch]:
        place = (token.workspace_id, token.destination_id)
        for name, column in COLUMNS.items():
            sealed = getattr(token, column)
            if sealed and key_id_of(sealed) != current:
                setattr(token, column, credentials.seal(*place, name, credentials.open_one(*place, name, sealed)))
                count += 1
        token.save(update_fields=[*COLUMNS.values()])
    return count


TOKENS = SealedPlace((SEALED_IN,), rotate)
