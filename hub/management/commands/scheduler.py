"""`manage.py scheduler`: find work that no hint has told of; any number may run, one is active."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from hub.delivery import scheduler
from hub.launcher.ready import mark_ready
from hub.management.starting import require_fitting_database
from hub.schedule import CHORES


class Command(BaseCommand):
    help = "Run the scheduler: wakes pipelines, seals partitions, keeps retention."
    requires_system_checks: list[str] = []

    def handle(self, **_options: Any) -> None:
        """Run until SIGTERM or Ctrl-C."""
        require_fitting_database(self)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        scheduler.run_forever(stop, mark_ready, CHORES)
