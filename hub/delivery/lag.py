"""How far pipelines are behind and how long they will need: from count rows and their own pace, never from the log.

The pace of whoever works a backlog off is what he has committed in the last seconds. Before he has begun, and when all
that waits has come in just now, it is the best that he has kept up for a while, or what his rate limit allows, or else
what he has shown with the little there was. What comes in meanwhile has to be sent as well, and a pipeline that is held
begins only when its hold is over. So the estimate holds as long as the receiver and the load stay as they are, and says
nothing when nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from hub.delivery import outflow
from hub.delivery.outflow import Outflow

# Who is further behind than this works a backlog off.
KEEPING_UP_SECONDS = 5.0
# Of the range that holds the cursor a part is taken, as if its transactions were alike; users are taken to be spread
# evenly over shards. What came in lately is what of it is at most half a minute old: whoever is behind has all of
# that before him. One that is off goes on whatever its status is, for what waits ends as filtered.
WAITING = """
SELECT p.id, p.shard_count, coalesce(p.drain_rate, p.busy_rate),
       (d.status = 'active' OR NOT d.is_enabled) AND p.held_by_replay IS NULL AS goes_on,
       greatest(0, extract(epoch FROM p.held_until - now()))::float8 AS hold, w.waiting, w.since,
       extract(epoch FROM now() - w.since)::float8 AS age,
       w.lately / greatest(extract(epoch FROM now() - w.lately_since), 10)::float8 AS inflow
FROM delivery_pipeline p
JOIN tenants_destination d ON d.id = p.destination_id
LEFT JOIN LATERAL (
    SELECT min(c.at) AS since, sum(part.waiting) AS waiting,
           sum(part.waiting) FILTER (WHERE c.at > now() - interval '30 seconds') AS lately,
           min(c.at) FILTER (WHERE c.at > now() - interval '30 seconds') AS lately_since
    FROM tenants_connection k
    JOIN event_count c ON c.workspace_id = p.workspace_id AND c.source_id = k.source_id AND c.accepted > 0
        AND (c.epoch = p.cursor_epoch AND c.xid_to > p.cursor_xid::text::xid8 OR c.epoch > p.cursor_epoch)
    CROSS JOIN LATERAL (SELECT c.accepted * CASE
        WHEN c.epoch > p.cursor_epoch OR c.xid_from::text::bigint > p.cursor_xid THEN 1.0
        ELSE (c.xid_to::text::bigint - p.cursor_xid)::float8
             / (c.xid_to::text::bigint - c.xid_from::text::bigint + 1) END AS waiting) part
    WHERE k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = p.workspace_id
          AND i.kind = 'connection' AND i.object_id = k.id
          AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint)
          AND (i.until_epoch IS NULL OR (c.epoch, c.xid_from::text::bigint) < (i.until_epoch, i.until_xid)))
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = p.workspace_id
          AND i.kind = 'destination' AND i.object_id = p.destination_id
          AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint)
          AND (i.until_epoch IS NULL OR (c.epoch, c.xid_from::text::bigint) < (i.until_epoch, i.until_xid)))
) w ON p.kind = 'live'
WHERE p.id = ANY(%s)
"""
RETRYING = "SELECT pipeline_id, count(*) FROM delivery_retry WHERE pipeline_id = ANY(%s) GROUP BY 1"
LIVE = "SELECT id FROM delivery_pipeline WHERE kind = 'live'"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for a pipeline beyond its cursor, since when, how long it will take, and rows to be tried again.

    `seconds_to_drain` is None while nobody can say: nothing is known of its pace yet, or it waits for somebody. It is
    infinite when more comes in than it can send.
    """

    waiting: int = 0
    since: datetime | None = None
    seconds_to_drain: float | None = 0.0
    retrying: int = 0


def backlog_of(pipeline_ids: Sequence[int]) -> dict[int, Backlog]:
    """The backlogs of these pipelines, with three queries."""
    ids = list(pipeline_ids)
    found = dict.fromkeys(ids, Backlog())
    with connection.cursor() as cursor:
        cursor.execute(RETRYING, [ids])
        retrying = dict(cursor.fetchall())
        cursor.execute(WAITING, [ids])
        rows = cursor.fetchall()
    now_sent = outflow.latest([row[0] for row in rows if row[5]])
    for key, shards, rate, goes_on, hold, waiting, since, age, inflow in rows:
        count = round(float(waiting or 0) / shards)
        pace = pace_of(count, age or 0.0, rate, now_sent.get(key)) if goes_on else None
        left = seconds_to_drain(count, pace, float(inflow or 0) / shards, hold or 0.0)
        found[key] = Backlog(count, since if count else None, left, retrying.get(key, 0))
    return found


def backlogs() -> dict[int, Backlog]:
    """The backlogs of all live pipelines."""
    with connection.cursor() as cursor:
        cursor.execute(LIVE)
        return backlog_of([row[0] for row in cursor.fetchall()])


def pace_of(waiting: int, age: float, best: float | None, now: Outflow | None) -> float | None:
    """How many events a second it sends, when so many wait and the first has for so long.

    What it sends now is what it can only while it never runs out of work; else it is as quick as events come in.
    """
    if now is None or age < now.seconds or waiting < now.per_second * KEEPING_UP_SECONDS:
        return best
    return now.per_second


def seconds_to_drain(waiting: int, rate: float | None, inflow: float = 0.0, hold: float = 0.0) -> float | None:
    """How long so many events take at this rate, from the end of a hold on, while others come in."""
    if not waiting:
        return 0.0
    if not rate:
        return None
    return hold + (waiting + inflow * hold) / (rate - inflow) if rate > inflow else math.inf


def longest(backlogs: Iterable[Backlog]) -> float | None:
    """When the last of several is done that drain side by side; None when of one of them nobody can say."""
    times = [each.seconds_to_drain for each in backlogs]
    return None if None in times else max((time for time in times if time is not None), default=0.0)


def in_words(seconds: float | None) -> str:
    """A time to drain as people say it."""
    if seconds is None:
        return "unknown"
    if math.isinf(seconds):
        return "never at this load"
    if seconds < 60:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
