"""Count rows: what each ingest transaction did, folded into ranges once no reader can stand inside them.

A boundary of a subscription interval never falls inside a folded range: boundaries that exist are respected, and later
ones lie at or above the horizon of their time, which is above everything folded before.
"""

from __future__ import annotations

from psycopg import Connection

from hub.lib.postgres import Row

BATCH = 5_000
# One range = same workspace, source, epoch, day, time bucket and the same number of interval boundaries below it.
FOLD_RANGES = """
WITH candidate AS (
    SELECT c.ctid AS place, c.workspace_id, c.source_id, c.epoch, c.xid_from, c.xid_to, c.day, c.at,
           c.received, c.rejected, c.duplicate, c.accepted,
           floor(extract(epoch FROM c.at) / %(bucket)s) AS bucket,
           (SELECT count(*) FROM tenants_subscriptioninterval i WHERE i.workspace_id = c.workspace_id
             AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint))
         + (SELECT count(*) FROM tenants_subscriptioninterval i WHERE i.workspace_id = c.workspace_id
             AND (i.until_epoch, i.until_xid) <= (c.epoch, c.xid_from::text::bigint)) AS boundaries
    FROM event_count c
    WHERE c.at < now() - make_interval(secs => %(bucket)s) AND c.at >= now() - make_interval(secs => %(look_back)s)
      AND (c.epoch, c.xid_to::text::bigint) < (%(epoch)s, %(below)s)
      AND (%(workspace)s::uuid IS NULL OR c.workspace_id = %(workspace)s::uuid)
), foldable AS (
    SELECT workspace_id, source_id, epoch, day, bucket, boundaries, array_agg(place) AS places,
           min(xid_from::text::bigint) AS low, max(xid_to::text::bigint) AS high, min(at) AS at,
           sum(received) AS received, sum(rejected) AS rejected, sum(duplicate) AS duplicate, sum(accepted) AS accepted
    FROM candidate GROUP BY workspace_id, source_id, epoch, day, bucket, boundaries HAVING count(*) > 1
    LIMIT %(batch)s
), gone AS (
    DELETE FROM event_count c USING (SELECT unnest(places) AS place FROM foldable) f WHERE c.ctid = f.place
), made AS (
    INSERT INTO event_count (workspace_id, source_id, epoch, xid_from, xid_to, day, at, received, rejected, duplicate,
        accepted)
    SELECT workspace_id, source_id, epoch, low::text::xid8, high::text::xid8, day, at, received, rejected, duplicate,
        accepted
    FROM foldable RETURNING 1
)
SELECT count(*) FROM made
"""
FINE_SECONDS, FINE_LOOK_BACK = 10, 3_600
HOUR_SECONDS, HOUR_LOOK_BACK = 3_600, 3 * 86_400


def fold_fine(connection: Connection[Row], epoch: int, horizon_xid: int) -> int:
    """Fold the rows of single transactions below the horizon into ranges of about ten seconds."""
    return _fold(connection, FINE_SECONDS, FINE_LOOK_BACK, epoch, horizon_xid, None)


def fold_hours(connection: Connection[Row], workspace_id: object, epoch: int, below_xid: int) -> int:
    """Fold a workspace's ranges into hours, up to the lowest cursor of its pipelines."""
    return _fold(connection, HOUR_SECONDS, HOUR_LOOK_BACK, epoch, below_xid, workspace_id)


def _fold(
    connection: Connection[Row], bucket: int, look_back: int, epoch: int, below_xid: int, workspace_id: object
) -> int:
    row = connection.execute(
        FOLD_RANGES,
        {
            "bucket": bucket,
            "look_back": look_back,
            "epoch": epoch,
            "below": below_xid,
            "workspace": workspace_id,
            "batch": BATCH,
        },
    ).fetchone()
    return int(str(row[0])) if row else 0
