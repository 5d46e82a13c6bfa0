"""Deal a destination's live pipelines anew when its number of shards has changed.

Each shard reads the events of its share of the users, with a cursor of its own. Another number gives users to other
shards, so it is only changed at a barrier: a place in the log where all of them stand. Then nobody can have an event
of a user under way whom somebody else is about to read, nothing is read twice and nothing is stepped over.

1. The number differs: no pipeline of the destination is claimed any more, and those that run let go (`leases.CLAIM`,
   `loop.Turn`).
2. None runs: the greatest cursor among them is the barrier. Those behind it may be claimed again, and end there.
3. All stand there and none runs: rows that wait for another try, and dead letters, go to the shard of their user, a
   few thousand in each transaction.
4. Nothing is left to move: one transaction makes the new set.

Everything is a step from one state of the tables to the next, so that whoever does it may die at any moment. Whether a
destination is paused makes no difference, but that shards which are behind the barrier cannot come to it until it is
resumed; a destination with one pipeline stands at its barrier already.
"""

from __future__ import annotations

import time
from uuid import UUID

from psycopg import Connection

from hub.lib.postgres import Row
from hub.observability import log, metrics

BATCH = 5_000
# How long one tick may move rows: other pipelines wait for the scheduler meanwhile.
MOVING_SECONDS = 0.5

# Only those that can be taken further: nobody runs, and they have no barrier yet or have all come to it.
OUT_OF_STEP = """
SELECT p.destination_id FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.kind = 'live' AND (d.shards <> p.shard_count OR p.until_xid IS NOT NULL)
GROUP BY p.destination_id, d.shards
HAVING d.shards = min(p.shard_count) OR bool_and(p.lease_until IS NULL OR p.lease_until < now())
   AND bool_and(p.until_xid IS NULL
                OR (p.cursor_epoch, p.cursor_xid, p.cursor_seq) >= (p.until_epoch, p.until_xid, p.until_seq))
"""
# Commits and claims take the row too, so while this is held none of them moves a cursor or a lease.
LOCK = """
SELECT p.id FROM delivery_pipeline p WHERE p.destination_id = %(destination)s AND p.kind = 'live' ORDER BY p.id
FOR UPDATE
"""
STANDING = """
SELECT d.shards, max(p.shard_count), count(*), coalesce(bool_or(p.lease_until >= now()), false),
       bool_and(p.until_xid IS NOT NULL),
       coalesce(bool_and((p.cursor_epoch, p.cursor_xid, p.cursor_seq)
                         = (p.until_epoch, p.until_xid, p.until_seq)), false)
FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.destination_id = %(destination)s AND p.kind = 'live'
GROUP BY d.shards
"""
FREE = """
UPDATE delivery_pipeline SET until_epoch = NULL, until_xid = NULL, until_seq = NULL, next_run_at = now()
WHERE destination_id = %(destination)s AND kind = 'live'
"""
# The fence rises: a worker that slept through the end of its lease would else write a cursor behind the barrier.
BOUND = """
UPDATE delivery_pipeline p SET fence = p.fence + 1, until_epoch = b.cursor_epoch, until_xid = b.cursor_xid,
    until_seq = b.cursor_seq, next_run_at = now()
FROM (SELECT o.cursor_epoch, o.cursor_xid, o.cursor_seq FROM delivery_pipeline o
      WHERE o.destination_id = %(destination)s AND o.kind = 'live'
      ORDER BY o.cursor_epoch DESC, o.cursor_xid DESC, o.cursor_seq DESC LIMIT 1) b
WHERE p.destination_id = %(destination)s AND p.kind = 'live'
"""
# New rows stand at the barrier and read nothing before they are dealt: no user's remainder is that high. What the
# first has learned of the receiver holds for them too.
ADD = """
INSERT INTO delivery_pipeline (workspace_id, destination_id, kind, shard, shard_count, cursor_epoch, cursor_xid,
    cursor_seq, floor_seq, until_epoch, until_xid, until_seq, held_by_replay, held_until, held_reason, circuit,
    circuit_opened_at, circuit_probes, circuit_reopened, is_slow, unauthorized_count, learned_items, learned_bytes,
    learned_rate, last_success_at, next_run_at, created_at)
SELECT p.workspace_id, p.destination_id, p.kind, n.shard, p.shard_count, p.cursor_epoch, p.cursor_xid, p.cursor_seq,
    p.floor_seq, p.until_epoch, p.until_xid, p.until_seq, p.held_by_replay, p.held_until, p.held_reason, p.circuit,
    p.circuit_opened_at, p.circuit_probes, p.circuit_reopened, p.is_slow, p.unauthorized_count, p.learned_items,
    p.learned_bytes, p.learned_rate, p.last_success_at, now(), now()
FROM delivery_pipeline p, generate_series(1, %(shards)s::int - 1) AS n(shard)
WHERE p.destination_id = %(destination)s AND p.kind = 'live' AND p.shard = 0
ON CONFLICT (destination_id, shard) WHERE kind = 'live' DO NOTHING
"""
MOVE = """
WITH misplaced AS (
    SELECT m.id, right_one.id AS pipeline_id
    FROM delivery_pipeline present
    JOIN {table} m ON m.pipeline_id = present.id
    JOIN delivery_pipeline right_one ON right_one.destination_id = present.destination_id AND right_one.kind = 'live'
        AND right_one.shard = ((m.user_key %% %(shards)s::int) + %(shards)s::int) %% %(shards)s::int
    WHERE present.destination_id = %(destination)s AND present.kind = 'live' AND right_one.id <> present.id
    LIMIT %(batch)s
)
UPDATE {table} m SET pipeline_id = n.pipeline_id FROM misplaced n WHERE m.id = n.id
"""
MOVES = (MOVE.format(table="delivery_retry"), MOVE.format(table="delivery_dead"))
# What a single event is suspected of is found anew, for nobody stands where it was found.
DEAL = """
WITH surplus AS (
    DELETE FROM delivery_pipeline
    WHERE destination_id = %(destination)s AND kind = 'live' AND shard >= %(shards)s::int
    RETURNING order_breaks
)
UPDATE delivery_pipeline p SET shard_count = %(shards)s::int, fence = p.fence + 1, lease_until = NULL, owner = '',
    wanted = false, until_epoch = NULL, until_xid = NULL, until_seq = NULL, crash_count = 0, crash_seq = NULL,
    inflight_seq = NULL, inflight_is_row = false, drain_rate = NULL, busy_rate = NULL,
    order_breaks = p.order_breaks
        + CASE WHEN p.shard = 0 THEN (SELECT coalesce(sum(s.order_breaks), 0) FROM surplus s) ELSE 0 END,
    next_run_at = now()
WHERE p.destination_id = %(destination)s AND p.kind = 'live' AND p.shard < %(shards)s::int
"""
logger = log.get(__name__)


