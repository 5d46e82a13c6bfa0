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

from connectors.http import CONFIG_ERROR, Outcome
from hub.delivery import circuit, committing, config, faults, learning, leases, prepare
from hub.delivery.ahead import ReadAhead
from hub.delivery.careful import BUSY_SECONDS, Care
from hub.delivery.chunk import Chunk
from hub.delivery.circuit import Circuit
from hub.delivery.config import Config
from hub.delivery.grants import turns
from hub.delivery.leases import Lease, Pace
from hub.delivery.outcomes import ChunkOutcome, merge
from hub.delivery.parts import is_open
from hub.delivery.replays import pace, progress
from hub.delivery.retrying import Retrying
from hub.delivery.run import OWN_FAULTS, Fault, Run
from hub.delivery.settling import settle
from hub.delivery.stored import UnusableDestination
from hub.delivery.tempo import Tempo
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.observability import log
from tenants.models.destination import Status as DestinationStatus

CHUNK_EVENTS = 50
CHUNK_EVENTS_BATCHED = 250
CHUNKS_IN_FLIGHT, CHUNKS_IN_FLIGHT_BATCHED = 4, 2
# For how long the end of a second chunk is waited for, so that both share a commit; two more are under way meanwhile.
LINGER_SECONDS = 0.01
SHORT_TURN_SECONDS, LONG_TURN_SECONDS = 2.0, 20.0
LOOK_AGAIN_SECONDS = 0.02
ABANDON_SECONDS = 5.0
LONGEST_TOKEN_WAIT_SECONDS = 1.0
RELOAD_SECONDS = 2.0
LONGEST_WAIT_COUNTED_SECONDS = 60.0
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
    is_passed_on = worker.passes_on(lease)
    if is_passed_on or not worker.admit(lease):
        with postgres.pool().connection() as connection:
            leases.release(connection, lease, has_more=True, is_slow=lease.is_slow, has_run=False)
        return Ended(is_passed_on, lease.is_slow)
    turn = Turn(lease, worker)
    try:
        turn.main()
    except Exception as error:
        turn.hold_after(error)
        raise
    finally:
        try:
            turn.abandon()
            turn.leave_lane()
        finally:
            turn.care.leave()
        worker.dismiss(lease)
        with postgres.pool().connection() as connection:
            was_wanted = leases.release(
                connection,
                lease,
                has_more=turn.has_more,
                is_slow=turn.is_slow,
                is_calm=turn.is_calm,
                has_run=turn.run is not None,
                wait_seconds=turn.wait,
                pace=turn.pace(),
            )
    if lease.kind == "replay":
        progress.conclude(lease.pipeline_id)
    has_fault = turn.run is None or (turn.run.fault is not None and not turn.is_renewed)
    return Ended((was_wanted or (turn.has_more and not has_fault)) and not turn.wait, turn.is_slow)


