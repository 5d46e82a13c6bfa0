"""What a destination's refusals have taught: how large a batch may be, how fast calls may come, what always fails.

Kept with the pipelines, so that it survives a restart and every shard of a destination shares it. Limits are stored as
they were when a refusal lowered them; how far they have grown back since is worked out when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from psycopg import Connection

from hub.delivery.leases import Lease
from hub.lib.postgres import Row

LOWERED_RATE = 0.7
SLOWEST_RATE = 0.1
RATE_GROWTH_A_MINUTE = 1.1
BATCH_GROWTH_AN_HOUR = 1.1
SMALLEST_BATCH_BYTES = 1_024
# Calls under way when the first was refused are refused as well, and of other shards too: they teach nothing more.
SAME_REFUSAL_SECONDS = 5
LIVE_WORKER_SECONDS = 15

READ = """
SELECT p.streak_reason, extract(epoch FROM now() - p.streak_since), p.streak_count,
    batch.learned_items, batch.learned_bytes, extract(epoch FROM now() - batch.learned_at),
    calls.learned_rate, calls.rate_before, extract(epoch FROM now() - calls.learned_rate_at),
    (SELECT count(*) FROM delivery_worker w WHERE w.beat_at > now() - make_interval(secs => %(live)s))
FROM delivery_pipeline p
LEFT JOIN LATERAL (
    SELECT o.learned_items, o.learned_bytes, o.learned_at FROM delivery_pipeline o
    WHERE o.destination_id = p.destination_id AND o.kind = 'live' AND o.learned_at IS NOT NULL
    ORDER BY o.learned_at DESC LIMIT 1) batch ON true
LEFT JOIN LATERAL (
    SELECT o.learned_rate, o.rate_before, o.learned_rate_at FROM delivery_pipeline o
    WHERE o.destination_id = p.destination_id AND o.kind = 'live' AND o.learned_rate_at IS NOT NULL
    ORDER BY o.learned_rate_at DESC LIMIT 1) calls ON true
WHERE p.id = %(id)s
"""
# All pipelines of a destination, locked in order: shards that learn at the same moment must not wait in a circle.
LEARN_RATE = """
WITH all_of_it AS (
    SELECT id, learned_rate_at FROM delivery_pipeline WHERE destination_id = %(destination)s AND kind = 'live'
    ORDER BY id FOR UPDATE
), running AS (
    SELECT greatest(count(*), 1) AS shards FROM delivery_pipeline
    WHERE destination_id = %(destination)s AND kind = 'live' AND lease_until > now()
)
UPDATE delivery_pipeline p SET learned_rate_at = now(),
    learned_rate = greatest(%(slowest)s::float8,
        coalesce(%(rate)s::float8, %(seen)s::float8 * r.shards) * %(lowered)s::float8),
    rate_before = coalesce(%(ceiling)s::float8, %(seen)s::float8 * r.shards)
FROM all_of_it a, running r
WHERE p.id = a.id AND NOT EXISTS (
    SELECT FROM all_of_it o WHERE o.learned_rate_at > now() - make_interval(secs => %(same)s))
"""
LEARN_BATCH = """
WITH all_of_it AS (
    SELECT id FROM delivery_pipeline WHERE destination_id = %(destination)s AND kind = 'live' ORDER BY id FOR UPDATE
)
UPDATE delivery_pipeline p SET learned_items = %(items)s, learned_bytes = %(bytes)s, learned_at = now()
FROM all_of_it a WHERE p.id = a.id
"""
KEEP_STREAK = """
UPDATE delivery_pipeline SET streak_reason = %(reason)s::text, streak_count = %(count)s,
    streak_since = CASE WHEN %(reason)s::text <> '' THEN now() - make_interval(secs => %(seconds)s) END
