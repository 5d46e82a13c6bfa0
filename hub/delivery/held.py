"""The events of held users that a turn keeps in memory: each user's go one after the other, beside the cursor.

A failed event's row is committed with its chunk and the cursor goes on; the event itself comes back here with its row,
and those of the same user that were parked behind it follow. So a quick retry costs nobody else anything, and a user
whose head has arrived catches up without a round trip to the database for each event. What is kept here is in the
table too: a crash loses nothing, and a user whose head must wait long is put away and loaded when it is due.

The work stays in the lane for the whole turn. Orders come in from the task thread; outcomes go out in portions, so that
rows are deleted soon after their events have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from math import inf
from time import monotonic

from hub.delivery.calls import Call
from hub.delivery.chunk import Chunk
from hub.delivery.outcomes import ChunkOutcome, DeadDraft, Decided, Status
from hub.delivery.parts import Delivery
from hub.delivery.retry import QUICK_BELOW_SECONDS
from hub.delivery.run import Run
from hub.delivery.waiting import Loaded, UserChain, Waiting, returned
from hub.observability import log, metrics

MOST_IN_MEMORY = 4_000
PARKED_CAP = 200
FLUSH_EVENTS = 100
FLUSH_SECONDS = 0.1
LOSE_ORDER = "lose_order"
PARKED_TOO_MANY = "parked_too_many"
logger = log.get(__name__)


class HeldEvents(Chunk):
    """See the module's text. Methods under "from the task thread" are called there, all others by the sender's."""

    def __init__(self, run: Run, stored: dict[int, int]) -> None:
        super().__init__(run, [], None)
        self.portions: deque[ChunkOutcome] = deque()
        self.size = 0
        self.next_due = inf
        self.wants_rows = True
        self.crowded: set[int] = set()
        self._committed = 0
        self._orders: deque[Callable[[], None]] = deque()
        self._is_closing = False
        self._chains: dict[int, UserChain] = {}
        self._stored = stored  # users with rows in the table that memory lacks, and about how many
        self._ended: dict[int, int] = {}
        self._timers: list[tuple[float, int]] = []
        self._startable: deque[Delivery] = deque()
        self._under_way: dict[int, Delivery] = {}
        self._portion = 1
        self._flushed_at = 0.0

    # From the task thread

    @property
    def is_busy(self) -> bool:
        """Whether there is something to wait for within seconds."""
        return bool(self._orders or self.size or self.portions or self.wants_rows)

    def users(self) -> list[int]:
        """The users in memory, whose rows need not be loaded."""
        return list(self._chains)  # one step under the interpreter lock

    def loose_users(self) -> list[int]:
        """Users whose order was given up: each of their rows is loaded when it is due itself."""
        return list(self.run.book.loose)

    def take_portions(self) -> list[ChunkOutcome]:
        """What has ended since the last look, to be committed."""
        return [self.portions.popleft() for _ in range(len(self.portions))]

    def give_back(self, outcome: ChunkOutcome, portions: int) -> None:
        """After a commit: its failed and parked events come back with their rows."""
        self._committed += portions
        if outcome.held:
            self._orders.append(partial(self._take_back, returned(outcome)))
            self.run.kick()

    def load(self, loaded: Loaded) -> None:
        """Take in rows of users that were not in memory."""
        self.wants_rows = False
        self.crowded.difference_update(loaded.chains)
        if not loaded.chains:
            return
        self._orders.append(partial(self._take_in, loaded, self._committed))
        self.run.kick()

    def close(self) -> None:
        """Start nothing more; what waits is in the table."""
        self._is_closing = True
        self.run.kick()

    # The sender asks

    def next_call(self) -> Call | None:
        """The next request of a held user, or None."""
        if self._is_closing or self.run.fault is not None:
            self.finished = True
            self.finish_if_done()
            return None
        while self._orders:
            self._orders[0]()
            self._orders.popleft()
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            self._go_on(heappop(self._timers)[1])
        self.next_due = self._timers[0][0] if self._timers else inf
        if len(self.outcome.decided) >= FLUSH_EVENTS or now - self._flushed_at > FLUSH_SECONDS:
            self.flush()
        if self._startable or self._resumed or self._ready or self._filling or self._detours.polls:
            return super().next_call()
        return None

    def finish_if_done(self) -> None:
        """The work is over when the turn lets it go, not when nothing waits."""
        if self._open_calls:
            return
        if self._is_closing or self.run.fault is not None:
            self.finished = True
            self._complete()
        elif self.verdicts.holds_back and not (self._ready or self._filling or self._has_rest()):
            self.verdicts.decide_forbidden()

    def _has_rest(self) -> bool:
        return bool(self._startable or self._resumed)

    def _next_delivery(self) -> Delivery | None:
        if self._resumed:
            return self._resume_next()
        book = self.run.book
        while self._startable:
            delivery = self._startable.popleft()
            key = delivery.row.user_key
            if key in book.loose:
                self._loose.add(delivery)
                return delivery
            if self._may_start(delivery):
                return delivery
        return None

    # Coming in

    def _take_back(self, events: list[Waiting]) -> None:
        """Failed and parked events have their rows: each goes to its place in its user's chain.

        A user with rows that memory lacks stays as it is: the table has all in order.
        """
        for event in events:
            row = event.delivery.row
            key, chain = row.user_key, self._chains.get(row.user_key)
            if chain is not None and row.seq in chain.out:
                chain.out.discard(row.seq)
                chain.waiting.appendleft(event)
                continue
            self.run.book.arrive(key)
            if key in self._stored:
                self._stored[key] += 1
                if self._stored[key] > PARKED_CAP + 1:
                    self.crowded.add(key)
                    self.wants_rows = True
                continue
            if chain is None:
                chain = self._chains[key] = UserChain()
            chain.waiting.append(event)
            self.size += 1
        for key in {event.delivery.row.user_key for event in events}:
            self._go_on(key)

    def _take_in(self, loaded: Loaded, committed: int) -> None:
        """Rows from the table. What of them has ended in a portion that was not committed by then is out of date."""
        self._ended = {key: portion for key, portion in self._ended.items() if portion > committed}
        for key, events in loaded.chains.items():
            if key in self._ended:
                self.wants_rows = True
            elif key not in self._chains:
                self.run.book.held.setdefault(key, 0)
                self.run.book.forget(key)
                self._chains[key] = UserChain(deque(events))
                self.size += len(events)
                rest = self._stored.pop(key, 0) - len(events)
                if key == loaded.partial or (rest > 0 and key in self.run.book.loose):
                    self._stored[key] = max(rest, 1)
                self._go_on(key)

    # A user's next

    def _go_on(self, key: int) -> None:
        """Let the user's next event start, now or when it is due; put the user away when that is long from now."""
        chain, now = self._chains.get(key), monotonic()
        if chain is None:
            return
        if key in self.run.book.loose:
            self._scatter(key, chain, now)
            return
        while not chain.out:
            if not chain.waiting:
                self._leave(key, chain)
                return
            due = chain.waiting[0].due
            if due <= now:
                self._let_start(chain, chain.waiting.popleft())
            elif due - now < QUICK_BELOW_SECONDS:
                heappush(self._timers, (due, key))
                self.next_due = min(self.next_due, due)
                return
            elif not self._is_past_cap(key, chain):
                self._put_away(key, chain)
                return
            elif self.run.config.stored.past_cap == LOSE_ORDER:
                self._give_up_order(key)
                return
            else:
                self._bury(chain, chain.waiting.popleft().delivery)

    def _let_start(self, chain: UserChain, event: Waiting) -> None:
        seq = event.delivery.row.seq
        chain.out.add(seq)
        self._under_way[seq] = event.delivery
        self._startable.append(event.delivery)

    def _is_past_cap(self, key: int, chain: UserChain) -> bool:
        """Whether too many wait behind a head whose quick retries have all failed."""
        waiting = len(chain.waiting) + self.run.book.held.get(key, 0) + self._stored.get(key, 0)
        return waiting > PARKED_CAP + 1

    def _put_away(self, key: int, chain: UserChain) -> None:
        """Leave the user's events to the table for a while."""
        self._stored[key] = self._stored.get(key, 0) + len(chain.waiting)
        self.size -= len(chain.waiting)
        self._forget_chain(key, chain)

    def _leave(self, key: int, chain: UserChain) -> None:
        """Nothing of the user is left in memory."""
        if key in self._stored:
            self._forget_chain(key, chain)
            self.wants_rows = True
        elif not self.run.book.held.get(key, 0):
            self._forget_chain(key, chain)
            self.run.book.free(key)

    def _forget_chain(self, key: int, chain: UserChain) -> None:
        del self._chains[key]
        self._ended[key] = chain.changed_in

    # Past the cap

    def _bury(self, chain: UserChain, delivery: Delivery) -> None:
        """The oldest makes room: it becomes a dead letter, and the next is tried."""
        for ref in delivery.refs:
            message = f"More than {PARKED_CAP} later events of the same user waited for this one."
            self.outcome.dead.append(
                DeadDraft(delivery.row, ref.mapping_id, PARKED_TOO_MANY, 0, message, ref.attempts, ref.first_at)
            )
            self.outcome.gone.append(ref.retry_id)
        delivery.has_dead = True
        self.outcome.decided.append(Decided(delivery.row, Status.DEAD, PARKED_TOO_MANY))
        self.size -= 1
        chain.changed_in = self._portion

    def _give_up_order(self, key: int) -> None:
        """The owner prefers that nothing waits: the user's events go as they can, until no row is left."""
        logger.info("order_given_up", pipeline=self.lane.key, waiting=self._stored.get(key, 0))
        self.run.book.loosen(key)
        self._go_on(key)

    def _scatter(self, key: int, chain: UserChain, now: float) -> None:
        """Start all that is due; what must wait long is left to the table."""
        for event in [chain.waiting.popleft() for _ in range(len(chain.waiting))]:
            if event.due <= now:
                metrics.order_given_up.inc()
                self._let_start(chain, event)
            elif event.due - now < QUICK_BELOW_SECONDS:
                chain.waiting.append(event)
                heappush(self._timers, (event.due, key))
            else:
                self.size -= 1
                self._stored[key] = self._stored.get(key, 0) + 1
        if not chain.out and not chain.waiting:
            if key in self._stored:
                self._forget_chain(key, chain)
            else:
                self._leave(key, chain)

    # An event has ended

    def _advance(self, delivery: Delivery) -> None:
        """One that failed comes back with its row; after any other the user's next may go."""
        row = delivery.row
        chain = self._chains[row.user_key]
        chain.changed_in = self._portion
        del self._under_way[row.seq]
        if delivery.has_retry or delivery.has_pending:
            self.outcome.held.append(delivery)
        else:
            chain.out.discard(row.seq)
            self.size -= 1
        if delivery in self._loose:
            self._loose.discard(delivery)
        else:
            self._pass_on(row.user_key)
        self._go_on(row.user_key)
        if not self.size:
            self._flushed_at = 0.0  # nothing more comes soon: do not wait with this

    def give_up_waiting(self, delivery: Delivery) -> None:
        """A later event of the user failed, to which this older one, put back by repair, had given way."""
        self._waiting -= 1
        self._startable.append(delivery)
        self.run.kick()

    def flush(self, *, is_last: bool = False) -> None:
        """Hand over what has ended; of an event that is still under way nothing may be committed without the rest."""
        outcome = self.outcome
        if not (outcome.decided or outcome.retries or outcome.gone or outcome.attempts):
            return
        fresh = ChunkOutcome(is_retry=True)
        if not is_last:
            self._keep_back(outcome, fresh)
        self.outcome = self.verdicts.outcome = fresh
        self._flushed_at = monotonic()
        self._portion += 1
        self.portions.append(outcome)
        self.run.done.put(self)

    def _keep_back(self, outcome: ChunkOutcome, fresh: ChunkOutcome) -> None:
        gone = set(outcome.gone)
        begun = [each for each in self._under_way.values() if is_begun(each, gone)]
        if not begun:
            return
        seqs = {each.row.seq for each in begun}
        ids = {ref.retry_id for each in begun for ref in each.refs}
        for name in ("retries", "dead", "attempts"):
            drafts = getattr(outcome, name)
            setattr(fresh, name, [each for each in drafts if each.row.seq in seqs])
            setattr(outcome, name, [each for each in drafts if each.row.seq not in seqs])
        fresh.gone = [each for each in outcome.gone if each in ids]
        outcome.gone = [each for each in outcome.gone if each not in ids]

    def _complete(self) -> None:
        """Those whose turn had come and that will not start leave their users held."""
        self.deliveries = list(self._under_way.values())
        while self._resumed and self.run.fault is None:
            self._hold(self._resumed.popleft().row.user_key)
        super()._complete()

    def _hand_over(self) -> None:
        self.flush(is_last=True)


def is_begun(delivery: Delivery, gone: set[int]) -> bool:
    """Whether a part of this event has ended while others are under way."""
    if delivery.has_delivered or delivery.has_retry or delivery.has_pending or delivery.has_dead or delivery.undecided:
        return True
    return any(ref.retry_id in gone for ref in delivery.refs)
