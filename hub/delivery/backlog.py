"""Retry rows that are due, as deliveries; and which users an ordered pipeline holds back.

A pipeline without order takes parked rows too: they are from a time when it had one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from time import monotonic
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from hub.delivery.leases import Lease
from hub.delivery.parts import Delivery, RetryRef
from hub.delivery.remote import RemoteJob
from hub.delivery.retry import QUICK_BELOW_SECONDS, QUICK_STEPS_SECONDS
from hub.delivery.waiting import Loaded, Waiting
from hub.events import cursors
from hub.lib.postgres import Row

# A row r as the chunk that tries it must know it.
ROWS = """
SELECT r.id, r.mapping_id, r.seq, r.attempts, r.first_at, r.source_id, r.day, r.xid, r.batch_key, r.state,
    r.job_id, r.job_index, r.job_size, r.job_until,
    (SELECT count(*) FROM delivery_retry o WHERE o.pipeline_id = r.pipeline_id AND o.seq = r.seq) AS rows_of_event,
    EXISTS (SELECT FROM delivery_dead x WHERE x.destination_id = r.destination_id AND x.seq = r.seq
            AND x.pipeline_id = r.pipeline_id) AS has_dead
FROM delivery_retry r"""
DUE = f"""{ROWS}
WHERE r.pipeline_id = %(pipeline)s AND r.next_run_at <= now()
ORDER BY r.next_run_at
LIMIT %(limit)s
"""
# Of each user only the earliest row may be tried; those behind it come along when it is due.
DUE_ORDERED = f"""
WITH head AS (
    SELECT DISTINCT ON (r.user_key) r.user_key, r.next_run_at, r.state FROM delivery_retry r
    WHERE r.pipeline_id = %(pipeline)s
    ORDER BY r.user_key, r.xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint, r.xid, r.seq
)
{ROWS} JOIN head h ON h.user_key = r.user_key
WHERE r.pipeline_id = %(pipeline)s AND (h.next_run_at <= now() OR h.state = 'parked')
ORDER BY r.xid, r.seq
LIMIT %(limit)s
"""  # noqa: S608 - our own constants
# A batch that is repeated must have all its members again, whoever was found to be due.
COMPANIONS = f"""{ROWS}
WHERE r.pipeline_id = %(pipeline)s AND r.batch_key = ANY(%(keys)s) AND r.state <> 'parked' AND NOT r.id = ANY(%(found)s)
ORDER BY r.xid, r.seq
"""
# The rows of users whose head is due within seconds, all of each; and of those named, due or not. A batch that must be
# repeated as it was brings the users of its members along. Rows of an older epoch come first: they have xids that this
# cluster has yet to reach.
CHAINS = """
WITH mine AS (
    SELECT r.*, r.xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS is_late FROM delivery_retry r
    WHERE r.pipeline_id = %(pipeline)s AND NOT r.user_key = ANY(%(known)s)
), head AS (
    SELECT DISTINCT ON (user_key) user_key, state, attempts, batch_key,
        CASE WHEN state = 'parked' THEN '-infinity' ELSE next_run_at END AS due_at
    FROM mine ORDER BY user_key, is_late, xid, seq, next_run_at DESC
), due AS (
    SELECT * FROM head
    WHERE due_at < now() + make_interval(secs => %(within)s) OR user_key = ANY(%(wanted)s)
    ORDER BY due_at, user_key LIMIT %(limit)s
), taken AS (
    SELECT * FROM due
    UNION SELECT h.* FROM head h JOIN due d ON d.batch_key = h.batch_key AND h.batch_key <> ''
)
SELECT m.user_key, m.id, m.mapping_id, m.seq, m.attempts, m.first_at, m.source_id, m.batch_key, m.state,
    m.job_id, m.job_index, m.job_size, m.job_until,
    CASE WHEN m.state = 'parked' THEN 0 ELSE extract(epoch FROM m.next_run_at - now()) END AS wait,
    t.attempts AS head_attempts,
    EXISTS (SELECT FROM delivery_dead x WHERE x.destination_id = m.destination_id AND x.seq = m.seq
            AND x.pipeline_id = m.pipeline_id) AS has_dead