WHERE id = %(id)s AND fence = %(fence)s
"""


@dataclass(frozen=True, slots=True)
class Streak:
    """Every answer since `since`, of a monotonic clock, has failed in this one way; without a reason there is none."""

    reason: str = ""
    since: float = 0.0
    count: int = 0

    def go_on(self, reason: str, now: float) -> Streak:
        """The streak after one more call that ended in this way; another way, or an empty one, ends it."""
        if reason == self.reason and reason:
            return Streak(reason, self.since, self.count + 1)
        return Streak(reason, now, 1) if reason else NO_STREAK

    def has_lasted(self, now: float, seconds: float, calls: int) -> bool:
        return self.count >= calls and now - self.since >= seconds


NO_STREAK = Streak()


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is known of a destination at the beginning of a turn, grown back to this moment."""

    items: int | None = None
    bytes: int | None = None
    rate: float | None = None
    rate_before: float | None = None
    worker_count: int = 1
    streak: Streak = NO_STREAK

    def slowed(self, limit: float | None) -> float | None:
        """Calls a second: what is allowed, or less when it was too much; None when nothing limits them."""
        ceiling = limit if limit is not None else self.rate_before
        if self.rate is None or (ceiling is not None and self.rate >= ceiling):
            return limit
        return self.rate


def read(connection: Connection[Row], lease: Lease) -> Lessons:
    """Read what the pipeline and its destination have learnt."""
    row = connection.execute(READ, {"id": lease.pipeline_id, "live": LIVE_WORKER_SECONDS}).fetchall()[0]
    numbers = [None if value is None else float(str(value)) for value in row[1:]]
    streak_age, streak_count, items, size, batch_age, rate, before, rate_age, workers = numbers
    reason = str(row[0])
    return Lessons(
        items=grown_batch(items, batch_age),
        bytes=grown_batch(size, batch_age),
        rate=grown_rate(rate, rate_age),
        rate_before=before,
        worker_count=max(1, int(workers or 0)),
        streak=Streak(reason, monotonic() - (streak_age or 0.0), int(streak_count or 0)) if reason else NO_STREAK,
    )


def grown_batch(learned: float | None, age_seconds: float | None) -> int | None:
    """A tenth more for each hour without a refusal. Far in the past it is so large that it limits nothing."""
    if learned is None or age_seconds is None:
        return None
    return int(learned * BATCH_GROWTH_AN_HOUR ** min(age_seconds // 3600, 500) + 0.5)


def grown_rate(learned: float | None, age_seconds: float | None) -> float | None:
    """A tenth more for each minute without a refusal."""
    if learned is None or age_seconds is None:
        return None
    return learned * float(RATE_GROWTH_A_MINUTE ** min(age_seconds // 60, 500))


def learn_rate(
    connection: Connection[Row], destination_id: UUID, rate: float | None, ceiling: float | None, seen: float
) -> None:
    """Too many calls: slow down from `rate`, or from what was `seen` when nothing limited them.

    `ceiling` is how far the rate may grow back; what was seen, where the owner set nothing.
    """
    values = {
        "destination": destination_id,
        "rate": rate,
        "ceiling": ceiling,
        "seen": max(seen, SLOWEST_RATE),
        "slowest": SLOWEST_RATE,
        "lowered": LOWERED_RATE,
        "same": SAME_REFUSAL_SECONDS,
    }
    connection.execute(LEARN_RATE, values)


def learn_batch(connection: Connection[Row], destination_id: UUID, items: int, size: int) -> None:
    """A batch was too large: no call of this destination is to hold more than this from now on."""
    values = {"destination": destination_id, "items": max(1, items), "bytes": max(SMALLEST_BATCH_BYTES, size)}
    connection.execute(LEARN_BATCH, values)


def keep_streak(connection: Connection[Row], lease: Lease, streak: Streak) -> None:
    """Write a streak down, for whoever runs the pipeline next."""
    values = {
        "id": lease.pipeline_id,
        "fence": lease.fence,
        "reason": streak.reason,
        "count": min(streak.count, 1_000_000),
        "seconds": monotonic() - streak.since if streak.reason else 0.0,
    }
    connection.execute(KEEP_STREAK, values)
