"""Count rows: what each ingest transaction did, folded into ranges once no reader can stand inside them.

A boundary of a subscription interval never falls inside a folded range: boundaries that exist are respected, and later
ones lie above everything folded before. Most do by themselves, for a change takes effect at its own transaction number
or later. The one that reaches back, to the oldest event in flight when a destination is made, is found under a shared
lock that folding takes for itself: either it is already visible here, or it is looked for after this fold has ended.

Ranges of a source do not overlap, but at midnight: a row's time bucket is never lower than that of the rows before it.
So a reader stands in one range, however long it lags, and counting what waits for it reads no more of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection

from hub.lib.postgres import Row
from tenants.positions import BOUNDARIES

BATCH = 50_000
TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({BOUNDARIES})"
# One range = same workspace, source, epoch, day, time bucket and the same number of interval boundaries below it.
# Sums are made of what was really deleted, so that not even two folds at once could count a row twice.
FOLD_RANGES = """
WITH reach AS (
    SELECT * FROM unnest(%(workspaces)s::uuid[], %(epochs)s::smallint[], %(xids)s::bigint[]) AS r(workspace, epoch, xid)
), boundary AS (
    SELECT b.workspace_id, b.epoch, array_agg(b.xid ORDER BY b.xid) AS xids
    FROM (SELECT workspace_id, from_epoch AS epoch, from_xid AS xid FROM tenants_subscriptioninterval
          UNION SELECT workspace_id, until_epoch, until_xid FROM tenants_subscriptioninterval
          WHERE until_xid IS NOT NULL) b
    GROUP BY b.workspace_id, b.epoch
), candidate AS MATERIALIZED (
    SELECT c.ctid AS place, c.workspace_id, c.source_id, c.epoch, c.day, c.xid_from,
           max(floor(extract(epoch FROM c.at) / %(bucket)s)) OVER (
               PARTITION BY c.workspace_id, c.source_id, c.epoch ORDER BY c.xid_from, c.xid_to) AS bucket,
           coalesce(width_bucket(c.xid_from::text::bigint, b.xids), 0) AS boundaries
    FROM event_count c LEFT JOIN boundary b ON b.workspace_id = c.workspace_id AND b.epoch = c.epoch
    WHERE (c.epoch, c.xid_to) >= (%(since_epoch)s::smallint, %(since_xid)s::text::xid8)
      AND (c.epoch, c.xid_to) < (%(epoch)s::smallint, %(below)s::text::xid8)
      AND c.at >= now() - make_interval(secs => %(look_back)s)
      AND (%(is_everywhere)s OR EXISTS (SELECT FROM reach r WHERE r.workspace = c.workspace_id
           AND (c.epoch, c.xid_to::text::bigint) < (r.epoch, r.xid)))
), whole AS (
    SELECT k.place, k.xid_from, count(*) OVER w AS size, min(k.place) OVER w AS head FROM candidate k
    WHERE k.bucket < floor(extract(epoch FROM now() - make_interval(secs => %(rest)s)) / %(bucket)s)
    WINDOW w AS (PARTITION BY k.workspace_id, k.source_id, k.epoch, k.day, k.bucket, k.boundaries)
), chosen AS MATERIALIZED (
    SELECT place, head FROM whole WHERE size > 1 ORDER BY head, xid_from LIMIT %(batch)s
), gone AS (
    DELETE FROM event_count c WHERE c.ctid = ANY(ARRAY(SELECT place FROM chosen)) RETURNING c.ctid AS place, c.*
), made AS (
    INSERT INTO event_count (workspace_id, source_id, epoch, xid_from, xid_to, day, at, received, rejected, duplicate,
        accepted)
    SELECT g.workspace_id, g.source_id, g.epoch, min(g.xid_from::text::bigint)::text::xid8,
           max(g.xid_to::text::bigint)::text::xid8, g.day, min(g.at), sum(g.received), sum(g.rejected),
           sum(g.duplicate), sum(g.accepted)
    FROM gone g JOIN chosen k ON k.place = g.place
    GROUP BY k.head, g.workspace_id, g.source_id, g.epoch, g.day
)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class Grain:
    """How long a range is, how long rows are left alone first, and how far back rows are looked for; in seconds."""

    bucket: float
    rest: float
    look_back: float


FINE = Grain(10, 5, 3_600)
HOURS = Grain(3_600, 1_800, 3 * 86_400)
DAYS = Grain(86_400, 35 * 86_400, 45 * 86_400)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a workspace's rows may become coarse: up to the lowest cursor of its readers."""

    workspace_id: UUID
    epoch: int
    xid: int


def fold_fine(
    connection: Connection[Row], epoch: int, horizon_xid: int, since: tuple[int, int] = (0, 0), grain: Grain = FINE
) -> int | None:
    """Fold the rows of single transactions below the horizon into ranges of about ten seconds.

    Rows below `since` are taken as folded already. Returns how many rows went; None when a change of subscriptions is
    under way, which has to be waited for.
    """
    return _fold(connection, grain, since, (epoch, horizon_xid), None)


def fold_coarse(
    connection: Connection[Row], grain: Grain, reaches: Sequence[Reach], epoch: int, horizon_xid: int
) -> int | None:
    """Fold the ranges of workspaces into hours or days, each up to its lowest cursor."""
    return _fold(connection, grain, (0, 0), (epoch, horizon_xid), reaches)


def _fold(
    connection: Connection[Row],
    grain: Grain,
    since: tuple[int, int],
    below: tuple[int, int],
    reaches: Sequence[Reach] | None,
) -> int | None:
    with connection.transaction():
        if connection.execute(TRY_LOCK).fetchone() != (True,):
            return None
        values = {
            "bucket": grain.bucket,
            "rest": grain.rest,
            "look_back": grain.look_back,
            "since_epoch": since[0],
            "since_xid": since[1],
            "epoch": below[0],
            "below": below[1],
            "is_everywhere": reaches is None,
            "workspaces": [reach.workspace_id for reach in reaches or ()],
            "epochs": [reach.epoch for reach in reaches or ()],
            "xids": [reach.xid for reach in reaches or ()],
            "batch": BATCH,
        }
        row = connection.execute(FOLD_RANGES, values).fetchone()
    return int(str(row[0])) if row else 0
