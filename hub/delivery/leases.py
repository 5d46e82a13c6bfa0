"""Leases on pipelines: a time-limited right to run one, with a fence that voids an old one.

All times are the database's. The fence protects our own state; the receiver is protected by the delivery id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from hub.events.cursors import Position
from hub.lib.postgres import Row

LEASE_SECONDS = 45
RENEW_AFTER_SECONDS = 15

# A live pipeline is not run while its destination is to have another number of shards, but for reading on to the place
# where all of them stop; and when all have come there, nobody runs until they are dealt anew (see sharding).
# Workers die at one place when they die at one cursor, or over one retry row, whose place is negative: the cursor may
# stand at the row's own event.
# At an ordered destination a replay and live traffic exclude each other: live events wait while a replay is on its way,
# and it waits until the last live turn has let go. Upkeep sends nothing, and waits for nobody.
CLAIM = """
WITH before AS (
    SELECT id, lease_until, held_until, greatest(0, extract(epoch FROM now() - next_run_at)) AS waited,
        CASE WHEN inflight_is_row THEN -inflight_seq ELSE cursor_seq END AS place
    FROM delivery_pipeline WHERE id = %(id)s FOR UPDATE
)
UPDATE delivery_pipeline p
SET lease_until = now() + make_interval(secs => %(seconds)s), fence = p.fence + 1, owner = %(owner)s, wanted = false,
    next_run_at = now() + make_interval(secs => %(seconds)s),
    crash_count = CASE WHEN b.lease_until IS NULL THEN p.crash_count
                       WHEN p.crash_seq = b.place THEN least(p.crash_count + 1, 100)
                       WHEN p.crash_count >= 2 THEN 2 ELSE 1 END,
    crash_seq = CASE WHEN b.lease_until IS NULL THEN p.crash_seq ELSE b.place END
FROM before b
WHERE p.id = b.id AND (b.lease_until IS NULL OR b.lease_until < now())
  AND (p.kind <> 'live' OR CASE WHEN p.until_xid IS NULL
      THEN NOT EXISTS (SELECT FROM tenants_destination d WHERE d.id = p.destination_id AND d.shards <> p.shard_count)
      ELSE EXISTS (SELECT FROM delivery_pipeline o WHERE o.destination_id = p.destination_id AND o.kind = 'live'
          AND (o.cursor_epoch, o.cursor_xid, o.cursor_seq) < (p.until_epoch, p.until_xid, p.until_seq)) END)
  AND (%(is_upkeep)s OR CASE WHEN p.kind = 'live' THEN p.held_by_replay IS NULL
      ELSE EXISTS (SELECT FROM delivery_replay y JOIN tenants_destination d ON d.id = y.destination_id
          WHERE y.id = p.replay_id AND y.state = 'running' AND (d.ordering <> 'per_user' OR NOT EXISTS (
              SELECT FROM delivery_pipeline o WHERE o.destination_id = p.destination_id AND o.id <> p.id
                AND (o.lease_until >= now()
                     OR o.kind = 'live' AND o.held_by_replay IS DISTINCT FROM p.replay_id)))) END)
RETURNING p.id, p.workspace_id, p.destination_id, p.fence, p.cursor_epoch, p.cursor_xid, p.cursor_seq, p.floor_seq,
          p.held_reason, p.circuit, p.circuit_probes, p.circuit_reopened,
          p.kind, p.replay_id, p.shard, p.shard_count, p.until_epoch, p.until_xid, p.until_seq, p.is_slow,
          p.last_success_at IS NOT NULL AS is_proven,
          coalesce((SELECT w.must_share FROM delivery_worker w WHERE w.name = %(owner)s), false) AS must_share,
          (SELECT count(*) FROM delivery_worker w WHERE w.slots > 0 AND w.beat_at > now() - interval '30 seconds')
              AS worker_count,
          p.crash_count, p.inflight_seq, p.held_until > now() AS is_held, b.lease_until IS NOT NULL AS has_expired,
          coalesce(b.waited, 0)::float8 AS waited
