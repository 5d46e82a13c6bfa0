"""The chores of the log and of delivery that need to know both: folding counts, partitions, retention, gauges."""

from __future__ import annotations

from django.conf import settings
from psycopg import Connection

from hub.delivery import expiry, ledger
from hub.events import counts, cursors, partitions
from hub.lib.postgres import Row
from hub.observability import log, metrics
from tenants.checks import KEY_IDS_IN_USE

PgConnection = Connection[Row]
logger = log.get(__name__)

WORKSPACE_CURSORS = """
SELECT workspace_id, min(cursor_xid) FROM delivery_pipeline WHERE cursor_epoch = %s GROUP BY workspace_id
"""
# A caught-up pipeline stands behind its workspace's last event, perhaps far back in the log. Moved to the horizon it
# keeps no partition. One statement and one snapshot: what could still appear lies above the horizon.
ADVANCE_IDLE = """
WITH h AS (SELECT l.epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xid
           FROM log_epoch l WHERE l.id = 1),
     f AS (SELECT coalesce((SELECT p.seq_from FROM event_partition p, event_log_seq s WHERE p.seq_from <= s.last_value
                            ORDER BY p.seq_from DESC OFFSET 1 LIMIT 1), 0) AS seq)
UPDATE delivery_pipeline p SET cursor_xid = h.xid, cursor_seq = 0, floor_seq = greatest(p.floor_seq, f.seq)
FROM h, f
WHERE p.cursor_epoch = h.epoch AND p.cursor_xid < h.xid AND (p.lease_until IS NULL OR p.lease_until < now())
  AND NOT EXISTS (SELECT FROM event_log e WHERE e.workspace_id = p.workspace_id AND e.epoch = p.cursor_epoch
                  AND (e.xid, e.seq) > (p.cursor_xid::text::xid8, p.cursor_seq)
                  AND e.xid < h.xid::text::xid8 AND e.seq >= p.floor_seq)
"""
# The lowest sequence number that somebody still needs: a pipeline's unread events or an event in a retry row.
NEEDED = """
SELECT least(
    (SELECT min(p.floor_seq) FROM delivery_pipeline p
     JOIN tenants_destination d ON d.id = p.destination_id),
    (SELECT min(r.seq) FROM delivery_retry r),
    (SELECT last_value FROM event_log_seq))
"""
LONGEST_RETENTION = "SELECT greatest(%s, coalesce(max(retention_days), 0)) FROM tenants_workspace"
LONGEST_WINDOW = "SELECT greatest(%s, coalesce(max(dedupe_hours), 0)) FROM tenants_workspace"
GAUGES = """
SELECT (SELECT count(*) FROM delivery_retry),
       (SELECT count(*) FROM delivery_pipeline WHERE circuit = 'open'),
       (SELECT coalesce(extract(epoch FROM now() - min(a.xact_start)), 0) FROM pg_stat_activity a
        WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()),
       (SELECT coalesce(extract(epoch FROM now() - min(c.at)), 0) FROM delivery_pipeline p
        JOIN LATERAL (SELECT c.at FROM event_count c WHERE c.workspace_id = p.workspace_id AND c.accepted > 0
                      AND (c.epoch, c.xid_from::text::bigint) > (p.cursor_epoch, p.cursor_xid)
                      ORDER BY c.at LIMIT 1) c ON true)
"""
HORIZON_ALARM_SECONDS = 5.0
BLOCKER = """
SELECT pid, usename, left(query, 60) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start LIMIT 1
"""


def fold_counts(connection: PgConnection) -> None:
    """Fold count rows below the horizon, and into hours what every pipeline of a workspace has left behind."""
    epoch, xid = cursors.horizon(connection)
    counts.fold_fine(connection, epoch, xid)
    for workspace_id, lowest in connection.execute(WORKSPACE_CURSORS, [epoch]).fetchall():
        counts.fold_hours(connection, workspace_id, epoch, int(str(lowest)))


def make_partitions(connection: PgConnection) -> None:
    """Keep partitions and dedupe days ahead, watch the net."""
    partitions.make_ahead(connection)
    partitions.watch_default(connection)


def retire_partitions(connection: PgConnection) -> None:
    """Seal what is full, let idle cursors go of it, drop what is past retention and needed by nobody."""
    partitions.close_early(connection)
    partitions.seal_full(connection)
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
    hours = connection.execute(LONGEST_WINDOW, [settings.DEDUPE_HOURS]).fetchone()
    partitions.drop_old_days(connection, int(str(hours[0])) if hours else settings.DEDUPE_HOURS)
    connection.execute("DELETE FROM event_rejected WHERE at < now() - interval '7 days'")


def measure(connection: PgConnection) -> None:
    """Publish the gauges, and name whoever holds the horizon back."""
    row = connection.execute(GAUGES).fetchone()
    if row is None:
        return
    for gauge, value in zip(
        (metrics.retry_rows, metrics.circuit_open, metrics.horizon_lag, metrics.oldest_undelivered), row, strict=True
    ):
        gauge.set(float(str(value)))
    for key_id, count in connection.execute(KEY_IDS_IN_USE).fetchall():
        metrics.secret_key_rows.labels(key_id).set(int(str(count)))
    if float(str(row[2])) > HORIZON_ALARM_SECONDS:
        found = connection.execute(BLOCKER).fetchone()
        if found is not None:
            logger.error("horizon_held", seconds=round(float(str(row[2])), 1), pid=found[0], user=found[1])


def check_books(connection: PgConnection) -> None:
    """Balance the books; they must."""
    ledger.check()
