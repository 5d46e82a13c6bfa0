"""`manage.py log_new_epoch`: after a logical restore, begin a new epoch of the log."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.events import epochs
from hub.lib import postgres


class Command(BaseCommand):
    help = "Begin a new epoch of the log, needed once after a restore into a new cluster. Stop everything else first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--force", action="store_true", help="begin one although the log is consistent")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Raise the epoch if the log needs it."""
        with postgres.connect() as connection:
            if not options["force"] and is_consistent(connection):
                raise CommandError("The log is consistent with this cluster; it needs no new epoch.", returncode=1)
            epoch = epochs.begin_new(connection)
        self.stdout.write(json.dumps({"epoch": epoch}) if options["json"] else f"The log is in epoch {epoch} now.")


def is_consistent(connection: postgres.PgConnection) -> bool:
    """Whether the log can be read and written as it is."""
    try:
        epochs.require_consistent(connection)
    except epochs.RestoredDatabase:
        return False
    return True