"""
WANT = "UPDATE delivery_pipeline SET wanted = true WHERE id = %s AND lease_until >= now() AND NOT wanted"
RENEW = """
UPDATE delivery_pipeline
SET lease_until = now() + make_interval(secs => %(seconds)s), next_run_at = now() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND fence = %(fence)s RETURNING id
"""
RELEASE = """
WITH before AS (SELECT id, wanted FROM delivery_pipeline WHERE id = %(id)s AND fence = %(fence)s FOR UPDATE)
UPDATE delivery_pipeline p
SET lease_until = NULL, owner = '', wanted = false, is_slow = %(is_slow)s,
    inflight_seq = CASE WHEN %(has_run)s THEN NULL ELSE p.inflight_seq END,
    inflight_is_row = NOT %(has_run)s AND p.inflight_is_row,
    crash_count = CASE WHEN %(is_calm)s THEN 0 ELSE p.crash_count END,
    crash_seq = CASE WHEN %(is_calm)s THEN NULL ELSE p.crash_seq END,
    floor_seq = greatest(p.floor_seq, %(floor)s),
    drain_rate = least(%(allowed)s::float8, greatest(%(full)s::float8, CASE WHEN %(full)s::float8 IS NULL
                      THEN p.drain_rate ELSE p.drain_rate * 0.75 + %(full)s::float8 * 0.25 END)),
    busy_rate = CASE WHEN %(busy)s::float8 IS NULL THEN p.busy_rate
                     ELSE coalesce((p.busy_rate + %(busy)s::float8) / 2, %(busy)s::float8) END,
    next_run_at = CASE
        WHEN b.wanted OR %(has_more)s THEN greatest(now() + make_interval(secs => %(wait)s), p.held_until)
        ELSE greatest(CASE WHEN p.held_until > now() THEN p.held_until END,
                      (SELECT min(r.next_run_at) FROM delivery_retry r
                       WHERE r.pipeline_id = p.id AND r.state = 'retry'))
    END
