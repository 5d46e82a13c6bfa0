"""The books: for each source and destination, what came in and how it ended, exact to the unit at any moment.

Everything is read in one snapshot. Nothing is got by subtraction, so that an event a reader skipped, a row that went
missing or an outcome that nobody earned shows as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from psycopg import Connection, IsolationLevel
from psycopg.rows import dict_row

from hub.lib import postgres
from hub.lib.postgres import Row
from hub.observability import log, metrics
from tenants.models import Destination, Source, Workspace

SQL = Path(__file__).parent / "sql"
SOURCES = (SQL / "ledger_sources.sql").read_text(encoding="utf-8")
LOG = (SQL / "ledger_log.sql").read_text(encoding="utf-8")
DESTINATIONS = (SQL / "ledger_destinations.sql").read_text(encoding="utf-8")
ENDS = ("delivered", "filtered", "waiting", "dead", "expired")
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at, by slug; days are of acceptance, UTC, both ends included. None means everything."""

    workspace: str | None = None
    source: str | None = None
    destination: str | None = None
    since: date | None = None
    until: date | None = None


def balance(scope: Scope | None = None) -> dict[str, Any]:
    """The books of the scope: `{"difference", "sources": […], "destinations": […]}`, 0 when all is well.

    A source's difference compares its count rows with the log itself, a destination's its eligible events with their
    ends. The whole is the sum of their absolute values.
    """
    with postgres.connect() as connection:
        connection.autocommit = False
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return _balance(connection, scope or Scope())


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
    }


def _balance(connection: Connection[Row], scope: Scope) -> dict[str, Any]:
    values = _values(scope)
    connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    connection.execute("SET LOCAL statement_timeout = '10min'")
    with connection.cursor(row_factory=dict_row) as cursor:
        sources = cursor.execute(SOURCES, values).fetchall() if scope.destination is None else []
        held = _log_rows(connection, scope)
        destinations = cursor.execute(DESTINATIONS, values).fetchall()
    for source in sources:
        source["log_rows"] = held.get(source.pop("source_id"), 0)
        source["difference"] = source["accepted"] - source["log_rows"]
    for destination in destinations:
        del destination["destination_id"]
        destination["difference"] = destination["eligible"] - sum(destination[end] for end in ENDS)
    total = sum(abs(row["difference"]) for row in [*sources, *destinations])
    return {"difference": total, "sources": sources, "destinations": destinations}


def _log_rows(connection: Connection[Row], scope: Scope) -> dict[object, int]:
    found = connection.execute(
        "SELECT id FROM tenants_workspace WHERE %(slug)s::text IS NULL OR slug = %(slug)s", {"slug": scope.workspace}
    ).fetchall()
    values = {"workspaces": [row[0] for row in found], "since": scope.since, "until": scope.until}
    return {source: int(str(count)) for source, count in connection.execute(LOG, values).fetchall()}


def check() -> int:
    """Balance everything, publish the difference and raise an alarm when it is not 0."""
    books = balance()
    difference: int = books["difference"]
    metrics.ledger_difference.set(difference)
    if difference:
        wrong = [row for row in [*books["sources"], *books["destinations"]] if row["difference"]]
        logger.error("ledger_out_of_balance", difference=difference, rows=wrong[:20])
    return difference
