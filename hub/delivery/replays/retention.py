"""Retention reaches a replay: what it has not sent by then ends as expired, in its own books."""

from __future__ import annotations

import orjson

from hub.delivery.leases import Lease
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.reader import reader_of
from hub.delivery.replays.scope import Matches
from hub.events.cursors import LogRow, Position
from hub.lib.postgres import PgConnection

PAGE = 1_000
EXPIRE = """
WITH mine AS (
    UPDATE delivery_pipeline SET cursor_epoch = %(epoch)s, cursor_xid = %(xid)s, cursor_seq = %(seq)s
    WHERE id = %(pipeline)s AND fence = %(fence)s RETURNING replay_id
)
UPDATE delivery_replay y SET seen = y.seen + %(count)s, expired = y.expired + %(count)s
FROM mine WHERE y.id = mine.replay_id RETURNING y.id
"""


def expire_to(connection: PgConnection, lease: Lease, last: Position) -> int:
    """End what the replay has not read up to this place, a page at a time; how many events of it expired."""
    if lease.replay_id is None:
        return 0
    matches = scopes.compile_trigger(scopes.read(connection, lease.replay_id).trigger)
    reader = reader_of(lease)
    reader.until = last
    expired = 0
    while not reader.is_over:
        rows = reader.read(connection, PAGE)
        count = sum(_is_meant(matches, row) for row in rows)
        place = reader.position
        values = {
            "pipeline": lease.pipeline_id,
            "fence": lease.fence,
            "epoch": place.epoch,
            "xid": place.xid,
            "seq": place.seq,
            "count": count,
        }
        if connection.execute(EXPIRE, values).fetchone() is None:
            break
        lease.position = place
        expired += count
    return expired


def _is_meant(matches: Matches | None, row: LogRow) -> bool:
    """Whether the filter takes the event; one without content is the replay's, and would have been filtered."""
    return matches is None or not row.body or matches(orjson.loads(row.body))
