"""One turn of a pipeline: read the log, hand chunks to the sender, commit what became of them, let go.

The task thread only reads and commits; routing, building and judging happen in the sender's thread, inside the chunks.
No transaction is open during HTTP. Whatever happens to this process, the cursor stands before the first event that
has not been decided, and the lease runs out by itself.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from queue import Empty

import psycopg

from connectors.http import Outcome
from hub.delivery import backlog, config, faults, leases, outcomes, prepare
from hub.delivery.chunk import Chunk
from hub.delivery.config import Config, UnusableDestination
from hub.delivery.leases import Lease
from hub.delivery.outcomes import ChunkOutcome, merge
from hub.delivery.parts import Delivery, is_open
from hub.delivery.run import Fault, Limiter, Run
from hub.delivery.settling import settle
from hub.delivery.worker import Worker
from hub.events import cursors
from hub.events.cursors import LogReader, LogRow, Position
from hub.lib import postgres
from hub.observability import log
from hub.routing import decide
from tenants.models.destination import Status as DestinationStatus

CHUNK_EVENTS = 50
CHUNK_EVENTS_BATCHED = 500
CHUNKS_IN_FLIGHT = 4
FIRST_READ_EVENTS = 30
READ_EVENTS = 1_000
READ_EVENTS_BUSY = 300
READ_BYTES = 1_000_000
READ_BELOW = 200
RETRY_EVENTS = 100
RETRY_EVERY_SECONDS = 0.5
RETRY_SHARE = 0.2
HANDLES = 64
SHORT_TURN_SECONDS = 2.0
LONG_TURN_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.02
ABANDON_SECONDS = 5.0
LONGEST_TOKEN_WAIT_SECONDS = 1.0
RELOAD_SECONDS = 2.0
ABOVE_HORIZON = """
SELECT EXISTS (SELECT FROM event_log e WHERE e.workspace_id = %s AND e.epoch = %s
               AND (e.xid, e.seq) > (%s::text::xid8, %s) AND e.seq >= %s)
"""
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a turn ended: whether the pipeline should be looked at again at once, and whether it is a slow one."""

    again: bool
    is_slow: bool = False


def run_turn(pipeline_id: int, worker: Worker) -> Ended:
    """Run a pipeline for a while if its lease is free.

    1. Claim. 2. Load the destination. 3. Send until there is nothing left, time is up or the destination is at fault.
    4. Release, always.
    """
    with postgres.pool().connection() as connection:
        lease = leases.claim(connection, pipeline_id, worker.name)
    if lease is None:
        return Ended(again=False)
    turn = Turn(lease, worker)
    try:
        turn.main()
    except Exception as error:
        turn.hold_after(error)
        raise
    finally:
        turn.abandon()
        with postgres.pool().connection() as connection:
            was_wanted = leases.release(
                connection, lease, has_more=turn.has_more, is_slow=turn.is_slow, wait_seconds=turn.wait
            )
    has_fault = turn.run is None or turn.run.fault is not None
    return Ended((was_wanted or (turn.has_more and not has_fault)) and not turn.wait, turn.is_slow)