FROM taken t JOIN mine m USING (user_key)
ORDER BY t.due_at, t.user_key, m.is_late, m.xid, m.seq
LIMIT %(limit)s
"""
HELD = "SELECT user_key, count(DISTINCT seq) FROM delivery_retry WHERE pipeline_id = %s GROUP BY user_key"
# After a head has ended, the next of the user is due at once.
PROMOTE = """
UPDATE delivery_retry SET state = 'retry', next_run_at = now()
WHERE state = 'parked' AND id IN (
    SELECT DISTINCT ON (user_key) id FROM delivery_retry WHERE pipeline_id = %(pipeline)s
    ORDER BY user_key, xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint, xid, seq)
"""


@dataclass(frozen=True, slots=True)
class Lost:
    """A retry row whose event has left the log."""

    retry_id: int
    source_id: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class Wish:
    """Which held users' rows are to be loaded: how many at most, whose are known, whose are wanted due or not.

    Of a user whose order was given up, each row is loaded when it is due itself.
    """

    room: int
    slow_limit: int
    known: list[int]
    crowded: list[int]
    loose: list[int]


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
        keys = list({row["batch_key"] for row in rows if row["batch_key"]})
        if keys:
            values = {"pipeline": pipeline_id, "keys": keys, "found": [row["id"] for row in rows]}
            rows += cursor.execute(COMPANIONS, values).fetchall()
            rows.sort(key=lambda row: (row["xid"], row["seq"]))
    if not rows:
        return Due([], [])
    events = cursors.read_rows(connection, workspace_id, [row["seq"] for row in rows])
    refs: dict[int, list[RetryRef]] = {}
    for row in rows:
        refs.setdefault(row["seq"], []).append(_ref(row, row["rows_of_event"]))
    for group in refs.values():
        for ref in group:
            ref.siblings -= len(group)
    lost = [Lost(row["id"], row["source_id"], row["seq"]) for row in rows if row["seq"] not in events]
    return Due([Delivery(events[seq], group) for seq, group in refs.items() if seq in events], lost)


def _ref(row: dict[str, Any], siblings: int) -> RetryRef:
    """A row as the chunk that tries it knows it."""
    is_pending = row["state"] == "pending"
    job = RemoteJob(row["job_id"], row["job_index"], row["job_size"], row["job_until"]) if is_pending else None
    known = (row["id"], row["mapping_id"], row["attempts"], row["first_at"])
    return RetryRef(*known, siblings, row["has_dead"], row["batch_key"], job)


def held_users(connection: Connection[Row], pipeline_id: int) -> dict[int, int]:
    """The users that have a retry row, and how many events wait: nothing new of theirs may start."""
    found = connection.execute(HELD, [pipeline_id]).fetchall()
    return {int(str(user_key)): int(str(count)) for user_key, count in found}


def load_chains(connection: Connection[Row], lease: Lease, wish: Wish) -> tuple[Loaded, list[Lost]]:
    """Read the rows of held users that are due soon, with their events, each user's in order.

    1. As many rows as there is room for; a user whose rows were cut off is left out, unless it is the only one. No
       event is cut in two: it would be over, and counted, with each half.
    2. Of the slow heads no more than the retry budget allows.
    3. The rows of one event come as one, due when the last of them is.
    """
    values = {
        "pipeline": lease.pipeline_id,
        "known": wish.known,
        "wanted": wish.crowded + wish.loose,
        "within": QUICK_BELOW_SECONDS,
        "limit": wish.room + 1,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(CHAINS, values).fetchall()
    partial: int | None = None
    if len(rows) > wish.room:
        cut = rows.pop()
        whole = [row for row in rows if row["user_key"] != cut["user_key"]]
        partial = None if whole else cut["user_key"]
        rows = whole or [row for row in rows if row["seq"] != cut["seq"]]
    rows_of_event = Counter(row["seq"] for row in rows)
    rows = _within_budget(rows, wish)
    events = cursors.read_rows(connection, lease.workspace_id, [row["seq"] for row in rows]) if rows else {}
    lost = [Lost(row["id"], row["source_id"], row["seq"]) for row in rows if row["seq"] not in events]
    chains: dict[int, list[Waiting]] = {row["user_key"]: [] for row in rows}
    now = monotonic()
    for (user_key, seq), group in groupby(rows, key=lambda row: (row["user_key"], row["seq"])):
        if seq in events:
            parts = list(group)
            siblings = rows_of_event[seq] - len(parts)
            refs = [_ref(row, siblings) for row in parts]
            due = now + max(float(row["wait"]) for row in parts)
            chains[user_key].append(Waiting(Delivery(events[seq], refs), due))
    return Loaded(chains, partial), lost


def _within_budget(rows: list[dict[str, Any]], wish: Wish) -> list[dict[str, Any]]:
    """Leave out users whose head has had its quick retries, beyond the number allowed."""
    slow = dict.fromkeys(row["user_key"] for row in rows if row["head_attempts"] > len(QUICK_STEPS_SECONDS))
    refused = set(list(slow)[wish.slow_limit :]) - set(wish.crowded) - set(wish.loose)
    return [
        row
        for row in rows
        if row["user_key"] not in refused and (row["user_key"] not in wish.loose or row["wait"] < QUICK_BELOW_SECONDS)
    ]


def single_out(due: Due) -> None:
    """Keep only the first, as a batch of its own."""
    del due.deliveries[1:]
    for ref in due.deliveries[0].refs:
        ref.batch_key = ""


def promote(connection: Connection[Row], pipeline_id: int) -> None:
    """Make parked rows that have become the first of their user due."""
    connection.execute(PROMOTE, {"pipeline": pipeline_id})


EXPIRE = """
WITH lost AS (
    DELETE FROM delivery_retry WHERE id = ANY(%(ids)s)
    RETURNING workspace_id, destination_id, pipeline_id, source_id, day, seq
), once AS (
    SELECT DISTINCT l.workspace_id, l.destination_id, p.replay_id, l.source_id, l.day, l.seq,
        EXISTS (SELECT FROM delivery_dead x WHERE x.destination_id = l.destination_id AND x.seq = l.seq
                AND x.pipeline_id = l.pipeline_id) AS is_dead
    FROM lost l JOIN delivery_pipeline p ON p.id = l.pipeline_id
    WHERE NOT EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = l.pipeline_id AND r.seq = l.seq
                      AND NOT r.id = ANY(%(ids)s))
), replayed AS (
    UPDATE delivery_replay y SET dead = y.dead + n.dead, expired = y.expired + n.expired
    FROM (SELECT replay_id, count(*) FILTER (WHERE is_dead) AS dead, count(*) FILTER (WHERE NOT is_dead) AS expired
          FROM once WHERE replay_id IS NOT NULL GROUP BY 1) n
    WHERE y.id = n.replay_id
)
INSERT INTO delivery_count AS c (workspace_id, destination_id, source_id, day, delivered, filtered, dead, expired)
SELECT workspace_id, destination_id, source_id, day, 0, 0, count(*) FILTER (WHERE is_dead),
    count(*) FILTER (WHERE NOT is_dead)
FROM once WHERE replay_id IS NULL GROUP BY 1, 2, 3, 4
ON CONFLICT (destination_id, source_id, day) DO UPDATE SET dead = c.dead + excluded.dead,
    expired = c.expired + excluded.expired
"""


def expire(connection: Connection[Row], lost: Sequence[Lost]) -> None:
    """End retry rows whose events retention has taken; the books say expired, or dead if a part had ended so."""
    if lost:
        connection.execute(EXPIRE, {"ids": [each.retry_id for each in lost]})
