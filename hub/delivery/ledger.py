"""The books: for each source and destination, what came in and how it ended, exact to the unit at any moment.

Everything is read in one snapshot. Nothing is got by subtraction, so that an event a reader skipped, a row that went
missing or an outcome that nobody earned shows as a difference. They are kept by source, destination and day, and must
balance in each line: two errors in different lines do not make up for one another.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from psycopg import Connection, IsolationLevel
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hub.lib import postgres
from hub.lib.postgres import Row
from hub.observability import log, metrics
from tenants.models import Destination, Source, Workspace

SQL = Path(__file__).parent / "sql"
SOURCES = (SQL / "ledger_sources.sql").read_text(encoding="utf-8")
LOG = (SQL / "ledger_log.sql").read_text(encoding="utf-8")
DESTINATIONS = (SQL / "ledger_destinations.sql").read_text(encoding="utf-8")
INTAKE = ("received", "rejected", "duplicate", "accepted")
ENDS = ("delivered", "filtered", "waiting", "dead", "expired")
WORST_KEPT = 20
KEEP_CHECK = "INSERT INTO ledger_check (at, seconds, difference, lines_wrong, worst) VALUES (now(), %s, %s, %s, %s)"
FORGET_CHECKS = "DELETE FROM ledger_check WHERE at < now() - interval '30 days'"
Line = dict[str, Any]
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at, by slug; days are of acceptance, UTC, both ends included. None means everything.

    `is_full` reads the whole log instead of taking the word of the partitions that were counted when they were sealed.
    """

    workspace: str | None = None
    source: str | None = None
    destination: str | None = None
    since: date | None = None
    until: date | None = None
    is_full: bool = False


def balance(scope: Scope | None = None, *, by_day: bool = False) -> dict[str, Any]:
    """The books of the scope: `{"difference", "sources": […], "destinations": […]}`, 0 when all is well.

    A source's difference compares its count rows with the log itself, its `unsorted` what was received with what
    became of it; a destination's difference compares its eligible events with their ends. The whole is the sum of
    their absolute values over all lines of the books. With `by_day` the lines come too, as `"days"`.
    """
    sources, destinations = read_lines(scope or Scope())
    found: dict[str, Any] = {
        "difference": sum(map(gap_of, [*sources, *destinations])),
        "sources": _summed(sources, ("workspace", "source"), (*INTAKE, "log_rows", "difference", "unsorted")),
        "destinations": _summed(destinations, ("workspace", "destination"), ("eligible", *ENDS, "difference")),
    }
    if by_day:
        lines = [line for line in [*sources, *destinations] if line["day"] is not None]
        found["days"] = [line | {"day": line["day"].isoformat()} for line in lines]
    return found


def gap_of(line: Line) -> int:
    """What one line cannot explain."""
    return int(abs(line["difference"]) + abs(line.get("unsorted", 0)))


def unknown_names(scope: Scope) -> list[str]:
    """What the scope names and nobody has, in words; books of nothing would balance too."""
    tables = {"workspace": Workspace.objects, "source": Source.unscoped, "destination": Destination.unscoped}
    named = {kind: getattr(scope, kind) for kind in tables if getattr(scope, kind) is not None}
    return [f"{kind} {slug!r}" for kind, slug in named.items() if not tables[kind].filter(slug=slug).exists()]


def waiting() -> int:
    """How many deliveries wait, over all workspaces; retries included, parked ones too."""
    with postgres.connect() as connection:
        connection.execute("SET plan_cache_mode = force_custom_plan")
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(DESTINATIONS, _values(Scope())).fetchall()
    return sum(int(row["waiting"]) for row in rows)


def _values(scope: Scope) -> dict[str, object]:
    return {
        "workspace": scope.workspace,
        "source": scope.source,
        "destination": scope.destination,
        "since": scope.since,
        "until": scope.until,
        "is_full": scope.is_full,
    }


def read_lines(scope: Scope) -> tuple[list[Line], list[Line]]:
    """The lines of sources and those of destinations, from one snapshot, each with its difference."""
    with postgres.connect() as connection:
        connection.autocommit = False
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        connection.execute("SET LOCAL statement_timeout = '10min'")
        with connection.cursor(row_factory=dict_row) as cursor:
            sources = cursor.execute(SOURCES, _values(scope)).fetchall() if scope.destination is None else []
            held = _log_rows(connection, scope) if sources else {}
            destinations = cursor.execute(DESTINATIONS, _values(scope)).fetchall()
    return _source_lines(sources, held), [_destination_line(row) for row in destinations]


def _log_rows(connection: Connection[Row], scope: Scope) -> dict[tuple[object, object], int]:
    found = connection.execute(
        "SELECT id FROM tenants_workspace WHERE %(slug)s::text IS NULL OR slug = %(slug)s", {"slug": scope.workspace}
    ).fetchall()
    values = _values(scope) | {"workspaces": [row[0] for row in found]}
    return {(source, day): int(str(count)) for source, day, count in connection.execute(LOG, values).fetchall()}


def _source_lines(rows: list[Line], held: dict[tuple[object, object], int]) -> list[Line]:
    """The counted lines, and one for each day of which only the log knows."""
    names = {row["source_id"]: (row["workspace"], row["source"]) for row in rows}
    counted = {(row["source_id"], row["day"]) for row in rows}
    for source, day in held.keys() - counted:
        if source in names:
            workspace, slug = names[source]
            blank = dict.fromkeys(INTAKE, 0)
            rows.append({"workspace": workspace, "source": slug, "source_id": source, "day": day, **blank})
    return [_source_line(row, held.get((row["source_id"], row["day"]), 0)) for row in rows]


def _source_line(row: Line, log_rows: int) -> Line:
    line = {name: value for name, value in row.items() if name != "source_id"}
    unsorted = row["received"] - row["rejected"] - row["duplicate"] - row["accepted"]
    return line | {"log_rows": log_rows, "difference": row["accepted"] - log_rows, "unsorted": unsorted}


def _destination_line(row: Line) -> Line:
    line = {name: value for name, value in row.items() if name != "destination_id"}
    return line | {"difference": row["eligible"] - sum(row[end] for end in ENDS)}


def _summed(lines: Sequence[Line], names: tuple[str, ...], columns: tuple[str, ...]) -> list[Line]:
    """One row for each source or destination, over its lines."""
    found: dict[tuple[str, ...], Line] = {}
    for line in lines:
        key = tuple(line[name] for name in names)
        row = found.setdefault(key, dict(zip(names, key, strict=True)) | dict.fromkeys(columns, 0))
        for column in columns:
            row[column] += line[column]
    return list(found.values())


def check(connection: Connection[Row]) -> int:
    """Balance everything, keep the result, publish the difference and raise an alarm when it is not 0."""
    started = time.monotonic()
    sources, destinations = read_lines(Scope())
    wrong = sorted(filter(gap_of, [*sources, *destinations]), key=gap_of, reverse=True)
    difference = sum(map(gap_of, wrong))
    worst = [line | {"day": line["day"] and line["day"].isoformat()} for line in wrong[:WORST_KEPT]]
    connection.execute(KEEP_CHECK, [time.monotonic() - started, difference, len(wrong), Jsonb(worst)])
    connection.execute(FORGET_CHECKS)
    metrics.ledger_difference.set(difference)
    if difference:
        logger.error("ledger_out_of_balance", difference=difference, lines=len(wrong), worst=worst)
    return difference
