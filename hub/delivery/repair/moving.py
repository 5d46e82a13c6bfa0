"""The statements of repair: dead letters go back to waiting, are put aside, and waiting rows become due.

Each is one statement for a bounded list of rows, made with the destination's pipelines locked first and in order, as
commits lock theirs: so nobody waits for the other in a circle, and the books change with the rows or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from hub.delivery import hints
from hub.events.cursors import NO_END
from hub.lib.postgres import PgConnection

LOCK = "SELECT id FROM delivery_pipeline WHERE destination_id = %s ORDER BY id FOR UPDATE"
# A dead letter goes back to waiting in the same books: the destination's, or its replay's. Unless another part of its
# event is still being tried: then the event has not been counted as dead yet. Nor when its replay was cancelled.
# At an ordered destination only the earliest row of a user is due; the others wait behind it.
REVIVE = """
WITH letter AS (
    SELECT x.*, p.kind, p.replay_id, d.ordering = 'per_user' AS is_ordered
    FROM delivery_dead x
    JOIN delivery_pipeline p ON p.id = x.pipeline_id
    JOIN tenants_destination d ON d.id = x.destination_id
    LEFT JOIN delivery_replay y ON y.id = p.replay_id
    WHERE x.id = ANY(%(ids)s) AND x.discarded_at IS NULL AND y.state IS DISTINCT FROM 'cancelled'
      -- A finished replay goes on with it, and there is one at a time.
      AND (y.state IS DISTINCT FROM 'done' OR NOT EXISTS (SELECT FROM delivery_replay o
           WHERE o.destination_id = x.destination_id AND o.id <> y.id AND o.state IN ('running', 'paused')))
      AND NOT EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = x.pipeline_id AND r.seq = x.seq)
    ORDER BY x.id FOR UPDATE OF x
), placed AS (
    SELECT l.*, l.is_ordered AND (
        rank() OVER (PARTITION BY l.pipeline_id, l.user_key ORDER BY l.xid, l.seq) > 1
        OR EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = l.pipeline_id AND r.user_key = l.user_key
                   AND (r.xid, r.seq) < (l.xid, l.seq))) AS is_behind
    FROM letter l
), gone AS (
    DELETE FROM delivery_dead x USING letter l WHERE x.id = l.id
), revived AS (
    INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day,
        user_key, state, attempts, first_at, next_run_at, reason, status_code, job_id, batch_key)
    SELECT workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day, user_key,
        CASE WHEN is_behind THEN 'parked' ELSE 'retry' END, attempts, now(), now(), reason, status_code, '', ''
    FROM placed ORDER BY xid, seq
), recounted AS (
    UPDATE delivery_count c SET dead = c.dead - n.events
    FROM (SELECT destination_id, source_id, day, count(DISTINCT seq) AS events FROM letter WHERE kind = 'live'
          GROUP BY 1, 2, 3) n
    WHERE c.destination_id = n.destination_id AND c.source_id = n.source_id AND c.day = n.day
), replayed AS (
    UPDATE delivery_replay y SET dead = y.dead - n.events, ended_at = NULL,
        state = CASE WHEN y.state = 'done' THEN 'running' ELSE y.state END
    FROM (SELECT replay_id, count(DISTINCT seq) AS events FROM letter WHERE kind = 'replay' GROUP BY 1) n
    WHERE y.id = n.replay_id
), woken AS (
    UPDATE delivery_pipeline p SET next_run_at = now(), wanted = p.lease_until IS NOT NULL,
        floor_seq = CASE WHEN p.floor_seq = %(no_end)s THEN p.cursor_seq ELSE p.floor_seq END
    WHERE p.id IN (SELECT pipeline_id FROM letter)
)
SELECT id FROM letter
"""
DISCARD = """
WITH letter AS (
    SELECT id FROM delivery_dead WHERE id = ANY(%s) AND discarded_at IS NULL ORDER BY id FOR UPDATE
)
UPDATE delivery_dead x SET discarded_at = now() FROM letter l WHERE x.id = l.id
"""
HASTEN = """
WITH due AS (
    UPDATE delivery_retry SET next_run_at = now() WHERE id = ANY(%s) AND state = 'retry' AND next_run_at > now()
    RETURNING pipeline_id
), woken AS (
    UPDATE delivery_pipeline p SET next_run_at = now(), wanted = p.lease_until IS NOT NULL
    WHERE p.id IN (SELECT pipeline_id FROM due)
)
SELECT count(*) FROM due
"""
OPEN_ROWS = """
SELECT count(*) FILTER (WHERE r.state = 'retry'), count(*) FILTER (WHERE r.state = 'parked')
FROM (SELECT state FROM delivery_retry WHERE pipeline_id = ANY(%s) AND next_run_at <= now() LIMIT %s) r
"""
ROWS_OF_USERS = """
SELECT user_key, count(*) FROM delivery_retry WHERE pipeline_id = ANY(%s) AND user_key = ANY(%s) GROUP BY 1
"""
# What a paused replay has waiting makes no room by itself, so nobody waits for it.
PIPELINES = """
SELECT p.id FROM delivery_pipeline p LEFT JOIN delivery_replay y ON y.id = p.replay_id
WHERE p.destination_id = %s AND y.state IS DISTINCT FROM 'paused'
"""


def revive(connection: PgConnection, destination_id: UUID, ids: Sequence[int]) -> int:
    """Put dead letters back to waiting. They are tried at once, and for the full time again."""
    connection.execute(LOCK, [destination_id])
    return len(connection.execute(REVIVE, {"ids": list(ids), "no_end": NO_END}).fetchall())


def discard(connection: PgConnection, destination_id: UUID, ids: Sequence[int]) -> int:
    """Mark dead letters as seen to; they stay dead in the books."""
    connection.execute(LOCK, [destination_id])
    return connection.execute(DISCARD, [list(ids)]).rowcount


def hasten(connection: PgConnection, destination_id: UUID, ids: Sequence[int]) -> int:
    """Make waiting rows due at once. Parked ones go on waiting for the event before them."""
    connection.execute(LOCK, [destination_id])
    row = connection.execute(HASTEN, [list(ids)]).fetchone()
    return int(str(row[0])) if row else 0


def open_rows(connection: PgConnection, destination_id: UUID, most: int) -> tuple[int, int]:
    """How many rows of the destination wait for their turn, and how many behind another; counted up to `most`."""
    row = connection.execute(OPEN_ROWS, [_pipelines(connection, destination_id), most]).fetchone()
    return (int(str(row[0])), int(str(row[1]))) if row else (0, 0)


def rows_of_users(connection: PgConnection, destination_id: UUID, user_keys: Iterable[int]) -> dict[int, int]:
    """How many rows each of these users has at the destination."""
    values = [_pipelines(connection, destination_id), list(set(user_keys))]
    return {int(str(row[0])): int(str(row[1])) for row in connection.execute(ROWS_OF_USERS, values).fetchall()}


def hint(pipeline_ids: Iterable[int]) -> Callable[[], None]:
    """What to do once the rows are committed: tell workers about the pipelines."""
    ids = sorted(set(pipeline_ids))

    def tell() -> None:
        for pipeline_id in ids:
            hints.run_pipeline(pipeline_id)

    return tell


def _pipelines(connection: PgConnection, destination_id: UUID) -> list[int]:
    return [int(str(row[0])) for row in connection.execute(PIPELINES, [destination_id]).fetchall()]
