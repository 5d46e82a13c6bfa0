"""`manage.py web`: serve the tracking API, the pages, the management API and the admin."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from hub.launcher.parenthood import follow_parent
from hub.management.listening import limit_unread_answers
from hub.management.starting import require_fitting_database

_TARGET = "hub.asgi:application"
# Modules that all processes need, without anything that runs.
_SHARED = ("hub.urls", "hub.ingest.front", "hub.web.pages")
# What the parser holds of a request that it cannot read yet, give or take one read. A pixel's message stands in the
# request's first line, where 40 KB become 54; headers alone have a smaller limit.
_HEAD_BYTES = 64 * 1024
_STOP_SECONDS = 20
_BACKLOG = 2048
_WAITING_PER_WORKER = 2048


class Command(BaseCommand):
    help = "Serve HTTP with as many processes as WEB_WORKERS says."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
        parser.add_argument("--workers", type=int, default=settings.WEB_WORKERS, help="number of processes")

    def handle(self, **options: Any) -> None:
        """Serve until told to stop.

        Django and the pages are loaded here, before the processes are forked, and frozen: they share the memory.
        """
        require_fitting_database(self)
        for name in _SHARED:
            import_module(name)
        gc.collect()
        gc.freeze()
        server = Server(
            _TARGET,
            address=options["host"],
            port=options["port"],
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=settings.HEADER_SECONDS * 1000, max_buffer_size=_HEAD_BYTES
            ),
            loop=Loops.uvloop,
            websockets=False,
            workers=options["workers"],
            backlog=_BACKLOG,
            backpressure=_WAITING_PER_WORKER,
            log_access=False,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=_STOP_SECONDS,
        )
        parent = os.getpid()
        server.serve(target_loader=lambda _target: _load_application(parent, options["port"]), wrap_loader=True)


def _load_application(parent: int, port: int) -> Callable[..., Any]:
    """Load the application in a forked process that must not outlive the one that listens for signals."""
    follow_parent(signal.SIGKILL, parent)
    limit_unread_answers(port, settings.UNREAD_SECONDS)
    application: Callable[..., Any] = import_string(_TARGET.replace(":", "."))
    return application
