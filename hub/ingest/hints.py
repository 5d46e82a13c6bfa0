"""Tells workers, after a commit, which workspace has new events, so that nobody waits for the next tick.

A hint may be lost: the scheduler finds the work by itself. So it is sent by a thread of its own over a connection of
its own that gives up after 0.2 s, and a broker that hangs holds up nobody. The first hint of a workspace goes out at
once, then at most one every 100 ms, and the last event always has a hint after it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from celery import current_app
from kombu import Connection
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from hub.observability import log

TASK = "hub.delivery.tasks.wake_workspace"
QUEUE = "deliver_fast"
APART_SECONDS = 0.1
FORGET_AFTER_SECONDS = 60.0
PAUSE_AFTER_FAILURE_SECONDS = 1.0
BROKER_SECONDS = 0.2
BROKER_OPTIONS = {
    "socket_timeout": BROKER_SECONDS,
    "socket_connect_timeout": BROKER_SECONDS,
    "retry_on_timeout": False,
    "max_retries": 0,
}
logger = log.get(__name__)


class Hints:
    """Spaces out the hints of this process and has them sent in the background."""

    def __init__(self, send: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._wanted: set[str] = set()
        self._sent_at: dict[str, float] = {}
        self._change = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def want(self, workspace_ids: Iterable[str]) -> None:
        """Ask for a hint for each of these workspaces; returns at once.

        The thread is woken only for one that it does not know to be wanted: at a thousand commits a second a wake-up
        for each would cost more than the hints.
        """
        with self._change:
            before = len(self._wanted)
            self._wanted.update(workspace_ids)
            if len(self._wanted) == before:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()
            self._change.notify()

    def close(self) -> None:
        """End the thread; hints still wanted are lost."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def due(self, now: float) -> tuple[list[str], float | None]:
        """The workspaces whose hint may go out now, and in how many seconds the next one may."""
        waits = {name: self._sent_at.get(name, -APART_SECONDS) + APART_SECONDS - now for name in self._wanted}
        ready = [name for name, wait in waits.items() if wait <= 0]
        self._wanted.difference_update(ready)
        self._sent_at.update(dict.fromkeys(ready, now))
        return ready, min((wait for wait in waits.values() if wait > 0), default=None)

    def _run(self) -> None:
        while True:
            with self._change:
                ready, wait = self.due(self._clock())
                if self._is_closed:
                    return
                if not ready:
                    self._forget_old()
                    self._change.wait(wait)
                    continue
            for workspace_id in ready:
                self._send_one(workspace_id)

    def _send_one(self, workspace_id: str) -> None:
        try:
            self._send(workspace_id)
        except (OSError, KombuError, RedisError) as error:
            logger.warning("hint_not_sent", reason=type(error).__name__)
            time.sleep(PAUSE_AFTER_FAILURE_SECONDS)
        except Exception:
            logger.exception("hint_failed")
            time.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    def _forget_old(self) -> None:
        if len(self._sent_at) > 1_000:
            oldest = self._clock() - FORGET_AFTER_SECONDS
            self._sent_at = {name: at for name, at in self._sent_at.items() if at > oldest}


class CeleryPublisher:
    """Publishes hints over one Celery connection that is reopened after a failure."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    def __call__(self, workspace_id: str) -> None:
        """Send one hint or raise."""
        if self._connection is None:
            self._connection = current_app.connection_for_write(
                connect_timeout=BROKER_SECONDS, transport_options=BROKER_OPTIONS
            )
        try:
            current_app.send_task(
                TASK, [workspace_id], queue=QUEUE, connection=self._connection, retry=False, ignore_result=True
            )
        except Exception:
            connection, self._connection = self._connection, None
            connection.release()
            raise
