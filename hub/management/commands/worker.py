"""`manage.py worker`: drive pipelines and background work."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import worker_ready, worker_shutting_down
from django.core.management.base import BaseCommand, CommandParser

from hub.celery import QUEUES, app
from hub.delivery import worker
from hub.delivery.slots import SLOTS
from hub.launcher.errors import EXIT_CODE, LaunchError
from hub.launcher.limits import require_open_files
from hub.launcher.ready import mark_ready
from hub.lib import background
from hub.management.starting import require_fitting_database

MOST_SLOTS = 500
# Threads beside the slots: hints that find no slot must still be read and dropped, or they would pile up in the broker.
SPARE_THREADS = 4


class Command(BaseCommand):
    help = "Run one worker process: a Celery worker whose threads drive the pipelines."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency", type=_slots, default=SLOTS, help="pipelines run at once (default %(default)s)"
        )
        parser.add_argument(
            "--queues", type=_queues, default=",".join(QUEUES), help="queues to serve (default %(default)s)"
        )

    def handle(self, *, concurrency: int, queues: str, **_options: Any) -> None:
        """Work until told to stop. Workers need not know each other, so they do not talk to each other."""
        require_fitting_database(self)
        try:
            require_open_files()
        except LaunchError as error:
            self.stderr.write(str(error))
            sys.exit(EXIT_CODE)
        # Celery warns of root because of pickle, which this application does not accept.
        warnings.simplefilter("ignore", SecurityWarning)
        worker.set_slots(concurrency if set(queues.split(",")) != {"background"} else 0)
        threads = concurrency + background.THREADS + SPARE_THREADS
        options = ["--pool=threads", f"--concurrency={threads}", f"--queues={queues}", "--loglevel=WARNING"]
        app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])


@worker_ready.connect
def _tell_ready(**_: Any) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    threading.Thread(target=worker.beat_forever, name="beat", daemon=True).start()
    mark_ready()


@worker_shutting_down.connect
def _stop_turns(**_: Any) -> None:
    worker.stop()


def _slots(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_SLOTS:
        raise argparse.ArgumentTypeError(f"{text} is no number of pipelines: choose one from 1 to {MOST_SLOTS}")
    return int(text)


def _queues(text: str) -> str:
    """Check the names: Celery would make a queue of any name, and nobody would ever fill it."""
    names = text.split(",")
    unknown = sorted(set(names) - set(QUEUES))
    if unknown or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of queues: choose of {', '.join(QUEUES)}, each once")
    return text
