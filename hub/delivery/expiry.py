"""Retention reaches a backlog: what nobody could deliver in time ends as expired, with counts, never silently.

A paused or stopped destination keeps its backlog for as long as the log keeps its events. When a partition is past the
longest retention in force, pipelines that still need it are moved behind it and the books say how many events expired.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection

from hub.delivery import backlog, leases
from hub.delivery.leases import Lease
from hub.delivery.replays import retention
from hub.events import cursors
from hub.events.cursors import Position
from hub.lib.postgres import Row
from hub.observability import log, metrics

OWNER = "retention"
NEEDY = """
SELECT p.id FROM delivery_pipeline p WHERE (p.lease_until IS NULL OR p.lease_until < now())
  AND (p.floor_seq < %s OR EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = p.id AND r.seq < %s))
"""
# The last event of the workspace in the old partitions that the cursor has not passed. Only below the horizon: what is
# still being written is not old.
LAST_OLD = """
SELECT e.xid::text::bigint, e.seq FROM event_log e
WHERE e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s AND e.seq < %(until)s
  AND (e.xid, e.seq) > (%(xid)s::text::xid8, %(seq)s)
  AND (e.xid, e.seq) <= (%(until_xid)s::text::xid8, %(until_seq)s)
  AND (%(is_past)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.xid DESC, e.seq DESC LIMIT 1
"""
EXPIRE = """
WITH old AS (
    SELECT e.source_id, (e.received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n
    FROM event_log e
    JOIN tenants_connection k ON k.workspace_id = e.workspace_id AND k.destination_id = %(destination)s
        AND k.source_id = e.source_id
    WHERE e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s
      AND (e.xid, e.seq) > (%(xid)s::text::xid8, %(seq)s) AND (e.xid, e.seq) <= (%(to_xid)s::text::xid8, %(to_seq)s)
      AND (%(shards)s::int = 1
           OR ((e.user_key %% %(shards)s::int) + %(shards)s::int) %% %(shards)s::int = %(shard)s::int)
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = e.workspace_id
          AND i.object_id = k.id AND (i.from_epoch, i.from_xid) <= (e.epoch, e.xid::text::bigint)
          AND (i.until_epoch IS NULL OR (e.epoch, e.xid::text::bigint) < (i.until_epoch, i.until_xid)))
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = e.workspace_id
          AND i.object_id = %(destination)s AND (i.from_epoch, i.from_xid) <= (e.epoch, e.xid::text::bigint)
          AND (i.until_epoch IS NULL OR (e.epoch, e.xid::text::bigint) < (i.until_epoch, i.until_xid)))
    GROUP BY 1, 2
), mine AS (
    UPDATE delivery_pipeline SET cursor_epoch = %(epoch)s, cursor_xid = %(to_xid)s, cursor_seq = %(to_seq)s
    WHERE id = %(pipeline)s AND fence = %(fence)s RETURNING workspace_id, destination_id, kind
), counted AS (
    INSERT INTO delivery_count AS c (workspace_id, destination_id, source_id, day, delivered, filtered, dead, expired)
    SELECT m.workspace_id, m.destination_id, o.source_id, o.day, 0, 0, 0, o.n FROM mine m, old o WHERE m.kind = 'live'
    ON CONFLICT (destination_id, source_id, day) DO UPDATE SET expired = c.expired + excluded.expired
    RETURNING 1
)
SELECT coalesce(sum(o.n), 0)::bigint FROM mine m, old o
"""
RAISE_FLOOR = "UPDATE delivery_pipeline SET floor_seq = greatest(floor_seq, %s) WHERE id = %s AND fence = %s"
OLD_RETRIES = """
SELECT r.id, r.source_id, r.seq FROM delivery_retry r WHERE r.seq < %s AND r.pipeline_id = %s LIMIT 5000
"""
# A dead letter goes with its event. By destination, as the index has them; some at a time, for whoever repairs now
# must not wait long; an event's parts together, for the last of them takes its event out of the counts of failures.
DESTINATIONS = "SELECT d.id FROM tenants_destination d"
FORGET_DEAD_LETTERS = """
DELETE FROM delivery_dead WHERE id IN (
    SELECT x.id FROM delivery_dead x
    WHERE x.destination_id = %s
      AND x.seq < (SELECT max(p.seq_until) FROM event_partition p WHERE p.dropped_at IS NOT NULL)
    ORDER BY x.seq FETCH FIRST %s ROWS WITH TIES)
