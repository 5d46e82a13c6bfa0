"""Leases on pipelines: a time-limited right to run one, with a fence that voids an old one.

All times are the database's. The fence protects our own state; the receiver is protected by the delivery id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from hub.events.cursors import Position
from hub.lib.postgres import Row

LEASE_SECONDS = 45
RENEW_AFTER_SECONDS = 15

CLAIM = """
WITH before AS (
    SELECT id, lease_until, held_until FROM delivery_pipeline WHERE id = %(id)s FOR UPDATE
)
UPDATE delivery_pipeline p
SET lease_until = now() + make_interval(secs => %(seconds)s), fence = p.fence + 1, owner = %(owner)s, wanted = false,
    next_run_at = now() + make_interval(secs => %(seconds)s)
FROM before b
WHERE p.id = b.id AND (b.lease_until IS NULL OR b.lease_until < now())
RETURNING p.id, p.workspace_id, p.destination_id, p.fence, p.cursor_epoch, p.cursor_xid, p.cursor_seq, p.floor_seq,
          p.held_reason, p.circuit, p.circuit_opened_at, p.circuit_probes, p.circuit_reopened, p.unauthorized_count,
          p.held_until > now() AS is_held, b.lease_until IS NOT NULL AS has_expired
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
    floor_seq = greatest(p.floor_seq, %(floor)s),
    next_run_at = CASE
        WHEN b.wanted OR %(has_more)s THEN greatest(now() + make_interval(secs => %(wait)s), p.held_until)
        ELSE greatest(CASE WHEN p.held_until > now() THEN p.held_until END,
                      (SELECT min(r.next_run_at) FROM delivery_retry r
                       WHERE r.pipeline_id = p.id AND r.state = 'retry'))
    END
FROM before b WHERE p.id = b.id
RETURNING b.wanted
"""


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
    circuit_opened_at: datetime | None
    circuit_probes: int
    circuit_reopened: int
    unauthorized_count: int
    has_expired: bool


def claim(connection: Connection[Row], pipeline_id: int, owner: str) -> Lease | None:
    """Take the lease if it is free.

    1. A conditional UPDATE takes the row, raises the fence and tells whether an older lease had run out.
    2. If someone holds it, leave the wish that they look once more before they let go; else a hint that meets a lease
       would be lost.
    """
    row = _take(connection, pipeline_id, owner)
    if row is None and connection.execute(WANT, [pipeline_id]).rowcount == 0:
        row = _take(connection, pipeline_id, owner)  # the holder let go in between
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
        circuit_opened_at=row["circuit_opened_at"],
        circuit_probes=row["circuit_probes"],
        circuit_reopened=row["circuit_reopened"],
        unauthorized_count=row["unauthorized_count"],
        has_expired=row["has_expired"],
    )


def _take(connection: Connection[Row], pipeline_id: int, owner: str) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(CLAIM, {"id": pipeline_id, "owner": owner, "seconds": LEASE_SECONDS}).fetchone()


def renew(connection: Connection[Row], lease: Lease) -> bool:
    """Prolong the lease; False when it has passed to another."""
    values = {"id": lease.pipeline_id, "fence": lease.fence, "seconds": LEASE_SECONDS}
    return connection.execute(RENEW, values).fetchone() is not None


def release(
    connection: Connection[Row], lease: Lease, *, has_more: bool, is_slow: bool, wait_seconds: float = 0.0
) -> bool:
    """Let go and note when to look again. True when someone wished for another look meanwhile."""
    values = {
        "wait": wait_seconds,
        "id": lease.pipeline_id,
        "fence": lease.fence,
        "has_more": has_more,
        "is_slow": is_slow,
        "floor": lease.floor,
    }
    row = connection.execute(RELEASE, values).fetchone()
    return bool(row and row[0])
