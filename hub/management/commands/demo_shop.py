"""`manage.py demo_shop`: simulated people in a small shop, sent through the public tracking API."""

from __future__ import annotations

import json
import signal
import threading
from random import Random
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.demo.setup import public_write_key
from hub.demo.tracking import Tracker, run_shop


class Command(BaseCommand):
    help = "Send believable events of a small shop, about one a second, until stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL, help="where to send to (default %(default)s)")
        parser.add_argument("--write-key", default="", help="default: the public key of the demonstration's source")
        parser.add_argument("--rate", type=float, default=1.0, help="events per second (default %(default)s)")
        parser.add_argument("--seconds", type=float, help="stop after so long (default: never)")
        parser.add_argument("--json", action="store_true", help="print one JSON line at the end, and nothing else")

    def handle(self, **options: Any) -> None:
        """Keep the shop open until SIGTERM or Ctrl-C."""
        if options["rate"] <= 0:
            raise CommandError("--rate must be more than 0.")
        write_key = options["write_key"] or public_write_key()
        if not write_key:
            raise CommandError("There is no demonstration here: run `manage.py demo_setup`, or give a --write-key.")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        if options["seconds"]:
            timer = threading.Timer(options["seconds"], stop.set)
            timer.daemon = True
            timer.start()
        taken = run_shop(Tracker(options["url"], write_key, stop), stop, options["rate"], Random())  # noqa: S311
        self.stdout.write(json.dumps({"taken": taken}) if options["json"] else f"{taken} events taken.")
