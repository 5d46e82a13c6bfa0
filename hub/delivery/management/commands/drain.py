"""`manage.py drain`: wait until no pipeline has anything to do."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from hub.delivery import lag, ledger

LOOK_SECONDS = 0.25


class Command(BaseCommand):
    help = "Wait until nothing waits for delivery. Exit 0, or 1 at the time-out with what is left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeout", type=float, default=60.0, metavar="S")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, **options: Any) -> None:
        """Look at the waiting count until it is 0."""
        deadline = time.monotonic() + options["timeout"]
        waiting = ledger.waiting()
        while waiting and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            waiting = ledger.waiting()
        left = (lag.longest(lag.backlogs().values()) or None) if waiting else 0.0
        if options["json"]:
            self.stdout.write(json.dumps({"drained": not waiting, "waiting": waiting, "seconds_to_drain": left}))
        else:
            words = f"{waiting:,} still wait; time to drain at the present pace: {lag.in_words(left)}"
            self.stdout.write(words if waiting else "drained")
        if waiting:
            raise SystemExit(1)
