"""The scheduler: once a second it finds pipelines with something to do and sends hints, fairly and not too many.

Any number of copies may run; one is active, by an advisory lock. What it knows is in the tables, so that a lost hint,
a lost broker or a lost scheduler only costs time. Workers drop a hint that finds no free slot, and so the broker's
queues stay short: who comes next when slots are few is decided here, again at each tick.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from uuid import UUID

import psycopg
from psycopg import Connection

from hub.delivery import chores as housekeeping
from hub.delivery import hints, services, sharding
from hub.delivery.chores import Chore
from hub.delivery.slots import SLOTS, share_of, slow_share_of
from hub.events import cursors
from hub.lib import postgres
from hub.lib.postgres import Row
from hub.observability import log, metrics

TICK_SECONDS = 1.0
# While pipelines wait for a slot: the sooner one that came free is given away, the less it stands idle.
BUSY_TICK_SECONDS = 0.25
LOCK = "hashtext('headwater.scheduler')"
REPEAT_HINT_SECONDS = 2.0
LOOK_EVERYWHERE_SECONDS = 30.0
REMEMBER_HINT_SECONDS = 60.0

# Pipelines whose time has come, whatever the log holds: a backlog, a retry, the end of a hold, an expired lease.
DUE = f"""
SELECT p.id, p.workspace_id, {services.IS_APART}, p.lease_until IS NOT NULL, p.kind = 'replay'
FROM delivery_pipeline p
JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.next_run_at <= now() AND (p.lease_until IS NULL OR p.lease_until < now()) AND {services.MAY_RUN}
"""  # noqa: S608 - our own constants
# Pipelines behind the newest event of their sources since the last look; count rows tell it, no pipeline is probed.
BEHIND = f"""
SELECT DISTINCT p.id, p.workspace_id, {services.IS_APART}, false FROM delivery_pipeline p
JOIN (SELECT c.workspace_id, c.source_id, max(c.xid_to::text::bigint) AS xid FROM event_count c
      WHERE c.epoch = %(epoch)s AND c.xid_to >= %(since)s::text::xid8 AND c.xid_to < %(horizon)s::text::xid8
        AND c.accepted > 0
      GROUP BY 1, 2) n ON n.workspace_id = p.workspace_id
JOIN tenants_connection k ON k.source_id = n.source_id AND {services.IS_CONNECTED}
JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.kind = 'live' AND (p.cursor_epoch, p.cursor_xid) < (%(epoch)s, n.xid)
  AND {services.IS_FREE} AND {services.MAY_RUN}
"""  # noqa: S608 - our own constants
# The same for whatever was not seen before, by one look into an index for each source: however long nobody has looked,
# it costs no more. Also for pipelines that only others' events lie before: their cursors stay near the horizon, so that
# they keep no partition, and a source that is connected need not be searched for from far back.
BEHIND_ANYWHERE = f"""
WITH low AS (
    SELECT o.workspace_id, min(o.cursor_xid) AS xid FROM delivery_pipeline o WHERE o.cursor_epoch = %(epoch)s
    GROUP BY o.workspace_id
), newest AS (
    SELECT l.workspace_id, max(c.xid) AS xid
    FROM low l JOIN tenants_source s ON s.workspace_id = l.workspace_id
    JOIN LATERAL (SELECT c.xid_to::text::bigint AS xid FROM event_count c
                  WHERE c.workspace_id = l.workspace_id AND c.source_id = s.id AND c.epoch = %(epoch)s
                    AND c.xid_to > l.xid::text::xid8 AND c.xid_to < %(horizon)s::text::xid8 AND c.accepted > 0
                  ORDER BY c.xid_to DESC LIMIT 1) c ON true
    GROUP BY l.workspace_id
)
SELECT p.id, p.workspace_id, {services.IS_APART}, false FROM delivery_pipeline p
LEFT JOIN newest n ON n.workspace_id = p.workspace_id
JOIN tenants_destination d ON d.id = p.destination_id
WHERE (p.cursor_epoch < %(epoch)s OR p.cursor_xid < n.xid) AND {services.IS_FREE} AND {services.MAY_RUN}
"""  # noqa: S608 - our own constants
SLOT_COUNT = """
SELECT coalesce(sum(w.slots), 0)::int FROM delivery_worker w WHERE w.beat_at > now() - interval '30 seconds'
"""
LEASED = f"""
SELECT p.workspace_id, count(*), count(*) FILTER (WHERE {services.IS_APART}) FROM delivery_pipeline p
WHERE p.lease_until > now() GROUP BY p.workspace_id
"""  # noqa: S608 - our own constants
SHARE = "UPDATE delivery_worker SET must_share = %(flag)s WHERE must_share <> %(flag)s"
logger = log.get(__name__)


@dataclass(slots=True)
class Found:
    """A pipeline with something to do."""

    pipeline_id: int
    workspace_id: UUID
    is_slow: bool
    has_expired: bool
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Slots:
    """How many turns the workers can run at once, and how many they run, by workspace; slow ones among them."""

    total: int
    taken: Mapping[UUID, int]
    taken_slowly: int = 0

    @property
    def free(self) -> int:
        return max(0, self.total - sum(self.taken.values()))

    def must_share(self, found: Iterable[Found]) -> bool:
        """Whether more waits than can run, of more than one workspace."""
        waiting = Counter(item.workspace_id for item in found)
        return waiting.total() > self.free and len(waiting.keys() | self.taken.keys()) > 1


@dataclass(slots=True)
class Scheduler:
    """The active scheduler's memory: how far it has looked, and when it told of which pipeline."""

    looked_to: tuple[int, int] = (0, 0)
    looked_everywhere_at: float | None = None
    told: dict[int, float] = field(default_factory=dict)
    is_crowded: bool = False

    def tick(self, connection: Connection[Row]) -> int:
        """Make pipelines, deal shards anew, find what is due, tell workers of what they can take: so many hints."""
        now = time.monotonic()
        services.ensure_pipelines(connection)
        sharding.deal_anew(connection)
        return self._tell(connection, self._find(connection, now), now)

    def _find(self, connection: Connection[Row], now: float) -> list[Found]:
        epoch, horizon = cursors.horizon(connection)
        looked_at, (looked_epoch, since) = self.looked_everywhere_at, self.looked_to
        if looked_at is None or looked_epoch != epoch or now - looked_at > LOOK_EVERYWHERE_SECONDS:
            behind = connection.execute(BEHIND_ANYWHERE, {"epoch": epoch, "horizon": horizon}).fetchall()
            self.looked_everywhere_at = now
        else:
            values = {"epoch": epoch, "since": since, "horizon": horizon}
            behind = connection.execute(BEHIND, values).fetchall()
        self.looked_to = (epoch, horizon)
        due = connection.execute(DUE).fetchall()
        found = {int(str(row[0])): Found(*row) for row in [*behind, *due]}  # type: ignore[arg-type]
        return list(found.values())

    def _tell(self, connection: Connection[Row], found: list[Found], now: float) -> int:
        """Send hints, a pipeline of each workspace in turn, at most twice as many as slots are free."""
        slots = _slots(connection)
        must_share = slots.must_share(found)
        connection.execute(SHARE, {"flag": must_share})
        self.told = {key: at for key, at in self.told.items() if now - at < REMEMBER_HINT_SECONDS}
        fresh = [item for item in found if now - self.told.get(item.pipeline_id, -now) >= REPEAT_HINT_SECONDS]
        fresh.sort(key=lambda item: (item.is_replay, self.told.get(item.pipeline_id, 0.0)))  # live traffic goes first
        chosen = choose(fresh, slots, must_share)
        for item in chosen:
            metrics.hint_lost.inc()
            if item.has_expired:
                metrics.lease_expired.inc()
            if hints.run_pipeline(item.pipeline_id, is_slow=item.is_slow):
                self.told[item.pipeline_id] = now
        self.is_crowded = len(found) > slots.free
        if len(chosen) < len(found):
            self.looked_everywhere_at = None
        return len(chosen)