def deal_anew(connection: Connection[Row]) -> int:
    """Take every destination whose shards are out of step a step further. Returns how many were dealt."""
    give_up_at = time.monotonic() + MOVING_SECONDS
    found = connection.execute(OUT_OF_STEP).fetchall()
    return sum(step(connection, UUID(str(row[0])), give_up_at) for row in found)


def step(connection: Connection[Row], destination_id: UUID, give_up_at: float) -> bool:
    """Do what can be done for one destination now; whether it has its new number of shards."""
    while True:
        with connection.transaction():
            moved = _step(connection, destination_id)
        if moved is None:
            return False
        if not moved:
            return True
        if time.monotonic() > give_up_at:
            return False


def _step(connection: Connection[Row], destination_id: UUID) -> int | None:
    """One transaction: how many rows it moved, 0 when the new set is made, None when others must act first."""
    values: dict[str, object] = {"destination": destination_id, "batch": BATCH}
    connection.execute(LOCK, values)
    row = connection.execute(STANDING, values).fetchone()
    if row is None:
        return None
    shards, shard_count, count, is_leased, is_bounded, is_at_barrier = row
    if shards == shard_count == count:  # somebody changed their mind before the deal
        connection.execute(FREE, values)
        return None
    if is_leased:
        return None
    if not is_bounded:
        connection.execute(BOUND, values)
        row = connection.execute(STANDING, values).fetchone()
        is_at_barrier = row is not None and row[5]
    if not is_at_barrier:
        return None
    return _deal(connection, values | {"shards": shards}, was=int(str(shard_count)))


def _deal(connection: Connection[Row], values: dict[str, object], was: int) -> int:
    """Move rows to their users' pipelines; when there are none left, make the new set."""
    connection.execute(ADD, values)
    moved = 0
    for statement in MOVES:
        moved = moved or connection.execute(statement, values).rowcount
    if not moved:
        connection.execute(DEAL, values)
        metrics.resharded.inc()
        logger.info("shards_dealt", destination=str(values["destination"]), shards=values["shards"], was=was)
    return moved
