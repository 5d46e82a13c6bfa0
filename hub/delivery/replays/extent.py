"""How much of the log a replay is about: how many events, and between which places.

A range of time becomes a range of partitions by their catalogue, and within it the log is asked, by its index on
received_at. Nothing behind the destination's own cursors is counted: that is still on its way by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors

from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.scope import ALL, NAMED, Scope
from hub.events import cursors
from hub.events.cursors import NO_END, Position
from hub.lib.postgres import PgConnection

NOTHING = (
    "No event in the log matches: it is empty for these sources and this time, or these events are still on their way."
)
TOO_MANY = "There is too much in this time to be counted while you wait. Choose a shorter time or fewer sources."

PARTITIONS = """
SELECT coalesce(min(p.seq_from), 0), coalesce(max(p.seq_until), %(no_end)s) FROM event_partition p
WHERE p.dropped_at IS NULL
  AND (p.sealed_at IS NULL OR (p.last_received_at >= %(since)s AND p.first_received_at < %(until)s))
"""
# The least advanced of the destination's shards.
CURSOR = """
SELECT p.cursor_epoch, p.cursor_xid, p.cursor_seq FROM delivery_pipeline p
WHERE p.destination_id = %(destination)s AND p.kind = 'live'
ORDER BY p.cursor_epoch, p.cursor_xid, p.cursor_seq LIMIT 1
"""
CHOSEN = """
FROM event_log e
WHERE e.workspace_id = %(workspace)s AND e.seq >= %(low)s AND e.seq < %(high)s
  AND e.source_id = ANY(%(sources)s::uuid[]) AND e.received_at >= %(since)s AND e.received_at < %(until)s
  AND (e.epoch, e.xid, e.seq) <= (%(cap_epoch)s::smallint, %(cap_xid)s::text::xid8, %(cap_seq)s)
"""
PLACE = "ARRAY[e.epoch, e.xid::text::bigint, e.seq]::bigint[]"
COUNT = f"SELECT count(*), min({PLACE}), max({PLACE}), min(e.seq) {CHOSEN}"
COUNTS = {ALL: COUNT}
COUNTS |= {only: f"{COUNT} AND e.seq IN (SELECT n.seq FROM ({named}) n)" for only, named in NAMED.items()}  # noqa: S608
FIRST = f"SELECT e.epoch, e.xid::text::bigint, e.seq {CHOSEN} ORDER BY e.epoch, e.xid, e.seq LIMIT 1"
LAST = f"SELECT e.epoch, e.xid::text::bigint, e.seq {CHOSEN} ORDER BY e.epoch DESC, e.xid DESC, e.seq DESC LIMIT 1"
ACCEPTED = """
SELECT coalesce(sum(c.accepted), 0) FROM event_count c
WHERE c.workspace_id = %(workspace)s AND c.source_id = ANY(%(sources)s::uuid[])
  AND c.at >= %(since)s AND c.at < %(until)s
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How many events, and where: the cursor before the first, the place of the last, and the lowest number."""

    count: int
    start: Position
    end: Position
    floor: int
    is_exact: bool = True


def measure(connection: PgConnection, scope: Scope, timeout_seconds: float, *, counts: bool = True) -> Extent:
    """Count the events before the filter; in time, or else by what was accepted then. Raises ReplayError."""
    row = connection.execute(CURSOR, {"destination": scope.destination_id}).fetchone()
    if row is None:
        raise ReplayError("The destination has never been on.")
    low, high = connection.execute(PARTITIONS, {**scope.values(), "no_end": NO_END}).fetchall()[0]
    cap = dict(zip(("cap_epoch", "cap_xid", "cap_seq"), row, strict=True))
    values = {**scope.values(), **cap, "low": low, "high": high}
    try:
        if counts:
            return _counted(connection, scope, values, timeout_seconds)
    except errors.QueryCanceled:
        if scope.only != ALL:
            raise ReplayError(TOO_MANY) from None
    try:
        return _estimated(connection, values, timeout_seconds)
    except errors.QueryCanceled as error:
        raise ReplayError(TOO_MANY) from error


def _counted(connection: PgConnection, scope: Scope, values: dict[str, object], timeout_seconds: float) -> Extent:
    with connection.transaction():
        _limit(connection, timeout_seconds)
        count, first, last, floor = connection.execute(COUNTS[scope.only], values).fetchall()[0]
    if not count:
        raise ReplayError(NOTHING)
    start, end = Position(*first), Position(*last)  # type: ignore[misc]
    return Extent(int(str(count)), _before(start), end, int(str(floor)))


def _estimated(connection: PgConnection, values: dict[str, object], timeout_seconds: float) -> Extent:
    with connection.transaction():
        _limit(connection, timeout_seconds)
        first = connection.execute(FIRST, values).fetchone()
        last = connection.execute(LAST, values).fetchone()
        accepted = connection.execute(ACCEPTED, values).fetchall()[0][0]
    if first is None or last is None:
        raise ReplayError(NOTHING)
    start, end = (Position(*(int(str(each)) for each in place)) for place in (first, last))
    floor = cursors.floor_of(connection, start.seq)
    return Extent(int(str(accepted)), _before(start), end, floor, is_exact=False)


def _before(place: Position) -> Position:
    return Position(place.epoch, place.xid, place.seq - 1)


def _limit(connection: PgConnection, seconds: float) -> None:
    connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
    connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
