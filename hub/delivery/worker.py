"""A worker process's own state: its name, its sender, what it remembers of pipelines, whether it is to stop.

It also beats: a row tells how many slots there are and when a turn was last taken. A worker that takes nothing for a
minute though work is due and the broker answers is connected but deaf; it ends itself, and the supervisor starts anew.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import psycopg
import redis
from django.conf import settings

from hub.delivery.run import Memory
from hub.delivery.sender import Sender
from hub.lib import postgres
from hub.lib.net import Gate
from hub.observability import log

SLOTS = 50
BEAT_SECONDS = 5.0
DEAF_SECONDS = 60.0
REMEMBERED = 5_000
ABORT_SECONDS = 15.0
BEAT = """
INSERT INTO delivery_worker (name, slots, started_at, beat_at, taken_at)
VALUES (%(name)s, %(slots)s, now(), now(), now())
ON CONFLICT (name) DO UPDATE SET beat_at = now(), slots = excluded.slots,
    taken_at = CASE WHEN %(has_taken)s THEN now() ELSE delivery_worker.taken_at END
RETURNING extract(epoch FROM now() - taken_at)
"""
DUE_FOR_LONG = """
SELECT EXISTS (SELECT FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
    WHERE p.next_run_at < now() - make_interval(secs => %s) AND (p.lease_until IS NULL OR p.lease_until < now())
      AND (d.status = 'active' OR NOT d.is_enabled OR d.deleted_at IS NOT NULL))
"""
FORGET_DEAD = "DELETE FROM delivery_worker WHERE beat_at < now() - interval '1 hour'"
logger = log.get(__name__)


@dataclass(slots=True)
class Worker:
    """One process that runs turns in threads."""

    name: str
    sender: Sender
    slots: int = SLOTS
    abort_seconds: float = ABORT_SECONDS
    is_stopping: bool = False
    active: int = 0
    taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _memories: OrderedDict[int, Memory] = field(default_factory=OrderedDict)

    def memory(self, pipeline_id: int) -> Memory:
        """What this process remembers of a pipeline; the ones unused for longest are forgotten."""
        with self._lock:
            found = self._memories.pop(pipeline_id, None) or Memory()
            self._memories[pipeline_id] = found
            if len(self._memories) > REMEMBERED:
                self._memories.popitem(last=False)
            return found

    def is_crowded(self) -> bool:
        """Whether turns should be short because others wait for a slot."""
        return self.active >= self.slots

    def enter(self) -> None:
        """A turn begins."""
        with self._lock:
            self.active += 1
            self.taken += 1

    def leave(self) -> None:
        """A turn has ended."""
        with self._lock:
            self.active -= 1


_workers: dict[int, Worker] = {}
_lock = threading.Lock()


def current() -> Worker:
    """This process's worker, made on first use and so after any fork."""
    pid = os.getpid()
    with _lock:
        if pid not in _workers:
            gate = Gate(allow_private=settings.ALLOW_PRIVATE_NETWORKS)
            _workers[pid] = Worker(
                f"{socket.gethostname()}:{pid}"[:100], Sender(gate), abort_seconds=settings.WORKER_ABORT_SECONDS
            )
        return _workers[pid]


def stop() -> None:
    """Begin no more calls; turns commit what they know and let go of their leases."""
    if os.getpid() in _workers:
        current().is_stopping = True


def beat_forever() -> None:
    """Tell the database every few seconds that this worker lives, and end a deaf one."""
    worker, taken = current(), -1
    while not worker.is_stopping:
        try:
            with postgres.pool().connection() as connection:
                values = {"name": worker.name, "slots": worker.slots, "has_taken": worker.taken != taken}
                row = connection.execute(BEAT, values).fetchone()
                connection.execute(FORGET_DEAD)
                taken = worker.taken
                idle_seconds = float(str(row[0])) if row else 0.0
                if idle_seconds > DEAF_SECONDS and not worker.active and _is_work_due(connection) and _broker_answers():
                    logger.error("worker_deaf", worker=worker.name, idle_seconds=round(idle_seconds))
                    os._exit(70)
        except psycopg.Error as error:
            logger.warning("beat_failed", error=type(error).__name__)
        time.sleep(BEAT_SECONDS)


def _is_work_due(connection: postgres.PgConnection) -> bool:
    row = connection.execute(DUE_FOR_LONG, [DEAF_SECONDS]).fetchone()
    return bool(row and row[0])


def _broker_answers() -> bool:
    try:
        return bool(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0).ping())
    except redis.RedisError:
        return False