"""
FORGOTTEN_AT_ONCE = 10_000
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Expired:
    """What retention ended: events that waited at cursors, and events in retry rows."""

    waiting: int
    retrying: int


def expire_before(connection: Connection[Row], until: int) -> Expired:
    """End what is still open about events below this sequence number, pipeline by pipeline under its lease."""
    waiting = retrying = 0
    for row in connection.execute(NEEDY, [until, until]).fetchall():
        lease = leases.claim(connection, int(str(row[0])), OWNER, is_upkeep=True)
        if lease is None:
            continue
        try:
            waiting += _expire_backlog(connection, lease, until)
            retrying += _expire_retries(connection, lease, until)
        finally:
            leases.release(connection, lease, has_more=True, is_slow=lease.is_slow, has_run=False)
    if waiting or retrying:
        metrics.expired.inc(waiting + retrying)
        logger.warning("events_expired", waiting=waiting, retrying=retrying, before_seq=until)
    return Expired(waiting, retrying)


def forget_dead_letters(connection: Connection[Row]) -> None:
    """Remove the dead letters of events that have left the log."""
    for (destination_id,) in connection.execute(DESTINATIONS).fetchall():
        values = [destination_id, FORGOTTEN_AT_ONCE]
        while connection.execute(FORGET_DEAD_LETTERS, values).rowcount >= FORGOTTEN_AT_ONCE:
            pass


def _expire_retries(connection: Connection[Row], lease: Lease, until: int) -> int:
    """End a pipeline's retry rows of old events; how many rows there were."""
    found = connection.execute(OLD_RETRIES, [until, lease.pipeline_id]).fetchall()
    backlog.expire(connection, [backlog.Lost(*row) for row in found])  # type: ignore[arg-type]
    return len(found)


def _expire_backlog(connection: Connection[Row], lease: Lease, until: int) -> int:
    """Move one pipeline behind the old partitions, epoch by epoch; how many of its events expired."""
    current, _ = cursors.horizon(connection)
    expired = 0
    while True:
        expired += _expire_epoch(connection, lease, until, is_past=lease.position.epoch < current)
        if lease.position.epoch >= (current if lease.until is None else lease.until.epoch):
            break
        lease.position = Position(lease.position.epoch + 1, 0, 0)
    # Behind the place where shards stop there may be old events that are left to others.
    if lease.until is None or lease.kind == "replay":
        connection.execute(RAISE_FLOOR, [until, lease.pipeline_id, lease.fence])
    return expired


def _expire_epoch(connection: Connection[Row], lease: Lease, until: int, *, is_past: bool) -> int:
    epoch, xid, seq = lease.position
    end = cursors.end_in(epoch, lease.until)
    values: dict[str, object] = {
        "workspace": lease.workspace_id,
        "destination": lease.destination_id,
        "pipeline": lease.pipeline_id,
        "fence": lease.fence,
        "epoch": epoch,
        "xid": xid,
        "seq": seq,
        "until": until,
        "is_past": is_past,
        "until_xid": end.xid,
        "until_seq": end.seq,
        "shard": lease.shard,
        "shards": lease.shard_count,
    }
    last = connection.execute(LAST_OLD, values).fetchone()
    if last is None:
        return 0
    if lease.kind == "replay":
        return retention.expire_to(connection, lease, Position(epoch, int(str(last[0])), int(str(last[1]))))
    row = connection.execute(EXPIRE, values | {"to_xid": last[0], "to_seq": last[1]}).fetchone()
    lease.position = Position(epoch, int(str(last[0])), int(str(last[1])))
    return int(str(row[0])) if row else 0
