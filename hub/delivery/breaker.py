"""When a pipeline's circuit opens, when it is probed and how it closes. Pure: time comes in as seconds.

Thresholds are those of the field: half of at least ten calls in a minute, or five failures with no success for ten
seconds. "Five in a row" alone would open a circuit every three thousand calls at 20 % failures. A hundred in a row do
not come by chance: a busy destination that is gone need not fail for ten seconds, each call with a row of its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
MIN_CALLS = 10
FAILURE_SHARE = 0.5
SILENT_FAILURES = 5
SILENT_SECONDS = 10.0
FAILURES_IN_A_ROW = 100
FIRST_PROBE_SECONDS = 5.0
LONGEST_PROBE_SECONDS = 300.0
PROBES_TO_CLOSE = 3
# A receiver that has just come back is known to be shaky: fewer calls are enough to see that it went again. More of
# them must have failed, or two of four by chance would open the circuit of one that refuses a fifth again and again.
RAMP_MIN_CALLS = 4
RAMP_FAILURE_SHARE = 0.75
RAMP_STEP_SECONDS = 1.0
DEGRADED_SECONDS = 600.0
DEGRADED_SHARE = 0.25
DEGRADED_MIN_CALLS = 20


@dataclass(slots=True)
class Window:
    """The last minute's calls of one pipeline in this process, in buckets of a second, and what ten minutes were like.

    `past` holds the buckets that have left the minute; it is only read when a turn ends.
    """

    buckets: deque[list[float]] = field(default_factory=deque)
    past: deque[list[float]] = field(default_factory=deque)
    calls: int = 0
    failures: int = 0
    first_failure_at: float = 0.0
    failures_since_success: int = 0

    def record(self, now: float, is_failure: bool) -> None:
        """Count one call at `now`, in seconds of a monotonic clock."""
        if not self.buckets or now - self.buckets[-1][0] >= 1.0:
            self._expire(now)
            self.buckets.append([now, 0, 0])
        bucket = self.buckets[-1]
        bucket[1] += 1
        self.calls += 1
        if not is_failure:
            self.failures_since_success = 0
            return
        bucket[2] += 1
        self.failures += 1
        if not self.failures_since_success:
            self.first_failure_at = now
        self.failures_since_success += 1

    def should_open(self, now: float, *, is_ramping: bool = False) -> bool:
        """Whether so much failed lately that the destination, not the events, is at fault."""
        if self.failures_since_success >= SILENT_FAILURES and now - self.first_failure_at >= SILENT_SECONDS:
            return True
        if self.failures_since_success >= FAILURES_IN_A_ROW:
            return True
        if is_ramping and self.calls >= RAMP_MIN_CALLS and self.failures >= self.calls * RAMP_FAILURE_SHARE:
            return True
        return self.calls >= MIN_CALLS and self.failures >= self.calls * FAILURE_SHARE

    def is_degraded(self, now: float) -> bool:
        """Whether more than a quarter of ten minutes' calls failed: such a receiver belongs into the slow queue."""
        self._expire(now)
        calls = self.calls + sum(bucket[1] for bucket in self.past)
        failures = self.failures + sum(bucket[2] for bucket in self.past)
        return calls >= DEGRADED_MIN_CALLS and failures > calls * DEGRADED_SHARE

    def calls_a_second(self, now: float) -> float:
        """How fast calls were made lately: over the time that the minute's calls span, at least a second."""
        self._expire(now)
        return self.calls / max(1.0, now - self.buckets[0][0]) if self.buckets else 0.0

    def begin_anew(self) -> None:
        """Judge by what comes now; the ten minutes keep what was."""
        self.past.extend(self.buckets)
        self.buckets.clear()
        self.calls = self.failures = self.failures_since_success = 0

    def _expire(self, now: float) -> None:
        while self.buckets and now - self.buckets[0][0] > WINDOW_SECONDS:
            bucket = self.buckets.popleft()
            self.calls -= int(bucket[1])
            self.failures -= int(bucket[2])
            self.past.append(bucket)
        while self.past and now - self.past[0][0] > DEGRADED_SECONDS:
            self.past.popleft()


def probe_delay(reopened: int, jitter: float) -> float:
    """Seconds until the next probe after the circuit opened for the `reopened`-th time; jitter from 0.8 to 1.2."""
    return min(FIRST_PROBE_SECONDS * float(2 ** min(reopened, 10)), LONGEST_PROBE_SECONDS) * jitter


def ramp_doublings(before: int, good_calls: int, seconds: float) -> int:
    """How often a circuit that closes again has doubled its calls in flight, from one on.

    Each doubling needs a second and as many good calls as were in flight, counted from the `before` doublings that
    earlier turns had reached.
    """
    doublings, left = before, good_calls
    while doublings - before < int(seconds / RAMP_STEP_SECONDS) and left >= 2**doublings:
        left -= 2**doublings
        doublings += 1
    return doublings
