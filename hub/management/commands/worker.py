"""`manage.py worker`: drive pipelines and background work."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from django.core.management.base import BaseCommand, CommandParser

from hub.celery import app
from hub.launcher.errors import EXIT_CODE, LaunchError
from hub.launcher.limits import require_open_files
from hub.management.starting import require_fitting_database

_QUEUES = "deliver_fast,deliver_slow,background"


class Command(BaseCommand):
    help = "Run one worker process: a Celery worker whose threads drive the pipelines."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=50, help="number of threads (default %(default)s)")

    def handle(self, *, concurrency: int, **_options: Any) -> None:
        """Work until told to stop. Workers need not know each other, so they do not talk to each other."""
        require_fitting_database(self)
        try:
            require_open_files()
        except LaunchError as error:
            self.stderr.write(str(error))
            sys.exit(EXIT_CODE)
        # Celery warns of root because of pickle, which this application does not accept.
        warnings.simplefilter("ignore", SecurityWarning)
        options = ["--pool=threads", f"--concurrency={concurrency}", f"--queues={_QUEUES}", "--loglevel=WARNING"]
        app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])
