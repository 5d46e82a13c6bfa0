"""What the chunks of one turn share: the rules in force, the lane, the fault that stops it, the sampling budget."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from connectors.http import UNCONFIRMED, ItemOutcome, Outcome, Scope, SendError
from hub.delivery.breaker import Window
from hub.delivery.config import Config, Rule
from hub.delivery.lanes import Lane, Learned
from hub.delivery.learning import NO_STREAK, Lessons, Streak
from hub.delivery.limits import Limiter
from hub.delivery.ordering import OrderBook
from hub.observability import log, metrics

if TYPE_CHECKING:
    from hub.delivery.chunk import Chunk
    from hub.delivery.held import HeldEvents
    from hub.delivery.parts import Delivery

SUCCESSES_KEPT_A_MINUTE = 60
FORBIDDEN, NOT_FOUND = 403, 404
FORBIDDEN_CALLS = 10
CONNECTOR_BUG = "connector_bug"
# Kinds of faults that are not the destination's: its pipeline is not held for them.
RENEWAL = "renewal"
OWN_FAULTS = frozenset({"stopping", "paused", RENEWAL})
BUGS_TO_PAUSE, BUG_SECONDS = 20, 300.0
STREAK_CALLS = 5
NOT_FOUND_SECONDS, DNS_SECONDS = 600.0, 3_600.0
ADDRESS_GONE = "Every answer has been 404 for ten minutes; check the URL."
NAME_GONE = "The receiver's name has not been found for an hour; check the URL."
logger = log.get(__name__)


@dataclass(slots=True)
class Fault:
    """Why a pipeline stops at its cursor: the outcome word or `circuit`, for how long, and the words for the owner."""

    kind: str
    reason: str
    message: str
    retry_after_s: float | None = None


@dataclass(slots=True)
class Memory:
    """What a process remembers of a pipeline between its turns; losing it costs nothing but a fresh look."""

    config: Config | None = None
    window: Window = field(default_factory=Window)
    learned: Learned | None = None
    passed_on_at: float = float("-inf")
    pauses: int = 0
    minute: int = 0
    successes_kept: int = 0
    # Whether anything below must be cleared by the next success.
    is_troubled: bool = False
    streak: Streak = NO_STREAK
    forbidden_in_a_row: int = 0
    let_in_at: float = 0.0
    bugs: deque[float] = field(default_factory=deque)

    def keeps_success(self, now: float) -> bool:
        """Whether this success is among the first of its minute, which are kept in full."""
        if int(now // 60) != self.minute:
            self.minute, self.successes_kept = int(now // 60), 0
        self.successes_kept += 1
        return self.successes_kept <= SUCCESSES_KEPT_A_MINUTE

    def let_in(self, now: float) -> None:
        """The receiver took or judged an event, so it neither locks us out nor has it gone."""
        self.is_troubled = False
        self.streak = NO_STREAK
        self.forbidden_in_a_row = 0
        self.let_in_at = now


@dataclass(slots=True)
class Run:
    """One turn of a pipeline. The sender's thread writes `fault`, `book` and `memory`, the task thread reads `done`."""

    config: Config
    lane: Lane
    memory: Memory
    stop: Callable[[], None]
    kick: Callable[[], None]
    done: SimpleQueue[Chunk] = field(default_factory=SimpleQueue)
    book: OrderBook[tuple[Chunk, Delivery]] = field(default_factory=OrderBook)
    chance: Callable[[], float] = random.random
    held: HeldEvents | None = None
    fault: Fault | None = None
    is_probe: bool = False
    is_ramping: bool = False
    limiter: Limiter | None = None
    lessons: Lessons = field(default_factory=Lessons)
    has_learned_batch: bool = False
    write_count: int = 0  # writes to sinks that are under way
    has_answer: bool = False

    def await_more(self, seconds: float) -> None:
        """Take note of all that is done by now, and wait so long for another: what ends together shares a commit."""
        try:
            if seconds and self.done.empty():
                self.done.get(timeout=seconds)
            while True:
                self.done.get_nowait()
        except Empty:
            pass

    def may_call(self) -> bool:
        """Whether the rate limit allows a call now."""
        return self.limiter is None or self.limiter.has_token()

    def count_call(self, item_count: int = 1) -> None:
        """A call is being made, with so many items."""
        if self.limiter is not None:
            self.limiter.take(item_count if self.config.limits_items else 1)

    def top_up(self) -> None:
        """Fetch tokens, and have the sender look again when there are some at last. In the task thread."""
        if self.limiter is not None and self.limiter.top_up():
            self.kick()

    def events_within(self, seconds: float, most: int) -> int:
        """How many events the rate limit lets through in that time; at least one, at most `most`."""
        allowed = self.allowed_per_second()
        return most if allowed is None else max(1, min(most, int(allowed * seconds)))

    def allowed_per_second(self) -> float | None:
        """How many events a second the rate limit lets through; None without one."""
        if self.limiter is None:
            return None
        return self.limiter.per_second * (1 if self.config.limits_items else self._events_per_call())

    def most_per_second(self) -> float:
        """How many events a second the lane's calls could carry, if each takes as long as the last ones."""
        seconds = max(self.lane.learned().smoothed_ms, 0.1) / 1_000
        return self.lane.max_in_flight * self._events_per_call() / seconds

    def _events_per_call(self) -> int:
        return max((self.items_per_call(rule) for rule in self.config.rules.values()), default=1)

    def items_per_call(self, rule: Rule) -> int:
        """How many events a call may hold, by the mapping's rule and by what the receiver refused."""
        learned = self.lessons.items
        return rule.items_per_call if learned is None else max(1, min(rule.items_per_call, learned))

    def bytes_per_call(self, rule: Rule) -> int:
        """How large a batch's body may be; 0 for any size."""
        learned = self.lessons.bytes
        return rule.max_bytes if learned is None else min(rule.max_bytes or learned, learned)

    def learn_too_large(self, item_count: int, size: int) -> None:
        """A batch of so many items and bytes was refused: from now on, half of it is the most."""
        known, items, half = self.lessons, max(1, item_count // 2), size // 2
        self.lessons = replace(known, items=min(known.items or items, items), bytes=min(known.bytes or half, half))
        self.has_learned_batch = True

    def fail(self, fault: Fault) -> None:
        """Stop the lane: no further call of this turn starts."""
        if self.fault is None:
            self.fault = fault
            self.stop()

    def is_excused(self, item: ItemOutcome) -> bool:
        """Whether the destination's fault, not the event, is behind this refusal."""
        if self.fault is None:
            return False
        if item.status == FORBIDDEN:
            return self.fault.kind == Outcome.UNAUTHORIZED
        return item.status == NOT_FOUND and self.fault.message == ADDRESS_GONE

    def note_success(self) -> None:
        """A call went well; what it carried is delivered."""
        memory, now = self.memory, monotonic()
        memory.window.record(now, is_failure=False)
        if memory.is_troubled:
            memory.let_in(now)

    def note_bug(self, error: BaseException) -> None:
        """Our own code failed on an event. So often in so short a time, it is no single event's fault: pause."""
        bugs, now = self.memory.bugs, monotonic()
        bugs.append(now)
        while now - bugs[0] > BUG_SECONDS:
            bugs.popleft()
        metrics.connector_bugs.labels(self.config.connector.slug).inc()
        if self.is_probe or len(bugs) >= BUGS_TO_PAUSE:
            logger.error("connector_keeps_failing", connector=self.config.connector.slug, bug_count=len(bugs))
            message = f"An error in Headwater itself: {type(error).__name__}."
            self.fail(Fault("circuit", CONNECTOR_BUG, message))

    def judge(self, items: Sequence[ItemOutcome]) -> None:
        """See one call's outcomes in the light of those before it.

        1. A refusal of everything (403 ten times in a row) is about the credentials, not about the event; 404 for ten
           minutes is about the address, and a name that is not found for an hour about the name.
        2. A failure while half of all calls fail is the destination's, and costs the event no attempt.
        """
        memory, now, first = self.memory, monotonic(), items[0]
        if first.reason == CONNECTOR_BUG:
            return
        is_failure = all(item.outcome is Outcome.RETRY or item.reason == UNCONFIRMED.reason for item in items)
        memory.window.record(now, is_failure)
        if any(
            item.outcome in ANSWERED and item.status not in UNSAID and item.reason != UNCONFIRMED.reason
            for item in items
        ):
            memory.let_in(now)
            self.has_answer = True
        else:
            self._note_trouble(first, now)
        is_general = first.scope == Scope.DESTINATION or self.is_probe
        if is_failure and (is_general or memory.window.should_open(now, is_ramping=self.is_ramping)):
            self.fail(Fault("circuit", first.reason, first.message, first.retry_after_s))
        for item in items:
            if item.outcome in STOPPING:
                self.fail(self._stopping(item))

    def _stopping(self, item: ItemOutcome) -> Fault:
        """What stops the pipeline. A refused token is renewed first, and what it was to carry is sent again."""
        signer = self.config.signer
        if item.outcome is Outcome.UNAUTHORIZED and signer is not None and signer.may_renew(self.memory.let_in_at):
            return Fault(RENEWAL, "token_refused", item.message)
        return Fault(item.outcome.value, item.reason, item.message, item.retry_after_s)

    def _note_trouble(self, item: ItemOutcome, now: float) -> None:
        """Count what must come many times before it means something."""
        memory = self.memory
        memory.is_troubled = True
        if item.status == FORBIDDEN:
            memory.forbidden_in_a_row += 1
            if item.outcome is Outcome.REJECTED and memory.forbidden_in_a_row >= FORBIDDEN_CALLS:
                self.fail(Fault(Outcome.UNAUTHORIZED.value, item.reason, item.message))
        else:
            memory.forbidden_in_a_row = 0
        is_not_found = item.status == NOT_FOUND and item.outcome is Outcome.REJECTED
        kind = item.reason if is_not_found or item.reason == SendError.DNS else ""
        streak = memory.streak = memory.streak.go_on(kind, now)
        if is_not_found and streak.has_lasted(now, NOT_FOUND_SECONDS, STREAK_CALLS):
            self.fail(Fault("circuit", item.reason, ADDRESS_GONE))
        elif not is_not_found and streak.has_lasted(now, DNS_SECONDS, STREAK_CALLS) and self._has_own_host():
            self.fail(Fault(Outcome.DISABLED.value, item.reason, NAME_GONE))

    def _has_own_host(self) -> bool:
        """Whether the owner named the host, and so may have named it wrongly."""
        return self.config.connector.allows_custom_host


STOPPING = {Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.DISABLED}
# By such an outcome the receiver has shown that it lets us in, but by these statuses; what speaks no HTTP has none.
ANSWERED = {Outcome.DELIVERED, Outcome.PENDING, Outcome.FILTERED, Outcome.REJECTED, Outcome.TOO_LARGE}
UNSAID = {FORBIDDEN, NOT_FOUND}
