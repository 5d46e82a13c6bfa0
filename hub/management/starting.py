"""What every process of the product makes sure of before it starts: that keys and log fit the database it was given."""

from __future__ import annotations

import sys

import psycopg
from django.core.checks import Tags
from django.core.management.base import BaseCommand, SystemCheckError

from hub.events import epochs
from hub.launcher.errors import EXIT_CODE
from hub.lib import postgres


def require_fitting_database(command: BaseCommand) -> None:
    """Leave with one explanation when the database cannot be worked with; one that is away is waited for later."""
    try:
        command.check(tags=[Tags.database, Tags.security], databases=["default"])
        with postgres.connect() as connection:
            epochs.require_consistent(connection)
    except psycopg.Error:
        return
    except (SystemCheckError, epochs.RestoredDatabase) as error:
        command.stderr.write(str(error))
        sys.exit(EXIT_CODE)
