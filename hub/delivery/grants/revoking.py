"""Tokens taken back at the vendor (RFC 7009): of a destination that is disconnected, and of one that was deleted.

A deleted destination has no credentials any more, so its token keeps the client's secret beside it, sealed, for this
one call. It is made by a chore, best effort: a vendor that does not answer is asked again for a day, and then, as when
it refuses, the token is forgotten here alone. The audit trail says which it was.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

from psycopg import Connection

from hub.delivery.grants import exchanges, store
from hub.delivery.grants.needs import CannotTell, Need, need_for
from hub.delivery.grants.store import Place
from hub.lib.crypto import CryptoError
from hub.lib.postgres import Row
from hub.observability import log, metrics
from tenants.auditing import Actor, record
from tenants.models import Destination

KEEPER = Actor(label="delivery")
# Other chores wait meanwhile: no further vendor is asked after so long.
ENOUGH_SECONDS = 10.0
# Claimed before the call, so that of two schedulers one makes it, and one that dies in it holds it up for no longer.
DUE = """
UPDATE delivery_token t SET retry_at = now() + interval '1 hour'
FROM tenants_destination d
WHERE d.id = t.destination_id AND d.deleted_at IS NOT NULL AND t.destination_id IN (
    SELECT u.destination_id FROM delivery_token u JOIN tenants_destination e ON e.id = u.destination_id
    WHERE e.deleted_at IS NOT NULL AND (u.retry_at IS NULL OR u.retry_at <= now())
    ORDER BY e.deleted_at LIMIT 1 FOR UPDATE OF u SKIP LOCKED)
RETURNING t.workspace_id, t.destination_id, d.deleted_at < now() - interval '1 day'
"""
logger = log.get(__name__)


def revoke(destination: Destination, place: Place) -> bool | None:
    """Have the vendor forget the destination's token; None when it may be asked again."""
    try:
        need, known = need_for(destination), store.read(place)
        if need is None or known is None:
            return False
        if destination.deleted_at is not None:
            need = _as_before(need, known.open_client())
        if known.fingerprint != need.fingerprint:
            return False
        refresh, access = known.open_refresh(), known.open_access()
    except (CannotTell, CryptoError):
        return False
    if refresh:  # with it go the tokens that came of it
        return exchanges.revoke(need, refresh, "refresh_token")
    return exchanges.revoke(need, access, "access_token") if isinstance(access, str) and access else False


def revoke_left_behind(connection: Connection[Row]) -> None:
    """Take back the tokens of deleted destinations, some at a time; no transaction is open while vendors are asked."""
    enough_at = time.monotonic() + ENOUGH_SECONDS
    while (row := connection.execute(DUE).fetchone()) is not None:
        workspace_id, destination_id, is_last = row
        _take_back(Place(UUID(str(workspace_id)), UUID(str(destination_id))), is_last=bool(is_last))
        if time.monotonic() >= enough_at:
            break


def _take_back(place: Place, *, is_last: bool) -> None:
    destination = Destination.objects.for_workspace(place.workspace_id).get(pk=place.destination_id)
    is_revoked = revoke(destination, place)
    if is_revoked is None and not is_last:
        logger.warning("token_not_revoked", destination=str(place.destination_id))
        metrics.sign_ins.labels("not_revoked").inc()
        return
    notes = {"revoked_at_vendor": is_revoked is True}
    record(KEEPER, "destination.token_forgotten", destination, label=destination.slug, notes=notes)
    store.forget(place)
    metrics.sign_ins.labels("revoked" if is_revoked else "forgotten").inc()


def _as_before(need: Need, client: str) -> Need:
    """The need with the client's secret, which went with the destination's settings."""
    key = need.scheme.credentials[1] if len(need.scheme.credentials) > 1 else ""
    return replace(need, settings={**need.settings, key: client}) if key and client else need
