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

from connectors.http import Outcome
from hub.delivery import backlog, config, faults, leases, outcomes
from hub.delivery.chunk import Chunk
from hub.delivery.config import Config, UnusableDestination
from hub.delivery.leases import Lease
from hub.delivery.outcomes import ChunkOutcome, Decided, RetryDraft, Status, merge
from hub.delivery.parts import Delivery, is_open, is_untouched
from hub.delivery.run import Fault, Limiter, Run
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
    finally:
        turn.abandon()
        with postgres.pool().connection() as connection:
            was_wanted = leases.release(connection, lease, has_more=turn.has_more, is_slow=turn.is_slow)
    has_fault = turn.run is None or turn.run.fault is not None
    return Ended(was_wanted or (turn.has_more and not has_fault), turn.is_slow)


class Turn:
    """The state of one turn. Its methods run in the task thread."""

    def __init__(self, lease: Lease, worker: Worker) -> None:
        self.lease = lease
        self.worker = worker
        self.memory = worker.memory(lease.pipeline_id)
        self.has_more = False
        self.is_slow = False
        self.run: Run | None = None
        self.reader = LogReader(lease.workspace_id, lease.position, lease.floor)
        self.buffer: deque[tuple[LogRow, Position]] = deque()
        self.live: deque[Chunk] = deque()
        self.retrying: Chunk | None = None
        self.is_at_end = False
        self.is_lost = False
        self.read_limit = READ_EVENTS
        self.sent = self.retried = 0
        self.retry_at = 0.0
        self.renewed_at = self.loaded_at = time.monotonic()

    def main(self) -> None:
        """Load, then loop until the turn is over; then let what is in flight end."""
        settings = self._load()
        if settings is None or self._must_wait(settings):
            return
        run = self.run = self._make_run(settings)
        deadline = time.monotonic() + (SHORT_TURN_SECONDS if self.worker.is_crowded() else LONG_TURN_SECONDS)
        while not (run.fault or self.is_lost or self.worker.is_stopping or time.monotonic() > deadline):
            self._top_up(run)
            if self.live or self.retrying:
                self._collect(run)
            elif self._is_drained():
                self._start_retries(run)
                if self.retrying is None:
                    break
        self._drain(run)
        self.is_slow = run.lane.is_slow and self.sent > 0
        self.has_more = self.has_more or bool(self.buffer) or not self.is_at_end

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
        if settings.calls_per_second is not None:
            run.limiter = Limiter(settings.calls_per_second)
        if settings.is_ordered:
            with postgres.pool().connection() as connection:
                run.book.held = backlog.held_users(connection, self.lease.pipeline_id)
        return run

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
        return 1 if run.config.is_batched else CHUNKS_IN_FLIGHT

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
        size = 1 if run.is_probe else CHUNK_EVENTS_BATCHED if run.config.is_batched else CHUNK_EVENTS
        plan = run.config.plan
        deliveries: list[Delivery] = []
        position: Position | None = None
        while self.buffer and len(deliveries) < size:
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
        timeout = run.limiter.wait_seconds if run.limiter else 1.0
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
        with postgres.pool().connection() as connection:
            self.is_lost = not outcomes.commit(connection, self.lease, outcome, run.config.versions(), self.worker.name)
            if run.is_probe and outcome.had_success and not run.fault:
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
        """Renew at a third of the lease; take over changed settings every two seconds."""
        now = time.monotonic()
        if now - self.renewed_at > leases.RENEW_AFTER_SECONDS:
            self.renewed_at = now
            with postgres.pool().connection() as connection:
                self.is_lost = self.is_lost or not leases.renew(connection, self.lease)
        if now - self.loaded_at > RELOAD_SECONDS:
            self.loaded_at = now
            changed = self._load()
            if changed is None or self._must_wait(changed):
                self.has_more = True
                run.fail(Fault("paused", "paused", ""))
            else:
                run.config = changed

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
            self.has_more = True
            with postgres.pool().connection() as connection:
                faults.apply(connection, self.lease, run.fault, run.memory)


OWN_FAULTS = {"stopping", "paused"}


def settle(chunks: list[Chunk], fault: Fault | None) -> ChunkOutcome:
    """Merge chunks that a fault cut short into one outcome.

    The cursor goes to the last event on which something was decided; undecided ones before it get a retry row, as if
    they had failed without an attempt; those after it stay at the cursor and cost no row.
    """
    merged = merge([chunk.outcome for chunk in chunks])
    merged.position = None
    deliveries = [delivery for chunk in chunks for delivery in chunk.deliveries]
    decided = [place for place, delivery in enumerate(deliveries) if not is_untouched(delivery)]
    if not decided:
        return merged
    reason = fault.reason if fault else ""
    for delivery in deliveries[: decided[-1] + 1]:
        if not is_open(delivery):
            continue
        mapping_ids = [None] if is_untouched(delivery) else [part.rule.mapping_id for part in delivery.undecided]
        merged.retries += [RetryDraft(delivery.row, each, "retry", 0, 0.0, reason) for each in mapping_ids]
        if not delivery.is_settled:
            merged.decided.append(Decided(delivery.row, Status.RETRYING, reason))
    merged.position = _position_after(chunks, deliveries[decided[-1]])
    return merged


def _position_after(chunks: list[Chunk], last: Delivery) -> Position | None:
    """Where the cursor stands behind this delivery: its own place, or its chunk's end when it is the chunk's last."""
    for chunk in chunks:
        if chunk.position is not None and last in chunk.deliveries:
            if chunk.deliveries[-1] is last:
                return chunk.position
            return Position(chunk.position.epoch, last.row.xid, last.row.seq)
    return None
