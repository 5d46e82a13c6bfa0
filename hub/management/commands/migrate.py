"""`manage.py migrate`: Django's own, but polite to a running installation.

A statement that waits for an exclusive lock makes everybody behind it wait too. So each one waits two seconds at most;
then it lets the others pass and the migration is tried again.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from psycopg.errors import LockNotAvailable

LOCK_TIMEOUT = "2s"
TRIES = 60
PAUSE_SECONDS = (0.5, 2.0)


class Command(migrate.Command):
    help = "Bring the database up to the code's migrations while the product runs."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print what was applied as one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; a step that does not get its locks in time is undone by PostgreSQL, and comes again."""
        as_json = options.pop("json", False)
        connection = connections[options["database"]]
        before = applied(connection)
        if as_json:
            options["verbosity"] = 0
        for tries_left in reversed(range(TRIES)):
            try:
                self._migrate(connection, *args, **options)
                break
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if not tries_left:
                    raise CommandError(
                        "A lock was not to be had: look for long transactions in pg_stat_activity, then run this "
                        "again. What was applied stays applied."
                    ) from error
                self.stderr.write("Others hold a lock that the next step needs; it lets them pass and tries again.")
                time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - spreads load, guards nothing
        if as_json:
            names = [".".join(each) for each in sorted(applied(connection) - before)]
            self.stdout.write(json.dumps({"applied": names}))

    def _migrate(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


def applied(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """The migrations that the database has."""
    return set(MigrationRecorder(connection).applied_migrations())
