"""`manage.py up`: run everything in one process tree."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from hub.launcher import up
from hub.launcher.product import PROJECT


class Command(BaseCommand):
    help = "Run the whole product: embedded PostgreSQL and Valkey unless the URLs are set, web, worker, scheduler."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        up.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Become the supervisor, which needs neither Django nor the memory that it takes."""
        argv = [sys.executable, "-m", "hub.launcher", *up.to_argv(options)]
        os.chdir(PROJECT)
        os.execv(sys.executable, argv)  # noqa: S606 - our own interpreter and arguments
