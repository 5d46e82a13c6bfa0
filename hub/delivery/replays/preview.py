"""What a replay will be, before it is started: how many events, which, for how long, and who waits meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from hub.delivery import config as configs
from hub.delivery.config import Config
from hub.delivery.replays import extent as extents
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.extent import Extent
from hub.delivery.replays.pace import rate_of, share_of
from hub.delivery.replays.reader import preview_reader
from hub.delivery.replays.scope import Matches, Scope
from hub.delivery.services import ensure_pipelines
from hub.delivery.stored import UnusableDestination
from hub.events.cursors import LogRow, Position
from hub.lib.postgres import PgConnection

SAMPLES = 10
LOOKED_AT = 2_000
PROBES = 20
READS = 10
COUNTING_SECONDS = 4.0
# What the last replay to the destination has shown that had no speed of its own; else the share of live traffic's pace.
SHOWN = """
SELECT coalesce(
    (SELECT p.drain_rate FROM delivery_pipeline p JOIN delivery_replay y ON y.id = p.replay_id
     WHERE p.destination_id = %(destination)s AND p.kind = 'replay' AND y.per_second IS NULL
       AND p.drain_rate IS NOT NULL ORDER BY p.id DESC LIMIT 1),
    (SELECT %(share)s * sum(coalesce(p.drain_rate, p.busy_rate)) FROM delivery_pipeline p
     WHERE p.destination_id = %(destination)s AND p.kind = 'live'))::float8
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One event of those that will be sent."""

    seq: int
    type: str
    event_name: str
    user_key: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What will be sent. An estimate is said to be one; `seconds` is None when the destination's pace is unknown."""

    extent: Extent
    count: int
    is_exact: bool
    samples: tuple[Sample, ...]
    per_second: float | None
    seconds: float | None
    holds_live: bool


def look(connection: PgConnection, scope: Scope, *, counting_seconds: float = COUNTING_SECONDS) -> Preview:
    """Count, look at some of the events, and work out how long it takes. Raises ReplayError."""
    ensure_pipelines(connection)  # a destination that was made a moment ago has none yet
    try:
        config = configs.load(connection, scope.workspace_id, scope.destination_id)
    except UnusableDestination as error:
        raise ReplayError(str(error)) from error
    extent = extents.measure(connection, scope, counting_seconds)
    matches = scopes.compile_trigger(scope.trigger)
    rows, is_all = _some(connection, scope, extent)
    fitting = [row for row in rows if _fits(matches, row)]
    count, is_exact = _count(extent, matches, len(rows), len(fitting), is_all=is_all)
    rate = _rate(connection, scope, config)
    return Preview(
        extent=extent,
        count=count,
        is_exact=is_exact,
        samples=tuple(map(_sample, fitting[:SAMPLES])),
        per_second=rate,
        seconds=None if rate is None else count / rate,
        holds_live=config.is_ordered,
    )


def _count(extent: Extent, matches: Matches | None, seen: int, fitting: int, *, is_all: bool) -> tuple[int, bool]:
    """How many the filter takes: counted when all were looked at, else the share of those that were."""
    if matches is None:
        return extent.count, extent.is_exact
    if is_all:
        return fitting, True
    return (round(extent.count * fitting / seen) if seen else 0), False


def _fits(matches: Matches | None, row: LogRow) -> bool:
    return matches is None or bool(row.body and matches(orjson.loads(row.body)))


def _some(connection: PgConnection, scope: Scope, extent: Extent) -> tuple[list[LogRow], bool]:
    """All events when they are few; else some from all over the range: its beginning does not speak for the rest."""
    if extent.count <= LOOKED_AT:
        rows = list(_rows(connection, scope, extent, extent.start, LOOKED_AT, reads=LOOKED_AT))
        return rows, len(rows) == extent.count
    found: dict[int, LogRow] = {}
    for place in _places(extent):
        for row in _rows(connection, scope, extent, place, LOOKED_AT // PROBES, reads=READS):
            found[row.seq] = row
    return list(found.values()), False


def _places(extent: Extent) -> Iterator[Position]:
    """Evenly spread by transaction; of several epochs only the last is long enough to matter, after the very start."""
    yield extent.start
    first = extent.start.xid if extent.start.epoch == extent.end.epoch else 0
    for number in range(1, PROBES):
        yield Position(extent.end.epoch, first + (extent.end.xid - first) * number // PROBES, 0)


def _rows(
    connection: PgConnection, scope: Scope, extent: Extent, place: Position, most: int, *, reads: int
) -> Iterator[LogRow]:
    reader = preview_reader(scope, place, extent.end, extent.floor)
    given = 0
    for _ in range(reads):
        for row in reader.read(connection, most):
            yield row
            given += 1
            if given == most:
                return
        if reader.is_over:
            return


def _rate(connection: PgConnection, scope: Scope, config: Config) -> float | None:
    """Events a second: what the limits allow, or what the destination has shown; the slower of both."""
    share = share_of(config)
    calls = rate_of(config.calls_per_second, scope.per_second, share)
    items = max((rule.items_per_call for rule in config.rules.values()), default=1)
    allowed = None if calls is None else calls * (1 if config.limits_items else items)
    row = connection.execute(SHOWN, {"destination": scope.destination_id, "share": share}).fetchone()
    shown = float(str(row[0])) if row and row[0] else None
    return min((each for each in (allowed, shown) if each), default=None)


def _sample(row: LogRow) -> Sample:
    return Sample(row.seq, row.type, row.event_name or "", row.user_key, row.received_at)
