"""Token buckets, kept in the process: each web process grants its share of a limit, and nothing is asked of a server.

A batch costs as many tokens as it has events and is let in whole while the bucket is not empty; the debt it leaves
is paid by those who come after. So a batch larger than the bucket passes at times instead of never.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BURST_SECONDS = 1.0
# What is limited, which one of them, and how many events a second (None: no limit).
Limit = tuple[str, str, int | None]


@dataclass(slots=True)
class Bucket:
    """Tokens of one key, source, workspace or address."""

    rate: float
    tokens: float
    filled_at: float

    def fill(self, rate: float, now: float) -> None:
        """Add what has come in since; a changed limit counts from now on."""
        self.rate = rate
        room = max(1.0, rate * BURST_SECONDS)
        self.tokens = min(room, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now

    def wait_seconds(self, cost: int) -> float:
        """How long until `cost` tokens, or a full bucket, are there; 0 when they are."""
        needed = min(float(cost), max(1.0, self.rate * BURST_SECONDS))
        return max(0.0, (needed - self.tokens) / self.rate)


class Limits:
    """The buckets of one process. `share` is the part of each limit that this process may grant."""

    def __init__(self, share: float = 1.0, size: int = 20_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._size = size
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def take(self, cost: int, limits: Iterable[Limit]) -> int:
        """Take `cost` tokens from each limited bucket, or from none. Returns whole seconds to wait, 0 when granted."""
        buckets = self._of(limits)
        wait = max((bucket.wait_seconds(cost) for bucket in buckets), default=0.0)
        if wait > 0:
            return max(1, math.ceil(wait))
        for bucket in buckets:
            bucket.tokens -= cost
        return 0

    def wait(self, cost: int, limits: Iterable[Limit]) -> int:
        """What `take` would say, without taking."""
        wait = max((bucket.wait_seconds(cost) for bucket in self._of(limits)), default=0.0)
        return max(1, math.ceil(wait)) if wait > 0 else 0

    def _of(self, limits: Iterable[Limit]) -> list[Bucket]:
        now = self._clock()
        return [self._filled((kind, name), rate * self._share, now) for kind, name, rate in limits if rate is not None]

    def _filled(self, name: tuple[str, str], rate: float, now: float) -> Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._size:
                self._forget_full(now)
            bucket = self._buckets[name] = Bucket(rate, max(1.0, rate * BURST_SECONDS), now)
        bucket.fill(rate, now)
        return bucket

    def _forget_full(self, now: float) -> None:
        """Make room: a bucket that has filled up again says nothing that a new one would not."""
        for name, bucket in list(self._buckets.items()):
            bucket.fill(bucket.rate, now)
            if bucket.tokens >= max(1.0, bucket.rate * BURST_SECONDS):
                self._buckets.pop(name, None)
        if len(self._buckets) >= self._size:
            self._buckets.clear()


class PerMinute:
    """Counts in whole minutes, for what may happen so many times a minute and is simply left out beyond."""

    def __init__(self, allowed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._minute = 0
        self._counts: dict[str, int] = {}

    def allow(self, name: str) -> bool:
        """Whether it may happen once more for `name`; counts it when it may."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(name, 0)
        if count >= self._allowed:
            return False
        self._counts[name] = count + 1
        return True
