"""Retry rows in one turn, as the task thread handles them: when they are loaded, who tries them, what follows a commit.

Without order, rows that are due are tried in chunks of their own. With order they go to the held events, which stay in
memory (see `held`); but for a careful turn, which takes one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hub.delivery import backlog, leases
from hub.delivery.careful import Care
from hub.delivery.chunk import Chunk
from hub.delivery.held import MOST_IN_MEMORY, HeldEvents
from hub.delivery.leases import Lease
from hub.delivery.outcomes import ChunkOutcome
from hub.delivery.retry import QUICK_STEPS_SECONDS
from hub.delivery.run import Run
from hub.delivery.waiting import Waiting
from hub.lib import postgres
from hub.observability import log, metrics

LIMITED_SECONDS = 2.0  # a turn ends only when its chunks have, so a rate limit keeps them short
EVENTS_A_CHUNK = 100
ROWS_A_LOAD = 1_000
EVERY_SECONDS = 0.5
SHARE = 0.2
LONGEST_WAIT_SECONDS, SHORTEST_WAIT_SECONDS = 0.1, 0.005
logger = log.get(__name__)


class Retrying:
    """See the module's text. `chunk` is the one under way, `held` the events of held users."""

    def __init__(self, lease: Lease, run: Run, submit: Callable[[Chunk], None], care: Care) -> None:
        self.chunk: Chunk | None = None
        self.held: HeldEvents | None = None
        self.has_rest = False
        self._lease = lease
        self._run = run
        self._submit = submit
        self._care = care
        self._retried = 0
        self._at = 0.0
        if run.config.is_ordered:
            with postgres.pool().connection() as connection:
                stored = backlog.held_users(connection, lease.pipeline_id)
            run.book.held = dict.fromkeys(stored, 0)
            if not care.is_on:
                self.held = run.held = HeldEvents(run, stored)
                submit(self.held)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to wait for."""
        return self.chunk is not None or (self.held is not None and self.held.is_busy)

    @property
    def is_full(self) -> bool:
        """Whether so much waits in memory that no more may be read."""
        return self.held is not None and self.held.size >= MOST_IN_MEMORY

    def open_works(self) -> list[Chunk]:
        """What is not over yet."""
        return [work for work in (self.chunk, self.held) if work is not None and not work.is_done]

    def patience(self) -> float:
        """For how long the task thread may sleep."""
        if self.held is None or not self.held.is_busy:
            return 1.0
        return min(max(self.held.next_due - time.monotonic(), SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)

    def wake(self) -> None:
        """Nothing has ended for a while: have what is due looked at."""
        if self.held is not None and self.held.is_busy:
            self._run.kick()

    def look_soon(self) -> None:
        """Look for rows that are due at the next occasion."""
        self._at = 0.0

    # Starting

    def start(self, sent: int, *, has_fresh: bool) -> None:
        """Start what is due, now and then; while fresh events wait, at most a fifth of what is sent."""
        is_time = time.monotonic() >= self._at
        if self.held is not None and (is_time or self.held.wants_rows):
            self._load_held(self.held, self._budget(sent, has_fresh=has_fresh))
        elif self.held is None and self.chunk is None and (is_time or self._care.is_on):
            self.start_chunk(self._budget(sent, has_fresh=has_fresh))

    def _budget(self, sent: int, *, has_fresh: bool) -> int:
        if not has_fresh or self._care.is_wary:
            return EVENTS_A_CHUNK
        return max(1, int(sent * SHARE) - self._retried)

    def start_chunk(self, budget: int = EVENTS_A_CHUNK) -> None:
        """Begin a chunk of rows that are due."""
        run, lease = self._run, self._lease
        self._at = time.monotonic() + EVERY_SECONDS
        most = run.events_within(LIMITED_SECONDS, min(budget, EVENTS_A_CHUNK))
        limit = 1 if run.is_probe or self._care.is_on else most
        with postgres.pool().connection() as connection:
            due = backlog.load_due(connection, lease.pipeline_id, lease.workspace_id, limit, run.config.is_ordered)
            backlog.expire(connection, due.lost)
        if not due.deliveries:
            return
        if self._care.is_on:
            backlog.single_out(due)
        self._retried += len(due.deliveries)
        self.chunk = Chunk(run, due.deliveries, None)
        if self._care.admits(self.chunk):
            self._submit(self.chunk)

    def _load_held(self, held: HeldEvents, budget: int) -> None:
        """Have held users' rows in memory by the time they are due."""
        self._at = time.monotonic() + EVERY_SECONDS
        room = min(MOST_IN_MEMORY - held.size, ROWS_A_LOAD)
        if room <= 0:
            return
        wish = backlog.Wish(room, budget, held.users(), list(held.crowded), held.loose_users())
        with postgres.pool().connection() as connection:
            loaded, lost = backlog.load_chains(connection, self._lease, wish)
            backlog.expire(connection, lost)
        self._retried += sum(map(is_slow_retry, loaded.chains.values()))
        held.load(loaded)

    # Committing

    def take_chunk(self) -> ChunkOutcome | None:
        """The outcome of the chunk of rows, once it is over."""
        if self.chunk is None or not self.chunk.is_done:
            return None
        chunk, self.chunk = self.chunk, None
        return chunk.outcome

    def take_portions(self) -> list[ChunkOutcome]:
        """What has ended of the held events."""
        return self.held.take_portions() if self.held is not None else []

    def give_back(self, outcome: ChunkOutcome, portions: int = 0) -> None:
        """After a commit: what failed or was parked comes back with its rows."""
        if self.held is not None:
            self.held.give_back(outcome, portions)
        if self._run.book.breaks:
            self._note_breaks()

    def follow_chunk(self, outcome: ChunkOutcome) -> None:
        """After the commit of a chunk of rows of an ordered pipeline: who is free, and who is next."""
        if self._run.config.is_ordered:
            with postgres.pool().connection() as connection:
                backlog.promote(connection, self._lease.pipeline_id)
                self._run.book.held = dict.fromkeys(backlog.held_users(connection, self._lease.pipeline_id), 0)
        if outcome.gone and (self._run.config.is_ordered or self._care.is_on):
            self._at = 0.0

    def _note_breaks(self) -> None:
        """The promise was broken: say so, for the owner and for us."""
        count, self._run.book.breaks = self._run.book.breaks, 0
        metrics.order_breaks.inc(count)
        logger.error("order_broken", pipeline=self._lease.pipeline_id, count=count)
        with postgres.pool().connection() as connection:
            leases.note_order_breaks(connection, self._lease, count)

    # Ending

    def close(self) -> None:
        """Start nothing more."""
        if self.held is not None:
            self.has_rest = self.held.is_busy
            self.held.close()

    def finish(self) -> None:
        """Leave the table so that whoever comes next finds what is due."""
        if self._run.config.is_ordered and self._run.book.held:
            with postgres.pool().connection() as connection:
                backlog.promote(connection, self._lease.pipeline_id)


def is_slow_retry(events: list[Waiting]) -> bool:
    """Whether a user's head has had its quick retries."""
    return bool(events) and max(ref.attempts for ref in events[0].delivery.refs) > len(QUICK_STEPS_SECONDS)
