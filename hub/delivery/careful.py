"""Turns on which workers have died: one event at a time, each written down before it is touched.

An event can kill a process, by its size or by a mistake of ours, and then it would kill the next one too. The second
crash at one place makes the pipeline careful; when the worker dies once more over the event that was written down, that
event becomes a dead letter and the pipeline goes on. A retry row has a place of its own: it may have been no part of
the crashes before, so that it is blamed when two workers have died over it alone. Pipelines that only shared the
process become careful as well and lose nothing: an event that has been waiting for its answer for a while is no longer
suspected, and a process runs one careful turn at a time, so that the event which kills it is the only one written down
there.
"""

from __future__ import annotations

import threading
from time import monotonic

from hub.delivery import leases
from hub.delivery.chunk import Chunk
from hub.delivery.leases import Lease
from hub.delivery.outcomes import ChunkOutcome, DeadDraft, Decided, Status
from hub.lib import clock, postgres
from hub.observability import log, metrics

CAREFUL_FROM, GUILTY_FROM = 2, 3
CAREFUL_EVENTS = 200
SUSPECT_SECONDS = 1.0
BUSY_SECONDS = 1.0
WORKER_CRASH = "worker_crash"
MESSAGE = "Workers died again and again while they worked on this event. It may have arrived."
ROWS = "SELECT id FROM delivery_retry WHERE pipeline_id = %s AND seq = %s"
_one_at_a_time = threading.Lock()
logger = log.get(__name__)


class Care:
    """How careful one turn is. Used in the task thread."""

    def __init__(self, lease: Lease) -> None:
        self.is_on = lease.crash_count >= CAREFUL_FROM
        # After a first crash, rows that are due go before anything moves the cursor: a second one is then at its place.
        # Not for long: at a receiver that fails often some row is always under way, and the log would stand still.
        self.is_wary = lease.crash_count > 0
        self._wary_until = monotonic() + SUSPECT_SECONDS
        self._lease = lease
        self._guilty = lease.inflight_seq if lease.crash_count >= GUILTY_FROM else None
        self._passed = 0
        self._has_passed = False
        self._noted_at = 0.0
        self._has_entered = False

    @property
    def is_over(self) -> bool:
        """Whether so much has passed that the next turn may be an ordinary one."""
        return self.is_on and self._passed >= CAREFUL_EVENTS

    @property
    def has_passed(self) -> bool:
        """Whether the cursor has left the place of the crash."""
        return self._has_passed

    def holds_live(self, *, rows_are_busy: bool) -> bool:
        """Whether the log must wait for rows that are due: after a crash, until they were tried, or for a second."""
        self.is_wary = self.is_wary and rows_are_busy and monotonic() < self._wary_until
        return self.is_wary or (self.is_on and rows_are_busy)

    def enter(self) -> bool:
        """Whether the turn may run now: this process runs one careful turn at a time."""
        self._has_entered = self.is_on and _one_at_a_time.acquire(blocking=False)
        return self._has_entered or not self.is_on

    def leave(self) -> None:
        """The turn is over."""
        if self._has_entered:
            self._has_entered = False
            _one_at_a_time.release()

    def admits(self, chunk: Chunk) -> bool:
        """Write down the chunk's event, or end it if it has killed too many; then there is nothing to send."""
        if not self.is_on or not chunk.deliveries:
            return True
        seq = chunk.deliveries[0].row.seq
        with postgres.pool().connection() as connection:
            if seq == self._guilty:
                self._bury(connection, chunk)
                return False
            leases.note_inflight(connection, self._lease, seq, is_row=chunk.is_retry)
        self._noted_at = monotonic()
        return True

    def look(self) -> None:
        """Whoever kills a worker does it at once: what has been waiting for its answer is not suspected any longer."""
        if self._noted_at and monotonic() - self._noted_at > SUSPECT_SECONDS:
            self._noted_at = 0.0
            with postgres.pool().connection() as connection:
                leases.note_inflight(connection, self._lease, None)

    def note(self, outcome: ChunkOutcome) -> None:
        """An outcome was committed. After the first that moves the cursor the place of the crash is passed.

        A worker that dies farther on has not died at the same place, and the event that it had then is not blamed. Rows
        that are due go first in every turn, so their passing says nothing of the event that has yet to come.
        """
        if not self.is_on or not outcome.decided:
            return
        self._passed += len(outcome.decided)
        self._noted_at = 0.0
        is_first_move = outcome.position is not None and not self._has_passed
        self._has_passed = self._has_passed or is_first_move
        with postgres.pool().connection() as connection:
            if is_first_move:
                leases.note_crashes(connection, self._lease, CAREFUL_FROM)
            else:
                leases.note_inflight(connection, self._lease, None)

    def _bury(self, connection: postgres.PgConnection, chunk: Chunk) -> None:
        """One dead letter for the whole event, whichever part it was."""
        delivery, outcome = chunk.deliveries[0], chunk.outcome
        row, refs = delivery.row, delivery.refs
        first_at = min((ref.first_at for ref in refs), default=clock.now())
        tries = max((ref.attempts for ref in refs), default=0) + 1
        found = connection.execute(ROWS, [self._lease.pipeline_id, row.seq]).fetchall()
        outcome.gone += [int(str(each[0])) for each in found]
        outcome.dead.append(DeadDraft(row, None, WORKER_CRASH, 0, MESSAGE, tries, first_at))
        outcome.decided.append(Decided(row, Status.DEAD, WORKER_CRASH))
        delivery.is_settled = True
        chunk.stopped()
        metrics.poisoned.inc()
        logger.error("event_killed_workers", pipeline=self._lease.pipeline_id, seq=row.seq, is_retry=chunk.is_retry)
