"""Retention reaches a replay: what it has not sent by then ends as expired, and long after its end it is forgotten."""

from __future__ import annotations

import orjson

from hub.delivery.leases import Lease
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.reader import reader_of
from hub.delivery.replays.scope import Matches
from hub.events.cursors import NO_END, LogRow, Position
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
# Nothing may be left that names its pipeline: dead letters, which can be tried again, go with the log's partitions. The
# audit trail keeps who replayed what, and how it ended.
KEPT_DAYS = 90
FORGET = """
WITH old AS (
    SELECT y.id, p.id AS pipeline_id FROM delivery_replay y JOIN delivery_pipeline p ON p.replay_id = y.id
    WHERE y.state IN ('done', 'cancelled') AND y.ended_at < now() - make_interval(days => %(days)s)
      AND p.lease_until IS NULL AND p.floor_seq = %(no_end)s
      AND NOT EXISTS (SELECT FROM delivery_dead x WHERE x.pipeline_id = p.id)
      AND NOT EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = p.id)
    ORDER BY p.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), pipeline AS (
    DELETE FROM delivery_pipeline p USING old o WHERE p.id = o.pipeline_id RETURNING p.replay_id
)
DELETE FROM delivery_replay y USING pipeline p WHERE y.id = p.replay_id
"""
MOST_FORGOTTEN = 1_000


def forget_ended(connection: PgConnection) -> None:
    """Remove replays that ended long ago, with their pipelines."""
    connection.execute(FORGET, {"days": KEPT_DAYS, "no_end": NO_END, "most": MOST_FORGOTTEN})


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