class Turn:
    """The state of one turn. Its methods run in the task thread."""

    def __init__(self, lease: Lease, worker: Worker) -> None:
        self.lease = lease
        self.worker = worker
        self.memory = worker.memory(lease.pipeline_id)
        self.has_more = True  # until the end of `main` says otherwise
        self.is_slow = False
        self.wait = 0.0
        self.run: Run | None = None
        self.reader = LogReader(lease.workspace_id, lease.position, lease.floor)
        self.buffer: deque[tuple[LogRow, Position]] = deque()
        self.live: deque[Chunk] = deque()
        self.retrying: Chunk | None = None
        self.is_at_end = False
        self.is_lost = False
        self.read_limit = FIRST_READ_EVENTS
        self.sent = self.retried = 0
        self.retry_at = 0.0
        self.renewed_at = self.loaded_at = time.monotonic()

    def main(self) -> None:
        """Load, then loop until the turn is over; then let what is in flight end."""
        settings = self._load()
        if settings is None or self._must_wait(settings):
            self.has_more = False
            return
        run = self.run = self._make_run(settings)
        deadline = time.monotonic() + (SHORT_TURN_SECONDS if self.worker.is_crowded() else LONG_TURN_SECONDS)
        while not (run.fault or self.is_lost or self.worker.is_stopping or time.monotonic() > deadline):
            if self._must_save_slot(run):
                break
            self._top_up(run)
            if self.live or self.retrying:
                self._collect(run)
            elif self._is_drained():
                self._start_retries(run)
                if self.retrying is None:
                    break
        self._drain(run)
        self.is_slow = run.lane.is_slow and self.sent > 0
        has_fault = run.fault is not None or self.is_lost or self.wait > 0
        self.has_more = has_fault or bool(self.buffer) or bool(self.live) or not self.is_at_end

    def hold_after(self, error: Exception) -> None:
        """An error of our own would come again at once: pause the pipeline, as its circuit does, and lose nothing."""
        if not isinstance(error, psycopg.OperationalError):
            with postgres.pool().connection() as connection:
                faults.apply(connection, self.lease, prepare.bug_fault(error), self.memory)

    def _must_save_slot(self, run: Run) -> bool:
        """Whether the rate limit allows nothing for so long that the slot is of better use to others."""
        if run.limiter is None or self.live or self.retrying:
            return False
        wait = run.limiter.wait_seconds()
        self.wait = wait if wait > LONGEST_TOKEN_WAIT_SECONDS else 0.0
        return self.wait > 0

    def abandon(self) -> None:
        """Wait for calls that an error left under way: no lease is let go while its calls may still arrive."""
        open_chunks = [chunk for chunk in (*self.live, self.retrying) if chunk is not None and not chunk.is_done]
        if self.run is None or not open_chunks:
            return
        self.run.fail(Fault("stopping", "stopping", ""))
        self.worker.sender.cancel(self.run.lane, abort_after=0.0)
        deadline = time.monotonic() + ABANDON_SECONDS
        while any(not chunk.is_done for chunk in open_chunks) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)

    # Starting

    def _load(self) -> Config | None:
        with postgres.pool().connection() as connection:
            self.lease.floor = max(self.lease.floor, cursors.floor_of(connection, self.lease.position.seq))
            self.reader.floor = self.lease.floor
            try:
                found = config.load(connection, self.lease.workspace_id, self.lease.destination_id, self.memory.config)
            except UnusableDestination as error:
                fault = Fault(Outcome.DISABLED.value, "config_error", str(error))
                faults.apply(connection, self.lease, fault, self.memory)
                return None
        self.memory.config = found
        return found

    def _must_wait(self, settings: Config) -> bool:
        """A paused or stopped destination waits with its backlog; one that is off only filters what waits."""
        is_on = settings.plan.is_on and not settings.plan.is_deleted
        return is_on and (settings.stored.status != DestinationStatus.ACTIVE or self.lease.is_held)

    def _make_run(self, settings: Config) -> Run:
        is_probe = self.lease.circuit == "open"
        sender = self.worker.sender
        lane = sender.lane(f"pipeline-{self.lease.pipeline_id}", 1 if is_probe else HANDLES, probing=is_probe)
        run = Run(
            settings,
            lane,
            self.memory,
            stop=lambda: sender.cancel(lane),
            kick=lambda: sender.kick(lane),
            is_probe=is_probe,
        )
        run.limiter = self._limiter(settings.calls_per_second)
        if settings.is_ordered:
            with postgres.pool().connection() as connection:
                run.book.held = backlog.held_users(connection, self.lease.pipeline_id)
        return run

    def _limiter(self, per_second: float | None) -> Limiter | None:
        """The pipeline's token bucket, kept between turns; a changed limit begins a new one."""
        kept = self.memory.limiter
        if per_second is None or kept is None or kept.per_second != per_second:
            self.memory.limiter = None if per_second is None else Limiter(per_second)
        return self.memory.limiter

    # Filling the window

    def _top_up(self, run: Run) -> None:
        """Keep the sender busy: retry rows that are due first, within their budget, then the log."""
        if self.retrying is None and time.monotonic() >= self.retry_at and not (run.config.is_ordered and self.live):
            self._start_retries(run)
        if run.config.is_ordered and (self.retrying or self._has_retries_waiting(run)):
            return
        while len(self.live) < self._window(run) and not run.fault:
            if len(self.buffer) < READ_BELOW and not self.is_at_end:
                self._read(run)
            if not self._start_live(run):
                break
        if self.buffer and len(self.buffer) < READ_BELOW and not self.is_at_end:
            self._read(run)

    def _window(self, run: Run) -> int:
        if run.is_probe:
            return 0 if self.retrying else 1
        return 1 if run.config.is_batched or run.limiter else CHUNKS_IN_FLIGHT

    def _has_retries_waiting(self, run: Run) -> bool:
        """An ordered pipeline tries its held users while nothing else is in flight, now and then."""
        return bool(self.live) and bool(run.book.held) and time.monotonic() >= self.retry_at

    def _start_retries(self, run: Run) -> None:
        """Begin a chunk of retry rows that are due: at most a fifth of what is sent while fresh events wait."""
        self.retry_at = time.monotonic() + RETRY_EVERY_SECONDS
        has_fresh = bool(self.buffer) or not self.is_at_end
        budget = max(1, int(self.sent * RETRY_SHARE) - self.retried) if has_fresh else RETRY_EVENTS
        limit = 1 if run.is_probe else min(budget, RETRY_EVENTS)
        with postgres.pool().connection() as connection:
            due = backlog.load_due(
                connection, self.lease.pipeline_id, self.lease.workspace_id, limit, run.config.is_ordered
            )
            backlog.expire(connection, due.lost)
        if due.deliveries:
            self.retried += len(due.deliveries)
            self.retrying = Chunk(run, due.deliveries, None)
            self.worker.sender.submit(self.retrying)

    def _read(self, run: Run) -> None:
        """Read on in the log, then look whether the subscription changed: what was read is judged by it."""
        with postgres.pool().connection() as connection:
            rows = self.reader.read(connection, self.read_limit)
            run.config.refresh(connection)
        epoch = self.reader.position.epoch
        self.buffer.extend((row, Position(epoch, row.xid, row.seq)) for row in rows)
        self.is_at_end = len(rows) < self.read_limit
        if rows:
            average = sum(len(row.body) for row in rows) // len(rows) or 1
            most = READ_EVENTS_BUSY if self.worker.is_crowded() else READ_EVENTS
            self.read_limit = max(10, min(most, READ_BYTES // average))

    def _start_live(self, run: Run) -> bool:
        """Hand the next events that are this destination's to the sender; step over the others."""
        size = self._chunk_size(run)
        plan = run.config.plan
        deliveries: list[Delivery] = []
        position: Position | None = None
        while self.buffer and len(deliveries) < size:
            if position is not None and self.buffer[0][1].epoch != position.epoch:
                break
            row, position = self.buffer.popleft()
            if decide.is_eligible(plan, row.source_id, (position.epoch, position.xid)):
                deliveries.append(Delivery(row))
        if position is None:
            return False
        chunk = Chunk(run, deliveries, position)
        self.live.append(chunk)
        self.sent += len(deliveries)
        if deliveries:
            self.worker.sender.submit(chunk)
        else:
            chunk.stopped()
        return True

    def _chunk_size(self, run: Run) -> int:
        """How many events share a chunk: few under a rate limit, for a turn ends only when its chunks have."""
        if run.is_probe:
            return 1
        size = CHUNK_EVENTS_BATCHED if run.config.is_batched else CHUNK_EVENTS
        if run.limiter is None:
            return size
        return max(1, min(size, int(run.limiter.per_second * SHORT_TURN_SECONDS)))

    def _is_drained(self) -> bool:
        """Whether there is nothing left to read; rows above the horizon are waited for, a moment at a time."""
        if self.buffer or not self.is_at_end:
            return False
        epoch, xid, seq = self.reader.position
        with postgres.pool().connection() as connection:
            row = connection.execute(
                ABOVE_HORIZON, [self.lease.workspace_id, epoch, xid, seq, self.reader.floor]
            ).fetchone()
        if not row or not row[0]:
            return True
        time.sleep(LOOK_AGAIN_SECONDS)
        self.is_at_end = False
        return False

    # Committing

    def _collect(self, run: Run) -> None:
        """Wait for a chunk to be done and commit all that are, in order."""
        timeout = min(1.0, run.limiter.wait_seconds()) if run.limiter else 1.0
        try:
            run.done.get(timeout=timeout)
            while not run.done.empty():  # what ended meanwhile shares the commit
                run.done.get_nowait()
        except Empty:
            if run.limiter:
                run.kick()
        self._commit_done(run)
        self._keep_lease(run)

    def _commit_done(self, run: Run) -> None:
        if self.retrying is not None and self.retrying.is_done:
            chunk, self.retrying = self.retrying, None
            self._commit_retries(run, chunk)
        ended: list[ChunkOutcome] = []
        while self.live and self.live[0].is_done and not any(map(is_open, self.live[0].deliveries)):
            ended.append(self.live.popleft().outcome)
        if ended:
            self._commit(run, merge(ended))

    def _commit(self, run: Run, outcome: ChunkOutcome) -> None:
        if self.is_lost:
            return
        if outcome.had_success:
            run.memory.pauses = 0
        self.is_lost = not outcomes.commit_surely(self.lease, outcome, run.config.versions(), self.worker.name)
        if run.is_probe and outcome.had_success and not run.fault:
            with postgres.pool().connection() as connection:
                self._probe_went_well(run, connection)

    def _commit_retries(self, run: Run, chunk: Chunk) -> None:
        """Commit a chunk of retry rows; a user of an ordered pipeline is free again when no row of his is left."""
        self._commit(run, chunk.outcome)
        if run.config.is_ordered and not self.is_lost:
            with postgres.pool().connection() as connection:
                backlog.promote(connection, self.lease.pipeline_id)
                run.book.held = backlog.held_users(connection, self.lease.pipeline_id)
            if chunk.outcome.gone:
                self.retry_at = 0.0

    def _probe_went_well(self, run: Run, connection: postgres.PgConnection) -> None:
        faults.note_good_probe(connection, self.lease)
        self.retry_at = 0.0
        if self.lease.circuit != "open":
            run.is_probe = False
            run.memory.window = type(run.memory.window)()
            self.worker.sender.lane(run.lane.key, HANDLES, probing=False)

    def _keep_lease(self, run: Run) -> None:
        """Renew at a third of the lease; end the turn when the settings have changed, so that each has one set."""
        now = time.monotonic()
        if now - self.renewed_at > leases.RENEW_AFTER_SECONDS:
            self.renewed_at = now
            with postgres.pool().connection() as connection:
                self.is_lost = self.is_lost or not leases.renew(connection, self.lease)
        if now - self.loaded_at > RELOAD_SECONDS:
            self.loaded_at = now
            changed = self._load()
            if changed is not run.config or self._must_wait(changed):
                run.fail(Fault("paused", "paused", ""))

    # Ending

    def _drain(self, run: Run) -> None:
        """Let calls in flight end, commit what was decided, and what a fault left undecided stays or gets a row."""
        if self.worker.is_stopping or self.is_lost:
            run.fail(Fault("stopping", "stopping", ""))
            self.worker.sender.cancel(run.lane, abort_after=0.0 if self.is_lost else self.worker.abort_seconds)
        while any(not chunk.is_done for chunk in [*self.live, *([self.retrying] if self.retrying else [])]):
            self._collect(run)
            if self.worker.is_stopping and run.fault is None:
                run.fail(Fault("stopping", "stopping", ""))
                self.worker.sender.cancel(run.lane, abort_after=self.worker.abort_seconds)
        self._commit_done(run)
        if self.live and not self.is_lost:
            self._commit(run, settle(list(self.live), run.fault))
        if run.fault and run.fault.kind not in OWN_FAULTS and not self.is_lost:
            with postgres.pool().connection() as connection:
                faults.apply(connection, self.lease, run.fault, run.memory)


OWN_FAULTS = {"stopping", "paused"}
