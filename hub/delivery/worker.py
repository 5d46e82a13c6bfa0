"""A worker process's own state: its name, its sender, what it remembers of pipelines, whether it is to stop.

It also beats: a row tells how many slots there are and when a turn was last taken. A worker that takes nothing for a
minute though work is due and the broker answers is connected but deaf; it ends itself, and the supervisor starts anew.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import redis
from django.conf import settings

from hub.delivery import crew, outbound, services
from hub.delivery.leases import Lease
from hub.delivery.limits import Limits, Valkey
from hub.delivery.run import Memory
from hub.delivery.sender import Sender
from hub.delivery.slots import SLOTS, share_of, slow_share_of
from hub.lib import postgres, workers
from hub.observability import log

# For how long a refused hint counts as somebody who waits.
CROWDED_SECONDS = 3.0
PASSED_ON_SECONDS = 1.0
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
DUE_FOR_LONG = f"""
SELECT EXISTS (SELECT FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
    WHERE p.next_run_at < now() - make_interval(secs => %s) AND (p.lease_until IS NULL OR p.lease_until < now())
      AND {services.MAY_RUN})
"""  # noqa: S608 - our own constants
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
    refused_at: float = float("-inf")
    _by_workspace: Counter[UUID] = field(default_factory=Counter)
    _by_destination: Counter[UUID] = field(default_factory=Counter)
    _apart: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    limits: Limits = field(default_factory=lambda: Limits(Valkey(settings.REDIS_URL)))
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
        return self.active >= self.slots and time.monotonic() - self.refused_at < CROWDED_SECONDS

    def enter(self) -> bool:
        """Begin a turn if a slot is free. One that is refused comes again by the scheduler, when it is its turn."""
        with self._lock:
            self.taken += 1
            if self.active >= self.slots:
                self.refused_at = time.monotonic()
                return False
            self.active += 1
            return True

    def admit(self, lease: Lease) -> bool:
        """Whether this pipeline may run now: within its workspace's share while others wait, and within the slow's."""
        with self._lock:
            if lease.must_share and self._by_workspace[lease.workspace_id] >= share_of(self.slots):
                return False
            if lease.is_apart and self._apart >= slow_share_of(self.slots):
                return False
            self._by_workspace[lease.workspace_id] += 1
            self._by_destination[lease.destination_id] += 1
            self._apart += lease.is_apart
            return True

    def passes_on(self, lease: Lease) -> bool:
        """Whether another process should run this shard, for this one runs its part of the destination's shards.

        Nobody may be there to take it: what comes back at once is run here.
        """
        with self._lock:
            part = -(-lease.shard_count // max(1, lease.worker_count))
            if self._by_destination[lease.destination_id] < part:
                return False
        memory, now = self.memory(lease.pipeline_id), time.monotonic()
        if now - memory.passed_on_at < PASSED_ON_SECONDS:
            return False
        memory.passed_on_at = now
        return True

    def dismiss(self, lease: Lease) -> None:
        """An admitted pipeline has let go."""
        with self._lock:
            self._by_workspace[lease.workspace_id] -= 1
            self._by_destination[lease.destination_id] -= 1
            self._by_workspace += Counter()  # forgets who runs nothing
            self._by_destination += Counter()
            self._apart -= lease.is_apart

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
            _workers[pid] = Worker(
                workers.own_name(),
                Sender(outbound.gate()),
                abort_seconds=settings.WORKER_ABORT_SECONDS,
            )
        return _workers[pid]


def set_slots(slots: int) -> None:
    """Say how many turns this process runs at once."""
    current().slots = slots


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
                crew.end_leases_of_dead(connection)
                taken = worker.taken
                idle_seconds = float(str(row[0])) if row else 0.0
                if _is_deaf(worker, idle_seconds, connection):
                    logger.error("worker_deaf", worker=worker.name, idle_seconds=round(idle_seconds))
                    os._exit(70)
        except psycopg.Error as error:
            logger.warning("beat_failed", error=type(error).__name__)
        time.sleep(BEAT_SECONDS)


def _is_deaf(worker: Worker, idle_seconds: float, connection: postgres.PgConnection) -> bool:
    """Whether it takes nothing though there is something to take; one without slots delivers nothing anyway."""
    if not worker.slots or worker.active or idle_seconds <= DEAF_SECONDS:
        return False
    return _is_work_due(connection) and _broker_answers()


def _is_work_due(connection: postgres.PgConnection) -> bool:
    row = connection.execute(DUE_FOR_LONG, [DEAF_SECONDS]).fetchone()
    return bool(row and row[0])


def _broker_answers() -> bool:
    try:
        return bool(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0).ping())
    except redis.RedisError:
        return False
