"""`manage.py bench NAME`: measure this machine with a load of the benchmark's own."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from hub.bench import installation, noop, registry
from hub.bench.report import Options, machine, table
from hub.launcher.product import PROJECT


class Command(BaseCommand):
    help = "Run a benchmark: its figure beside the limit measured in the same run."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", choices=registry.names(), help="which one")
        parser.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
        parser.add_argument("--seconds", type=float, help="length of each measured run (default: the benchmark's own)")
        parser.add_argument("--runs", type=int, default=3, help="interleaved runs (default %(default)s)")
        parser.add_argument("--serve-noop", action="store_true", help=argparse.SUPPRESS)

    def handle(self, **options: Any) -> None:
        """Measure here, or start a product first and measure in a process that is set up for it."""
        if options["serve_noop"]:
            noop.serve()
            return
        if options["name"] is None or options["runs"] < 1:
            raise CommandError(f"Name one of {', '.join(registry.names())}; --runs is at least 1.")
        if registry.get(options["name"]).NEEDS_PRODUCT and installation.VARIABLE not in os.environ:
            self._measure_with_product(options)
        else:
            self._measure(options)

    def _measure(self, options: dict[str, Any]) -> None:
        load_before = os.getloadavg()
        say = lambda line: self.stderr.write(line)  # noqa: E731
        report = registry.get(options["name"]).run(Options(options["seconds"], options["runs"], say))
        about = machine(load_before)
        if installation.VARIABLE in os.environ:
            with connection.cursor() as cursor:
                cursor.execute("SHOW server_version")
                about["postgresql"] = cursor.fetchone()[0]
        document = report.as_json(about)
        self.stdout.write(json.dumps(document) if options["json"] else table(document))

    def _measure_with_product(self, options: dict[str, Any]) -> None:
        argv = [sys.executable, str(PROJECT / "manage.py"), "bench", options["name"], "--runs", str(options["runs"])]
        argv += ["--json"] if options["json"] else []
        argv += ["--seconds", str(options["seconds"])] if options["seconds"] is not None else []
        # A request to stop must remove the folder on its way out, as Ctrl-C does.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        with installation.installed(registry.get(options["name"]).WORKERS) as environment:
            code = subprocess.run(argv, env=environment, check=False).returncode
        if code != 0:
            raise CommandError(f"The benchmark ended with code {code}: the lines above say why.")
