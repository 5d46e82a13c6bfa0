"""The scheduler: once a second it finds pipelines with something to do and sends hints; it also does the chores.

Any number of copies may run; one is active, by an advisory lock. What it knows is in the tables, so that a lost hint,
a lost broker or a lost scheduler only costs time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from uuid import UUID

import psycopg
from psycopg import Connection

from hub.delivery import hints, services
from hub.events import cursors
from hub.lib import postgres
from hub.lib.postgres import Row
from hub.observability import log, metrics

TICK_SECONDS = 1.0
LOCK = "hashtext('headwater.scheduler')"
REPEAT_HINT_SECONDS = 5.0
LOOK_EVERYWHERE_SECONDS = 30.0
SLOTS_WITHOUT_WORKERS = 50

# Pipelines whose time has come, whatever the log holds: a backlog, a retry, the end of a hold, an expired lease.
DUE = """
SELECT p.id, p.workspace_id, p.is_slow, p.lease_until IS NOT NULL FROM delivery_pipeline p
JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.next_run_at <= now() AND (p.lease_until IS NULL OR p.lease_until < now())
  AND (d.status = 'active' OR NOT d.is_enabled OR d.deleted_at IS NOT NULL)
"""
# Pipelines behind the newest event of their workspace; count rows tell it, no pipeline is probed.
BEHIND = """
SELECT p.id, p.workspace_id, p.is_slow, false FROM delivery_pipeline p
JOIN (SELECT c.workspace_id, max(c.epoch) AS epoch, max(c.xid_to::text::bigint) AS xid FROM event_count c
      WHERE c.epoch = %(epoch)s AND c.xid_to >= %(since)s::text::xid8 AND c.xid_to < %(horizon)s::text::xid8
        AND c.accepted > 0
      GROUP BY c.workspace_id) n ON n.workspace_id = p.workspace_id
JOIN tenants_destination d ON d.id = p.destination_id
WHERE (p.cursor_epoch, p.cursor_xid) < (n.epoch, n.xid)
  AND (p.lease_until IS NULL OR p.lease_until < now()) AND (p.held_until IS NULL OR p.held_until <= now())
  AND (d.status = 'active' OR NOT d.is_enabled OR d.deleted_at IS NOT NULL)
"""
SLOTS = """
SELECT coalesce(sum(w.slots), 0)::int FROM delivery_worker w WHERE w.beat_at > now() - interval '30 seconds'
"""
LEASED = "SELECT count(*) FROM delivery_pipeline WHERE lease_until > now()"
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done every so often by the active scheduler, with a sentence on why."""

    name: str
    every_seconds: float
    why: str
    run: Callable[[Connection[Row]], object]


@dataclass(slots=True)
class Found:
    """A pipeline with something to do."""

    pipeline_id: int
    workspace_id: UUID
    is_slow: bool
    has_expired: bool


@dataclass(slots=True)
class Scheduler:
    """The active scheduler's memory: how far it has looked, whom it has told, when each chore is due."""

    chores: Sequence[Chore] = ()
    looked_to: tuple[int, int] = (0, 0)
    looked_everywhere_at: float = 0.0
    told: dict[int, float] = field(default_factory=dict)
    due_at: dict[str, float] = field(default_factory=dict)

    def tick(self, connection: Connection[Row]) -> int:
        """Find what is due, tell workers about as much as they can take, do one chore. Returns hints sent."""
        now = time.monotonic()
        services.ensure_pipelines(connection)
        found = self._find(connection, now)
        sent = self._tell(connection, found, now)
        self._do_chores(connection, now)
        return sent

    def _find(self, connection: Connection[Row], now: float) -> list[Found]:
        epoch, xid = cursors.horizon(connection)
        if now - self.looked_everywhere_at > LOOK_EVERYWHERE_SECONDS:
            self.looked_to, self.looked_everywhere_at = (epoch, 0), now
        since = self.looked_to[1] if self.looked_to[0] == epoch else 0
        behind = connection.execute(BEHIND, {"epoch": epoch, "since": since, "horizon": xid}).fetchall()
        self.looked_to = (epoch, xid)
        due = connection.execute(DUE).fetchall()
        found = {int(str(row[0])): Found(*row) for row in [*behind, *due]}  # type: ignore[arg-type]
        return list(found.values())

    def _tell(self, connection: Connection[Row], found: list[Found], now: float) -> int:
        """Send hints, a pipeline of each workspace in turn, at most twice as many as slots are free."""
        self.told = {key: at for key, at in self.told.items() if now - at < REPEAT_HINT_SECONDS}
        fresh = [item for item in found if item.pipeline_id not in self.told]
        room = 2 * max(1, _free_slots(connection))
        chosen = take_turns(fresh)[:room]
        for item in chosen:
            metrics.hint_lost.inc()
            if item.has_expired:
                metrics.lease_expired.inc()
            if hints.run_pipeline(item.pipeline_id, is_slow=item.is_slow):
                self.told[item.pipeline_id] = now
        if len(chosen) < len(fresh):
            self.looked_everywhere_at = 0.0
        return len(chosen)

    def _do_chores(self, connection: Connection[Row], now: float) -> None:
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


def take_turns(found: Sequence[Found]) -> list[Found]:
    """Round-robin over workspaces, then over a workspace's pipelines, so that many destinations buy no more turns."""
    lines: dict[UUID, list[Found]] = {}
    for item in found:
        lines.setdefault(item.workspace_id, []).append(item)
    rounds = chain.from_iterable(zip_longest(*lines.values()))
    return [item for item in rounds if item is not None]


def _free_slots(connection: Connection[Row]) -> int:
    slots = connection.execute(SLOTS).fetchone()
    leased = connection.execute(LEASED).fetchone()
    total = int(str(slots[0])) if slots and slots[0] else SLOTS_WITHOUT_WORKERS
    return total - (int(str(leased[0])) if leased else 0)


def run_forever(stop: threading.Event, ready: Callable[[], None], chores: Sequence[Chore] = ()) -> None:
    """Be the active scheduler while the lock is ours, else wait for it; outlive a lost database."""
    ready()
    while not stop.is_set():
        try:
            with postgres.connect() as connection:
                _run_while_active(connection, stop, chores)
        except psycopg.OperationalError as error:
            logger.warning("scheduler_lost_database", error=type(error).__name__)
            stop.wait(TICK_SECONDS)


def _run_while_active(connection: Connection[Row], stop: threading.Event, chores: Sequence[Chore]) -> None:
    scheduler = Scheduler(chores)
    is_active = False
    while not stop.is_set():
        started = time.monotonic()
        if not is_active:
            row = connection.execute(f"SELECT pg_try_advisory_lock({LOCK})").fetchone()
            is_active = bool(row and row[0])
        if is_active:
            scheduler.tick(connection)
        stop.wait(max(0.05, TICK_SECONDS - (time.monotonic() - started)))