FROM before b WHERE p.id = b.id
RETURNING b.wanted
"""


INFLIGHT = "UPDATE delivery_pipeline SET inflight_seq = %s, inflight_is_row = %s WHERE id = %s AND fence = %s"
CRASHES = """
UPDATE delivery_pipeline SET crash_count = %s, crash_seq = NULL, inflight_seq = NULL, inflight_is_row = false
WHERE id = %s AND fence = %s
"""
ORDER_BREAKS = "UPDATE delivery_pipeline SET order_breaks = order_breaks + %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Pace:
    """How quick a turn was, in events a second, while more waited than it may send; how quick it could be, by how long
    it was busy with less; and what a rate limit allows. What is not known is None.
    """

    full: float | None = None
    busy: float | None = None
    allowed: float | None = None


UNKNOWN_PACE = Pace()


@dataclass(slots=True)
class Lease:
    """The right to run one pipeline until it is released or runs out; `position` is where its cursor stands."""

    pipeline_id: int
    workspace_id: UUID
    destination_id: UUID
    fence: int
    position: Position
    floor: int
    is_held: bool
    held_reason: str
    circuit: str
    circuit_probes: int
    circuit_reopened: int
    has_expired: bool
    kind: str = "live"
    replay_id: UUID | None = None
    shard: int = 0
    shard_count: int = 1
    until: Position | None = None
    is_slow: bool = False
    is_proven: bool = True
    must_share: bool = False
    worker_count: int = 1
    crash_count: int = 0
    inflight_seq: int | None = None
    waited: float = 0.0  # seconds from when it was due to the claim

    @property
    def is_apart(self) -> bool:
        """Whether it is run apart from the quick ones: found slow, being probed, or not known yet."""
        return self.is_slow or self.circuit == "open" or not self.is_proven


def claim(connection: Connection[Row], pipeline_id: int, owner: str, *, is_upkeep: bool = False) -> Lease | None:
    """Take the lease if it is free.

    1. A conditional UPDATE takes the row, raises the fence and tells whether an older lease had run out.
    2. If someone holds it, leave the wish that they look once more before they let go; else a hint that meets a lease
       would be lost.
    """
    values: dict[str, object] = {
        "id": pipeline_id,
        "owner": owner,
        "seconds": LEASE_SECONDS,
        "is_upkeep": is_upkeep,
    }
    row = _take(connection, values)
    if row is None and connection.execute(WANT, [pipeline_id]).rowcount == 0:
        row = _take(connection, values)  # the holder let go in between
    if row is None:
        return None
    return Lease(
        pipeline_id=row["id"],
        workspace_id=row["workspace_id"],
        destination_id=row["destination_id"],
        fence=row["fence"],
        position=Position(row["cursor_epoch"], row["cursor_xid"], row["cursor_seq"]),
        floor=row["floor_seq"],
        is_held=bool(row["is_held"]),
        held_reason=row["held_reason"],
        circuit=row["circuit"],
        circuit_probes=row["circuit_probes"],
        circuit_reopened=row["circuit_reopened"],
        has_expired=row["has_expired"],
        crash_count=row["crash_count"],
        inflight_seq=row["inflight_seq"],
        waited=row["waited"],
        kind=row["kind"],
        replay_id=row["replay_id"],
        shard=row["shard"],
        shard_count=row["shard_count"],
        until=_until(row),
        is_slow=row["is_slow"],
        is_proven=row["is_proven"],
        must_share=row["must_share"],
        worker_count=row["worker_count"],
    )


def _until(row: dict[str, Any]) -> Position | None:
    if row["until_xid"] is None:
        return None
    return Position(row["until_epoch"], row["until_xid"], row["until_seq"])


def _take(connection: Connection[Row], values: dict[str, object]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(CLAIM, values).fetchone()


def renew(connection: Connection[Row], lease: Lease) -> bool:
    """Prolong the lease; False when it has passed to another."""
    values = {"id": lease.pipeline_id, "fence": lease.fence, "seconds": LEASE_SECONDS}
    return connection.execute(RENEW, values).fetchone() is not None


def release(
    connection: Connection[Row],
    lease: Lease,
    *,
    has_more: bool,
    is_slow: bool,
    is_calm: bool = False,
    has_run: bool = True,
    wait_seconds: float = 0.0,
    pace: Pace = UNKNOWN_PACE,
) -> bool:
    """Let go and note when to look again. True when someone wished for another look meanwhile.

    Who has not run anything leaves what was written down of a crash to whoever does.
    """
    values = {
        "wait": wait_seconds,
        "id": lease.pipeline_id,
        "fence": lease.fence,
        "has_more": has_more,
        "is_slow": is_slow,
        "floor": lease.floor,
        "is_calm": is_calm,
        "has_run": has_run,
        "full": pace.full,
        "busy": pace.busy,
        "allowed": pace.allowed,
    }
    row = connection.execute(RELEASE, values).fetchone()
    return bool(row and row[0])


def note_inflight(connection: Connection[Row], lease: Lease, seq: int | None, *, is_row: bool = False) -> None:
    """Write down the event that is about to be worked on, in case the worker does not survive it."""
    connection.execute(INFLIGHT, [seq, is_row, lease.pipeline_id, lease.fence])


def note_crashes(connection: Connection[Row], lease: Lease, count: int) -> None:
    """Begin to count anew from so many crashes: the event that caused them is found."""
    connection.execute(CRASHES, [count, lease.pipeline_id, lease.fence])


def note_order_breaks(connection: Connection[Row], lease: Lease, count: int) -> None:
    """Events of a user started in the wrong order."""
    connection.execute(ORDER_BREAKS, [count, lease.pipeline_id])
