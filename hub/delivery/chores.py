"""What has to be done every so often, in a thread of its own, so that a long chore never keeps a pipeline waiting.

Any number of copies may run; the one that holds an advisory lock does the chores, one at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import Connection

from hub.lib import postgres
from hub.lib.postgres import Row
from hub.observability import log

LOCK = "hashtext('headwater.chores')"
LOOK_SECONDS = 1.0
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done every so often, with a sentence on why."""

    name: str
    every_seconds: float
    why: str
    run: Callable[[Connection[Row]], object]


@dataclass(slots=True)
class Housekeeping:
    """The chores and when each is due. One that fails is tried again at its next time and stops no other."""

    chores: Sequence[Chore]
    due_at: dict[str, float] = field(default_factory=dict)

    def run_forever(self, stop: threading.Event) -> None:
        """Do chores while the lock is ours, else wait for it; outlive a lost database."""
        while not stop.is_set():
            try:
                with postgres.connect() as connection:
                    self._run_while_active(connection, stop)
            except psycopg.OperationalError as error:
                logger.warning("chores_lost_database", error=type(error).__name__)
                stop.wait(LOOK_SECONDS)

    def do_due(self, connection: Connection[Row], now: float) -> None:
        """Do what is due, one after the other."""
        for chore in self.chores:
            if now < self.due_at.get(chore.name, 0.0):
                continue
            self.due_at[chore.name] = now + chore.every_seconds
            try:
                chore.run(connection)
            except Exception:
                if connection.closed or connection.broken:
                    raise
                logger.exception("chore_failed", chore=chore.name)

    def _run_while_active(self, connection: Connection[Row], stop: threading.Event) -> None:
        is_active = False
        while not stop.is_set():
            if not is_active:
                row = connection.execute(f"SELECT pg_try_advisory_lock({LOCK})").fetchone()
                is_active = bool(row and row[0])
            if is_active:
                self.do_due(connection, time.monotonic())
            stop.wait(LOOK_SECONDS)


def start(chores: Sequence[Chore], stop: threading.Event) -> threading.Thread:
    """Do these chores in the background until told to stop; a chore under way does not hold up the end."""
    thread = threading.Thread(target=Housekeeping(chores).run_forever, args=(stop,), name="chores", daemon=True)
    thread.start()
    return thread
