"""What the chunks of one turn share: the rules in force, the lane, the fault that stops it, the sampling budget."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from connectors.http import ItemOutcome, Outcome
from hub.delivery.breaker import Window
from hub.delivery.config import Config
from hub.delivery.lanes import Lane
from hub.delivery.ordering import OrderBook

if TYPE_CHECKING:
    from hub.delivery.chunk import Chunk
    from hub.delivery.parts import Delivery

SUCCESSES_KEPT_A_MINUTE = 60
FORBIDDEN_CALLS = 10


@dataclass(slots=True)
class Fault:
    """Why a pipeline stops at its cursor: the outcome word or `circuit`, for how long, and the words for the owner."""

    kind: str
    reason: str
    message: str
    retry_after_s: float | None = None


@dataclass(slots=True)
class Limiter:
    """The owner's limit on calls, as a token bucket; one lease runs a pipeline at a time, so it needs no one else."""

    per_second: float
    tokens: float = 1.0
    filled_at: float = field(default_factory=monotonic)

    def has_token(self) -> bool:
        """Whether a call may be made now."""
        now = monotonic()
        burst = max(1.0, self.per_second / 10)
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        return self.tokens >= 1.0

    def wait_seconds(self) -> float:
        """How long until a token is there again; at once is 5 ms."""
        return 0.005 if self.has_token() else max(0.005, (1.0 - self.tokens) / self.per_second)


@dataclass(slots=True)
class Memory:
    """What a process remembers of a pipeline between its turns; losing it costs nothing but a fresh look."""

    config: Config | None = None
    limiter: Limiter | None = None
    window: Window = field(default_factory=Window)
    pauses: int = 0
    minute: int = 0
    successes_kept: int = 0
    forbidden_in_a_row: int = 0

    def keeps_success(self, now: float) -> bool:
        """Whether this success is among the first of its minute, which are kept in full."""
        if int(now // 60) != self.minute:
            self.minute, self.successes_kept = int(now // 60), 0
        self.successes_kept += 1
        return self.successes_kept <= SUCCESSES_KEPT_A_MINUTE


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
    fault: Fault | None = None
    is_probe: bool = False
    limiter: Limiter | None = None

    def may_call(self) -> bool:
        """Whether the owner's rate limit allows a call now."""
        return self.limiter is None or self.limiter.has_token()

    def count_call(self) -> None:
        """A call is being made."""
        if self.limiter is not None:
            self.limiter.tokens -= 1.0

    def fail(self, fault: Fault) -> None:
        """Stop the lane: no further call of this turn starts."""
        if self.fault is None:
            self.fault = fault
            self.stop()

    def is_locked_out(self, item: ItemOutcome) -> bool:
        """Whether a 403 is one of many in a row, so that the event is not to blame."""
        return item.status == 403 and self.fault is not None and self.fault.kind == Outcome.UNAUTHORIZED

    def note_success(self) -> None:
        """Calls went well; what they carried is delivered."""
        self.memory.window.record(monotonic(), is_failure=False)
        self.memory.forbidden_in_a_row = 0

    def judge(self, item: ItemOutcome) -> None:
        """See one outcome in the light of those before it.

        1. A refusal of everything (403 ten times in a row) is about the credentials, not about the event.
        2. A failure while half of all calls fail is the destination's, and costs the event no attempt.
        """
        window, now = self.memory.window, monotonic()
        is_failure = item.outcome is Outcome.RETRY
        window.record(now, is_failure)
        if item.status == 403:
            self.memory.forbidden_in_a_row += 1
            if item.outcome is Outcome.REJECTED and self.memory.forbidden_in_a_row >= FORBIDDEN_CALLS:
                self.fail(Fault(Outcome.UNAUTHORIZED.value, item.reason, item.message))
        else:
            self.memory.forbidden_in_a_row = 0
        if is_failure and (self.is_probe or window.should_open(now) or item.scope == "destination"):
            self.fail(Fault("circuit", item.reason, item.message, item.retry_after_s))
        elif item.outcome in STOPPING:
            self.fail(Fault(item.outcome.value, item.reason, item.message, item.retry_after_s))


STOPPING = {Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.DISABLED}