def choose(found: Sequence[Found], slots: Slots, must_share: bool) -> list[Found]:
    """Whom to tell, at most twice as many as slots are free.

    One more than is free is told of when all are taken: its refusal tells a worker that somebody waits. Of one
    workspace only what its share leaves it, of slow pipelines only what theirs does.
    """
    room = 2 * max(1, slots.free)
    slow_room = 2 * max(0, slow_share_of(slots.total) - slots.taken_slowly)
    left = Counter({item.workspace_id: share_of(slots.total) for item in found})
    left.subtract({key: taken for key, taken in slots.taken.items() if key in left})
    chosen: list[Found] = []
    for item in take_turns(found):
        if len(chosen) == room:
            break
        if (must_share and left[item.workspace_id] <= 0) or (item.is_slow and slow_room <= 0):
            continue
        left[item.workspace_id] -= 1
        slow_room -= item.is_slow
        chosen.append(item)
    return chosen


def take_turns(found: Sequence[Found]) -> list[Found]:
    """Round-robin over workspaces, then over a workspace's pipelines, so that many destinations buy no more turns."""
    lines: dict[UUID, list[Found]] = {}
    for item in found:
        lines.setdefault(item.workspace_id, []).append(item)
    rounds = chain.from_iterable(zip_longest(*lines.values()))
    return [item for item in rounds if item is not None]


def _slots(connection: Connection[Row]) -> Slots:
    row = connection.execute(SLOT_COUNT).fetchone()
    leased: list[tuple[UUID, int, int]] = connection.execute(LEASED).fetchall()  # type: ignore[assignment]
    taken = {workspace: count for workspace, count, _ in leased}
    return Slots(int(str(row[0])) if row and row[0] else SLOTS, taken, sum(slow for *_, slow in leased))


def run_forever(stop: threading.Event, ready: Callable[[], None], chores: Sequence[Chore] = ()) -> None:
    """Be the active scheduler while the lock is ours, else wait for it; outlive a lost database."""
    housekeeping.start(chores, stop)
    ready()
    while not stop.is_set():
        try:
            with postgres.connect() as connection:
                _run_while_active(connection, stop)
        except psycopg.OperationalError as error:
            logger.warning("scheduler_lost_database", error=type(error).__name__)
            stop.wait(TICK_SECONDS)


def _run_while_active(connection: Connection[Row], stop: threading.Event) -> None:
    scheduler = Scheduler()
    is_active = False
    while not stop.is_set():
        started = time.monotonic()
        if not is_active:
            row = connection.execute(f"SELECT pg_try_advisory_lock({LOCK})").fetchone()
            is_active = bool(row and row[0])
        if is_active:
            scheduler.tick(connection)
        pause = BUSY_TICK_SECONDS if scheduler.is_crowded else TICK_SECONDS
        stop.wait(max(0.05, pause - (time.monotonic() - started)))
