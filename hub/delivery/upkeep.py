"""The chores of the log and of delivery that need to know both: folding counts, partitions, retention."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from django.conf import settings
from psycopg import Connection

from hub.delivery import expiry, ledger
from hub.events import counts, cursors, indexes, partitions
from hub.lib.postgres import Row

PgConnection = Connection[Row]

# How far each workspace's count rows may become coarse: up to its lowest cursor, or to the horizon.
REACHES = """
SELECT w.id, coalesce(c.cursor_epoch, %(epoch)s), coalesce(c.cursor_xid, %(xid)s) FROM tenants_workspace w
LEFT JOIN LATERAL (SELECT p.cursor_epoch, p.cursor_xid FROM delivery_pipeline p
                   WHERE p.workspace_id = w.id AND p.kind = 'live'
                   ORDER BY p.cursor_epoch, p.cursor_xid LIMIT 1) c ON true
"""
# A caught-up pipeline stands behind its workspace's last event, perhaps far back in the log. Moved to the horizon it
# keeps no partition, nor does anybody look at count rows that it need not read again; one with an end stays below it.
# One statement and one snapshot: what could still appear lies above the horizon.
ADVANCE_IDLE = """
WITH h AS (SELECT l.epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xid
           FROM log_epoch l WHERE l.id = 1),
     f AS (SELECT coalesce((SELECT p.seq_from FROM event_partition p, event_log_seq s WHERE p.seq_from <= s.last_value
                            ORDER BY p.seq_from DESC OFFSET 1 LIMIT 1), 0) AS seq)
UPDATE delivery_pipeline p SET cursor_xid = h.xid, cursor_seq = 0, floor_seq = greatest(p.floor_seq, f.seq)
FROM h, f
WHERE p.cursor_epoch = h.epoch AND p.cursor_xid < h.xid AND p.until_xid IS NULL
  AND (p.lease_until IS NULL OR p.lease_until < now())
  AND (p.floor_seq < f.seq
       OR EXISTS (SELECT FROM event_count c WHERE c.workspace_id = p.workspace_id AND c.epoch = p.cursor_epoch
                  AND c.xid_to > p.cursor_xid::text::xid8))
  AND NOT EXISTS (SELECT FROM event_log e WHERE e.workspace_id = p.workspace_id AND e.epoch = p.cursor_epoch
                  AND (e.xid, e.seq) > (p.cursor_xid::text::xid8, p.cursor_seq)
                  AND e.xid < h.xid::text::xid8 AND e.seq >= p.floor_seq
                  AND (p.shard_count = 1
                       OR ((e.user_key % p.shard_count) + p.shard_count) % p.shard_count = p.shard))
"""
# The lowest sequence number that somebody still needs: a pipeline's unread events or an event in a retry row. A replay
# that has come to its end needs none.
NEEDED = """
SELECT least(
    (SELECT min(p.floor_seq) FROM delivery_pipeline p
     JOIN tenants_destination d ON d.id = p.destination_id
     WHERE p.kind = 'live' OR p.until_xid IS NULL
        OR (p.cursor_epoch, p.cursor_xid, p.cursor_seq) < (p.until_epoch, p.until_xid, p.until_seq)),
    (SELECT min(r.seq) FROM delivery_retry r),
    (SELECT last_value FROM event_log_seq))
"""
LONGEST_RETENTION = "SELECT greatest(%s, coalesce(max(retention_days), 0)) FROM tenants_workspace"
LONGEST_WINDOW = "SELECT greatest(%s, coalesce(max(dedupe_hours), 0)) FROM tenants_workspace"
SETTLED_SECONDS = 40.0


@dataclass(slots=True)
class FoldCounts:
    """Folds the count rows of single transactions, and remembers below which horizon all of them are folded."""

    since: tuple[int, int] = (0, 0)
    horizons: deque[tuple[float, tuple[int, int]]] = field(default_factory=deque)

    def __call__(self, connection: PgConnection) -> None:
        now, horizon = time.monotonic(), cursors.horizon(connection)
        if horizon < self.since:  # a restored database
            self.since = (0, 0)
            self.horizons.clear()
        folded = counts.fold_fine(connection, *horizon, since=self.since)
        if folded is None or folded == counts.BATCH:
            return
        # What lay below the horizon of half a minute ago is old enough to have been folded by now.
        self.horizons.append((now, horizon))
        while self.horizons[0][0] < now - SETTLED_SECONDS:
            self.since = self.horizons.popleft()[1]


def fold_coarse(connection: PgConnection) -> None:
    """Fold into hours what every pipeline of a workspace has left behind, and into days what is no longer charted."""
    epoch, xid = cursors.horizon(connection)
    rows = connection.execute(REACHES, {"epoch": epoch, "xid": xid}).fetchall()
    reaches = [counts.Reach(*row) for row in rows]  # type: ignore[arg-type]
    for grain in (counts.HOURS, counts.DAYS):
        counts.fold_coarse(connection, grain, reaches, epoch, xid)


def make_partitions(connection: PgConnection) -> None:
    """Keep partitions and dedupe days ahead, watch the net."""
    partitions.make_ahead(connection)
    partitions.watch_default(connection)


def retire_partitions(connection: PgConnection) -> None:
    """Seal what is full, let idle cursors go of it, drop what is past retention and needed by nobody."""
    partitions.close_early(connection)
    partitions.seal_full(connection)
    indexes.build_missing(connection)
    connection.execute(ADVANCE_IDLE)
    partitions.drop_leftovers(connection)
    row = connection.execute(LONGEST_RETENTION, [settings.RETENTION_DAYS]).fetchone()
    days = int(str(row[0])) if row else settings.RETENTION_DAYS
    old = partitions.past_retention(connection, days)
    if old:
        expiry.expire_before(connection, old[-1].seq_until)
    needed = connection.execute(NEEDED).fetchone()
    for bounds in old:  # oldest first, and none behind one that stays
        if not needed or needed[0] is None or bounds.seq_until > int(str(needed[0])):
            break
        partitions.drop(connection, bounds)
    expiry.forget_dead_letters(connection)
    hours = connection.execute(LONGEST_WINDOW, [settings.DEDUPE_HOURS]).fetchone()
    partitions.drop_old_days(connection, int(str(hours[0])) if hours else settings.DEDUPE_HOURS)
    connection.execute("DELETE FROM event_rejected WHERE at < now() - interval '7 days'")


def check_books(connection: PgConnection) -> None:
    """Balance the books; they must."""
    ledger.check(connection)
