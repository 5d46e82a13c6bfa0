"""Retry rows that are due, as deliveries of a chunk; and which users an ordered pipeline holds back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from hub.delivery.parts import Delivery, RetryRef
from hub.events import cursors
from hub.lib.postgres import Row

DUE = """
SELECT r.id, r.mapping_id, r.seq, r.attempts, r.first_at, r.source_id, r.day, r.xid,
    (SELECT count(*) FROM delivery_retry o WHERE o.pipeline_id = r.pipeline_id AND o.seq = r.seq) AS rows_of_event,
    EXISTS (SELECT FROM delivery_dead x WHERE x.destination_id = r.destination_id AND x.seq = r.seq) AS has_dead
FROM delivery_retry r
WHERE r.pipeline_id = %(pipeline)s AND r.state = 'retry' AND r.next_run_at <= now()
ORDER BY r.next_run_at
LIMIT %(limit)s
"""
# Of each user only the earliest row may be tried; those behind it come along when it is due.
DUE_ORDERED = """
WITH head AS (
    SELECT DISTINCT ON (r.user_key) r.user_key, r.next_run_at, r.state FROM delivery_retry r
    WHERE r.pipeline_id = %(pipeline)s ORDER BY r.user_key, r.xid, r.seq
)
SELECT r.id, r.mapping_id, r.seq, r.attempts, r.first_at, r.source_id, r.day, r.xid,
    (SELECT count(*) FROM delivery_retry o WHERE o.pipeline_id = r.pipeline_id AND o.seq = r.seq) AS rows_of_event,
    EXISTS (SELECT FROM delivery_dead x WHERE x.destination_id = r.destination_id AND x.seq = r.seq) AS has_dead
FROM delivery_retry r JOIN head h ON h.user_key = r.user_key
WHERE r.pipeline_id = %(pipeline)s AND (h.next_run_at <= now() OR h.state = 'parked')
ORDER BY r.xid, r.seq
LIMIT %(limit)s
"""
HELD = "SELECT DISTINCT user_key FROM delivery_retry WHERE pipeline_id = %s"
# After a head has ended, the next of the user is due at once.
PROMOTE = """
UPDATE delivery_retry SET state = 'retry', next_run_at = now()
WHERE state = 'parked' AND id IN (
    SELECT DISTINCT ON (user_key) id FROM delivery_retry WHERE pipeline_id = %(pipeline)s ORDER BY user_key, xid, seq)
"""


@dataclass(frozen=True, slots=True)
class Lost:
    """A retry row whose event has left the log."""

    retry_id: int
    source_id: UUID
    seq: int


@dataclass(slots=True)
class Due:
    """What is to be tried now, in order, and what can no longer be."""

    deliveries: list[Delivery]
    lost: list[Lost]


def load_due(connection: Connection[Row], pipeline_id: int, workspace_id: UUID, limit: int, is_ordered: bool) -> Due:
    """Read the rows that are due and their events; the parts of one event come as one delivery."""
    statement = DUE_ORDERED if is_ordered else DUE
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, {"pipeline": pipeline_id, "limit": limit}).fetchall()
    if not rows:
        return Due([], [])
    events = cursors.read_rows(connection, workspace_id, [row["seq"] for row in rows])
    refs: dict[int, list[RetryRef]] = {}
    for row in rows:
        ref = RetryRef(
            row["id"], row["mapping_id"], row["attempts"], row["first_at"], row["rows_of_event"], row["has_dead"]
        )
        refs.setdefault(row["seq"], []).append(ref)
    for group in refs.values():
        for ref in group:
            ref.siblings -= len(group)
    lost = [Lost(row["id"], row["source_id"], row["seq"]) for row in rows if row["seq"] not in events]
    return Due([Delivery(events[seq], group) for seq, group in refs.items() if seq in events], lost)


def held_users(connection: Connection[Row], pipeline_id: int) -> set[int]:
    """The users that have a retry row: nothing new of theirs may start."""
    return {int(str(row[0])) for row in connection.execute(HELD, [pipeline_id]).fetchall()}


def promote(connection: Connection[Row], pipeline_id: int) -> None:
    """Make parked rows that have become the first of their user due."""
    connection.execute(PROMOTE, {"pipeline": pipeline_id})


EXPIRE = """
WITH lost AS (
    DELETE FROM delivery_retry WHERE id = ANY(%(ids)s)
    RETURNING workspace_id, destination_id, source_id, day, seq
), once AS (
    SELECT DISTINCT l.workspace_id, l.destination_id, l.source_id, l.day, l.seq FROM lost l
    WHERE NOT EXISTS (SELECT FROM delivery_retry r WHERE r.destination_id = l.destination_id AND r.seq = l.seq
                      AND NOT r.id = ANY(%(ids)s))
)
INSERT INTO delivery_count AS c (workspace_id, destination_id, source_id, day, delivered, filtered, dead, expired)
SELECT workspace_id, destination_id, source_id, day, 0, 0, 0, count(*) FROM once GROUP BY 1, 2, 3, 4
ON CONFLICT (destination_id, source_id, day) DO UPDATE SET expired = c.expired + excluded.expired
"""


def expire(connection: Connection[Row], lost: Sequence[Lost]) -> None:
    """End retry rows whose events retention has taken; the books say expired."""
    if lost:
        connection.execute(EXPIRE, {"ids": [each.retry_id for each in lost]})
