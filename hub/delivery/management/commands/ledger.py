"""`manage.py ledger`: the books, per source and destination, with what they cannot explain."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.delivery import ledger

SOURCE_COLUMNS = ("received", "rejected", "duplicate", "accepted", "difference")
DAY_COLUMNS = ("accepted", "eligible", "waiting", "difference")
DESTINATION_COLUMNS = ("eligible", "delivered", "filtered", "waiting", "dead", "expired", "difference")


class Command(BaseCommand):
    help = (
        "Balance the books: received = rejected + duplicate + accepted, eligible = all its ends. Exit 1 if they differ."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG")
        parser.add_argument("--source", metavar="SLUG")
        parser.add_argument("--destination", metavar="SLUG")
        parser.add_argument("--since", metavar="DAY", help="first day of acceptance, as 2026-01-31 (UTC)")
        parser.add_argument("--until", metavar="DAY", help="last day of acceptance, as 2026-01-31 (UTC)")
        parser.add_argument("--by", choices=("day",), help="show the lines of each day of acceptance too")
        parser.add_argument(
            "--full", action="store_true", help="read the whole log again, partitions that were counted when sealed too"
        )
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Print the books; the exit status says whether they balance."""
        scope = ledger.Scope(
            options["workspace"],
            options["source"],
            options["destination"],
            _day(options["since"]),
            _day(options["until"]),
            is_full=options["full"],
        )
        unknown = ledger.unknown_names(scope)
        if unknown:
            raise CommandError(f"There is no {unknown[0]}.", returncode=2)
        books = ledger.balance(scope, by_day=options["by"] == "day")
        if options["json"]:
            self.stdout.write(json.dumps(books))
        else:
            self._print(books)
        if books["difference"]:
            raise SystemExit(1)

    def _print(self, books: dict[str, Any]) -> None:
        self._table("source", SOURCE_COLUMNS, books["sources"])
        self._table("destination", DESTINATION_COLUMNS, books["destinations"])
        if "days" in books:
            self._days(books["days"])
        self.stdout.write(f"difference {books['difference']}")

    def _days(self, lines: list[dict[str, Any]]) -> None:
        """One row for each line of the books, its place in the first column."""
        named = [line | {"line": _place(line)} | {name: line.get(name, 0) for name in DAY_COLUMNS} for line in lines]
        self._table("line", DAY_COLUMNS, sorted(named, key=lambda line: (line["day"], line["line"])))

    def _table(self, noun: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        names = [f"{row['workspace']}/{row[noun]}" for row in rows]
        width = max(map(len, [noun, *names]))
        self.stdout.write(noun.ljust(width) + "".join(column.rjust(12) for column in columns))
        for name, row in zip(names, rows, strict=True):
            self.stdout.write(name.ljust(width) + "".join(f"{row[column]:>12,}" for column in columns))
        self.stdout.write("")


def _place(line: dict[str, Any]) -> str:
    """Source, destination and day of a line of the books."""
    target = f" to {line['destination']}" if "destination" in line else ""
    return f"{line['source']}{target} {line['day']}"


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a day such as 2026-01-31.", returncode=2) from error
