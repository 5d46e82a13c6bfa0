"""When a pipeline's circuit opens, when it is probed and how it closes. Pure: time comes in as seconds.

Thresholds are those of the field: half of at least ten calls in a minute, or five failures with no success for ten
seconds. "Five in a row" alone would open a circuit every three thousand calls at 20 % failures.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
MIN_CALLS = 10
FAILURE_SHARE = 0.5
SILENT_FAILURES = 5
SILENT_SECONDS = 10.0
FIRST_PROBE_SECONDS = 5.0
LONGEST_PROBE_SECONDS = 300.0
PROBES_TO_CLOSE = 3


@dataclass(slots=True)
class Window:
    """The last minute's calls of one pipeline in this process, in buckets of a second."""

    buckets: deque[list[float]] = field(default_factory=deque)
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

    def should_open(self, now: float) -> bool:
        """Whether so much failed lately that the destination, not the events, is at fault."""
        if self.failures_since_success >= SILENT_FAILURES and now - self.first_failure_at >= SILENT_SECONDS:
            return True
        return self.calls >= MIN_CALLS and self.failures >= self.calls * FAILURE_SHARE

    def _expire(self, now: float) -> None:
        while self.buckets and now - self.buckets[0][0] > WINDOW_SECONDS:
            _, calls, failures = self.buckets.popleft()
            self.calls -= int(calls)
            self.failures -= int(failures)


def probe_delay(reopened: int, jitter: float) -> float:
    """Seconds until the next probe after the circuit opened for the `reopened`-th time; jitter from 0.8 to 1.2."""
    return min(FIRST_PROBE_SECONDS * float(2 ** min(reopened, 10)), LONGEST_PROBE_SECONDS) * jitter