class Turn:
    """The state of one turn. Its methods run in the task thread."""

    def __init__(self, lease: Lease, worker: Worker) -> None:
        self.lease = lease
        self.worker = worker
        self.memory = worker.memory(lease.pipeline_id)
        self.care = Care(lease)
        self.has_more = True  # until the end of `main` says otherwise
        self.is_calm = False
        self.is_slow = lease.is_slow
        self.wait = 0.0
        self.run: Run | None = None
        self.ahead = ReadAhead(lease)
        self.is_barred = self.is_renewed = False
        self.live: deque[Chunk] = deque()
        self.rows: Retrying | None = None
        self.is_lost = False
        self.sent = 0
        self.began_at = self.renewed_at = self.loaded_at = time.monotonic()
        self.tempo = Tempo(self.began_at, min(lease.waited, LONGEST_WAIT_COUNTED_SECONDS))

    def main(self) -> None:
        """Load, then loop until the turn is over; then let what is in flight end."""
        settings = self._load()
        if settings is None or self._must_wait(settings):
            self.has_more = False
            return
        if not self.care.enter():
            self.wait = BUSY_SECONDS
            return
        run = self.run = self._make_run(settings)
        rows = self.rows = Retrying(self.lease, run, self.worker.sender.submit, self.care)
        while not (run.fault or self.is_lost or self.worker.is_stopping or self._is_time_up()):
            if self.care.is_over or self._must_save_slot(run, rows):
                break
            self._top_up(run, rows)
            self.tempo.look(time.monotonic(), self.sent, is_full=self.ahead.is_behind, is_busy=bool(self.live))
            if self.live or rows.is_busy:
                self._collect(run, rows)
                if not self.live:
                    self.ahead.look_beside()
            elif self._is_drained():
                rows.look_soon()
                rows.start(self.sent, has_fresh=False)
                if not rows.is_busy:
                    break
        self._drain(run, rows)
        self.is_slow = self._was_slow(run)
        has_fault = run.fault is not None or self.is_lost or self.wait > 0
        has_rest = bool(self.live) or rows.has_rest or self.ahead.has_more
        self.has_more = has_fault or has_rest
        self.is_calm = not has_fault and (not self.care.is_on or self.care.has_passed or not has_rest)

    def pace(self) -> Pace:
        """How quick it was, unless calls were held back; of a rate limit, several shards have a part each."""
        run = self.run
        if run is None or run.fault or self.lease.circuit != "closed" or self.is_lost:
            return leases.UNKNOWN_PACE
        self.tempo.end(time.monotonic(), self.sent, self.wait)
        allowed = run.allowed_per_second()
        share = None if allowed is None else allowed / self.lease.shard_count
        return Pace(self.tempo.full_rate, self.tempo.busy_rate(run.most_per_second()), share)

    def _is_time_up(self) -> bool:
        """Whether others should have the slot: they may have come while this turn ran."""
        longest = SHORT_TURN_SECONDS if self.worker.is_crowded() else LONG_TURN_SECONDS
        return time.monotonic() - self.began_at > longest

    def hold_after(self, error: Exception) -> None:
        """An error of our own would come again at once: pause the pipeline, as its circuit does, and lose nothing."""
        if not isinstance(error, psycopg.OperationalError):
            with postgres.pool().connection() as connection:
                faults.apply(connection, self.lease, prepare.bug_fault(error), self.memory)

    def _must_save_slot(self, run: Run, rows: Retrying) -> bool:
        """Whether the rate limit allows nothing for so long that the slot is of better use to others."""
        if run.limiter is None or self.live or rows.is_busy or not self.ahead.has_more:
            return False
        run.top_up()
        wait = run.limiter.wait_seconds()
        self.wait = wait if wait > LONGEST_TOKEN_WAIT_SECONDS else 0.0
        return self.wait > 0

    def abandon(self) -> None:
        """Wait for calls that an error left under way: no lease is let go while its calls may still arrive."""
        open_chunks = [chunk for chunk in self.live if not chunk.is_done]
        open_chunks += self.rows.open_works() if self.rows is not None else []
        if self.run is None or not open_chunks:
            return
        self.run.fail(Fault("stopping", "stopping", ""))
        self.worker.sender.cancel(self.run.lane, abort_after=0.0)
        deadline = time.monotonic() + ABANDON_SECONDS
        while any(not chunk.is_done for chunk in open_chunks) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)

    def leave_lane(self) -> None:
        """Let the lane go, for thousands of pipelines share the process; what it learned is for the next turn's."""
        if self.run is not None:
            self.memory.learned = self.run.lane.learned()
            if self.run.limiter is not None:
                self.run.limiter.give_back()
            self.worker.sender.close_lane(self.run.lane)

    def _was_slow(self, run: Run) -> bool:
        is_probing = self.lease.circuit == "open" or (run.fault is not None and run.fault.kind == "circuit")
        is_degraded = run.memory.window.is_degraded(time.monotonic())
        return is_probing or is_degraded or (run.lane.is_tardy() if run.lane.answers else self.lease.is_slow)

    # Starting

    def _load(self) -> Config | None:
        with postgres.pool().connection() as connection:
            self.ahead.raise_floor(connection, self.lease)
            try:
                lease = self.lease
                self.is_barred = progress.is_barred(connection, lease)
                found = config.load(
                    connection, lease.workspace_id, lease.destination_id, self.memory.config, lease.replay_id
                )
            except UnusableDestination as error:
                fault = Fault(Outcome.DISABLED.value, CONFIG_ERROR, str(error))
                faults.apply(connection, self.lease, fault, self.memory)
                return None
        self.memory.config = found
        return found

    def _must_wait(self, settings: Config) -> bool:
        """A paused or stopped destination waits with its backlog; one that is off only filters what waits."""
        if self.is_barred:
            return True
        if self.lease.kind == "live" and self.lease.until is None and settings.stored.shards != self.lease.shard_count:
            return True  # all shards stop, to be dealt anew
        is_on = settings.plan.is_on and not settings.plan.is_deleted
        if is_on and (settings.stored.status != DestinationStatus.ACTIVE or self.lease.is_held):
            return True
        return is_on and not turns.has_token(self.lease, settings, self.memory)

    def _make_run(self, settings: Config) -> Run:
        sender = self.worker.sender
        # With the fence: calls of an older turn, whose lease ran out, may still be under way.
        key = f"pipeline-{self.lease.pipeline_id}-{self.lease.fence}"
        most = circuit.handles(self.lease, settings)
        lane = sender.lane(key, most, probing=self.lease.circuit == "open", learned=self.memory.learned)
        run = Run(settings, lane, self.memory, lambda: sender.cancel(lane), lambda: sender.kick(lane))
        with postgres.pool().connection() as connection:
            run.lessons = learning.read(connection, self.lease)
        self.memory.streak = run.lessons.streak
        lane.collect_headers = bool(run.lessons.rate or settings.connector.interpret)  # somebody reads them
        per_second, workers = run.lessons.slowed(settings.calls_per_second), run.lessons.worker_count
        run.limiter = pace.limiter_of(self.worker.limits, self.lease, settings, per_second, workers)
        self.circuit = Circuit(self.lease, run, sender)
        return run

    # Filling the window

    def _top_up(self, run: Run, rows: Retrying) -> None:
        """Keep the sender busy: retry rows that are due first, within their budget, then the log."""
        run.top_up()
        if not (self.care.is_on and self.live):
            rows.start(self.sent, has_fresh=self.ahead.has_more)
        if rows.is_full or self.care.holds_live(rows_are_busy=rows.is_busy):
            return
        while len(self.live) < self._window(run, rows) and not run.fault:
            if self.ahead.is_low:
                self._read(run)
            if not self._start_live(run):
                break
        if self.ahead.has_rows and self.ahead.is_low:
            self._read(run)

    def _window(self, run: Run, rows: Retrying) -> int:
        if run.is_probe:
            return 0 if rows.chunk else 1
        if run.limiter or self.care.is_on:
            return 1
        return CHUNKS_IN_FLIGHT_BATCHED if run.config.is_batched else CHUNKS_IN_FLIGHT

    def _read(self, run: Run) -> None:
        with postgres.pool().connection() as connection:
            self.ahead.read(connection, run.config, is_crowded=self.worker.is_crowded())

    def _start_live(self, run: Run) -> bool:
        """Hand the next events that are this destination's to the sender; step over the others."""
        deliveries, position = self.ahead.take(run.config.plan, self._chunk_size(run))
        if position is None:
            return False
        chunk = Chunk(run, deliveries, position)
        self.live.append(chunk)
        self.sent += len(deliveries)
        if not deliveries:
            chunk.stopped()
        elif self.care.admits(chunk):
            self.worker.sender.submit(chunk)
        return True

    def _chunk_size(self, run: Run) -> int:
        """How many events share a chunk: few under a rate limit, for a turn ends only when its chunks have."""
        if run.is_probe or self.care.is_on:
            return 1
        items = run.config.most_items
        # Whole calls: of small batches some at once, so that the next are under way while the last are committed.
        size = CHUNK_EVENTS if items == 1 else items * max(1, CHUNK_EVENTS_BATCHED // items)
        return run.events_within(SHORT_TURN_SECONDS, size)

    def _is_drained(self) -> bool:
        if self.ahead.has_more:
            return False
        with postgres.pool().connection() as connection:
            return self.ahead.is_drained(connection)

    # Committing

    def _collect(self, run: Run, rows: Retrying) -> None:
        """Wait for a chunk to be done and commit all that are, in order."""
        run.top_up()
        timeout = min(rows.patience(), run.limiter.wait_seconds() if run.limiter else 1.0)
        try:
            run.done.get(timeout=timeout)
        except Empty:
            rows.wake()
            self.care.look()
        else:
            run.await_more(LINGER_SECONDS if len(self.live) > CHUNKS_IN_FLIGHT_BATCHED else 0.0)
        self._commit_done(run, rows)
        self.circuit.grow(0)
        self._keep_lease(run)

    def _commit_done(self, run: Run, rows: Retrying) -> None:
        """Commit what is over. Portions are taken last, so that none from before a chunk's end goes later than it."""
        retried = rows.take_chunk()
        if retried is not None and self._commit(run, retried):
            rows.follow_chunk(retried)
        ended: list[ChunkOutcome] = []
        while self.live and self.live[0].is_done and not any(map(is_open, self.live[0].deliveries)):
            ended.append(self.live.popleft().outcome)
        portions = rows.take_portions()
        if ended or portions:
            merged = merge([*portions, *ended])
            if self._commit(run, merged):
                rows.give_back(merged, len(portions))

    def _commit(self, run: Run, outcome: ChunkOutcome) -> bool:
        if self.is_lost:
            return False
        if outcome.had_success:
            run.memory.pauses = 0
        self.is_lost = not committing.commit_surely(self.lease, outcome, run.config.versions(), self.worker.name)
        self.care.note(outcome)
        self.circuit.grow(outcome.attempt_counts.get("delivered", 0))
        if run.is_probe and (outcome.had_success or run.has_answer) and not run.fault:
            if self.rows is not None:
                self.rows.look_soon()
            with postgres.pool().connection() as connection:
                self.circuit.note_good_probe(connection)
        return not self.is_lost

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

    def _drain(self, run: Run, rows: Retrying) -> None:
        """Let calls in flight end, commit what was decided, and what a fault left undecided stays or gets a row."""
        if self.worker.is_stopping or self.is_lost:
            run.fail(Fault("stopping", "stopping", ""))
            self.worker.sender.cancel(run.lane, abort_after=0.0 if self.is_lost else self.worker.abort_seconds)
        rows.close()
        while rows.open_works() or any(not chunk.is_done for chunk in self.live):
            self._collect(run, rows)
            if self.worker.is_stopping and run.fault is None:
                run.fail(Fault("stopping", "stopping", ""))
                self.worker.sender.cancel(run.lane, abort_after=self.worker.abort_seconds)
        self._commit_done(run, rows)
        if self.live:
            self._commit(run, settle(list(self.live), run.fault))
        if self.is_lost:
            return
        rows.finish()
        self.circuit.end(is_drained=not self.ahead.has_more)
        with postgres.pool().connection() as connection:
            faults.learn(connection, self.lease, run)
            if run.fault and run.fault.kind not in OWN_FAULTS:
                faults.apply(connection, self.lease, run.fault, run.memory)
        self.is_renewed = turns.renews(self.lease, run)
