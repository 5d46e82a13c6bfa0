"""Rate limits on calls to a destination: one bucket for all its shards and all workers, kept in Valkey.

GCRA: the bucket is one number, the time at which it will be full again. A script grants tokens in small blocks by the
server's clock; between blocks, taking a token costs the sender's thread two comparisons. When Valkey does not answer
within 0.2 s, each process goes on with a bucket of its own and its share of the limit: slower, never unlimited.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor
from time import monotonic
from typing import Protocol, cast
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.observability import log, metrics

VALKEY_SECONDS = 0.2
AWAY_SECONDS = 1.0
BURST_SECONDS = 0.1
BLOCK_SECONDS = 0.05
TOP_UP_SECONDS = 0.02
SHORTEST_WAIT_SECONDS = 0.005
# Buckets of this process's own, for the time that Valkey is away.
BUCKETS_KEPT = 5_000
logger = log.get(__name__)

# KEYS: the bucket. ARGV: seconds per token, tokens of a burst, tokens wanted (negative: given back).
# Gives the tokens granted and the seconds until the next one is there.
GCRA = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local room = math.floor((now - full_at) / interval + burst + 0.000001)
local granted = math.min(wanted, room)
if wanted > 0 then granted = math.max(granted, 0) else granted = wanted end
full_at = full_at + granted * interval
local left = full_at - now
if left > 0 then
    redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', math.ceil(left * 1000) + 1000)
else
    redis.call('DEL', KEYS[1])
end
return {granted, string.format('%.6f', math.max(0, left - (burst - 1) * interval))}
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bucket gave, and how long until it has another token."""

    tokens: int
    wait_seconds: float


class Store(Protocol):
    """Where the shared buckets are."""

    def take(self, key: str, interval: float, burst: float, wanted: int) -> Grant:
        """Take up to `wanted` tokens, or give back when it is negative. Raises RedisError when it does not answer."""


class Valkey:
    """The shared buckets, each call answered or given up within 0.2 s."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=VALKEY_SECONDS,
            socket_connect_timeout=VALKEY_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._script = self._client.register_script(GCRA)

    def take(self, key: str, interval: float, burst: float, wanted: int) -> Grant:
        granted, wait = cast(tuple[int, bytes], self._script(keys=[key], args=[repr(interval), repr(burst), wanted]))
        return Grant(int(granted), float(wait))


@dataclass(slots=True)
class Bucket:
    """The same bucket without Valkey, for one process."""

    full_at: float = 0.0

    def take(self, now: float, interval: float, burst: float, wanted: int) -> Grant:
        full_at = max(self.full_at, now)
        room = floor((now - full_at) / interval + burst + 1e-6)
        granted = wanted if wanted < 0 else max(0, min(wanted, room))
        self.full_at = full_at + granted * interval
        return Grant(granted, max(0.0, self.full_at - now - (burst - 1) * interval))


@dataclass(slots=True)
class Limits:
    """The buckets of every destination, as one worker process sees them. Callable from any task thread."""

    store: Store | None
    clock: Callable[[], float] = monotonic
    _away_until: float = 0.0
    _buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def limiter(self, workspace_id: UUID, destination_id: UUID, per_second: float, worker_count: int = 1) -> Limiter:
        """What a turn asks before each call of this destination."""
        return Limiter(self, f"headwater:rate:{workspace_id}:{destination_id}", per_second, worker_count)

    def take(self, key: str, per_second: float, worker_count: int, wanted: int) -> Grant:
        """Take tokens from the shared bucket; from this process's own while Valkey is away."""
        if self.store is not None and self.clock() >= self._away_until:
            try:
                return self.store.take(key, 1 / per_second, burst_of(per_second), wanted)
            except redis.RedisError as error:
                self._away_until = self.clock() + AWAY_SECONDS
                metrics.limiter_fallbacks.inc()
                logger.warning("rate_limits_local", error=type(error).__name__)
        share = per_second / max(1, worker_count)
        with self._lock:
            bucket = self._buckets.pop(key, None) or Bucket()
            self._buckets[key] = bucket
            if len(self._buckets) > BUCKETS_KEPT:
                self._buckets.popitem(last=False)
            return bucket.take(self.clock(), 1 / share, burst_of(share), wanted)


def burst_of(per_second: float) -> float:
    """How many calls may come at once: a tenth of a second's, at least one.

    The rest makes up for looking only now and then, which would else cost a part of every interval.
    """
    return max(1.0, per_second * BURST_SECONDS) + per_second * TOP_UP_SECONDS


class Limiter:
    """One turn's tokens. The task thread grants them, the sender's thread takes them; each counts for itself.

    Nothing is locked: either side only adds to a number of its own and reads the other's.
    """

    __slots__ = ("_granted", "_limits", "_next_at", "_taken", "key", "per_second", "worker_count")

    def __init__(self, limits: Limits, key: str, per_second: float, worker_count: int) -> None:
        self._limits = limits
        self._granted = self._taken = 0
        self._next_at = 0.0
        self.key = key
        self.per_second = per_second
        self.worker_count = worker_count

    def has_token(self) -> bool:
        """Whether a call may be made now."""
        return self._granted > self._taken

    def take(self, cost: int = 1) -> None:
        """A call is being made. One that costs more than is there leaves a debt, which the next tokens pay first."""
        self._taken += cost

    def top_up(self) -> bool:
        """Fetch tokens when they run low; true when there are some again after there were none."""
        now = self._limits.clock()
        left = self._granted - self._taken
        block = max(1, int(self.per_second * BLOCK_SECONDS))
        if left > block // 2 or now < self._next_at:
            return False
        grant = self._limits.take(self.key, self.per_second, self.worker_count, block - min(left, 0))
        self._granted += grant.tokens
        if grant.tokens == 0:
            self._next_at = now + grant.wait_seconds
        # What was taken while they were fetched counts: a sender that found none left looks no more until it is told.
        return self._granted - grant.tokens <= self._taken < self._granted

    def wait_seconds(self) -> float:
        """How long until a token is there again; while there are some, how soon to look after more."""
        if self.has_token():
            return TOP_UP_SECONDS
        missing = self._taken - self._granted
        wait = max(0.0, self._next_at - self._limits.clock()) + missing / self.per_second
        return max(SHORTEST_WAIT_SECONDS, wait)

    def give_back(self) -> None:
        """Return what the turn did not use, so that many short turns are not slowed by each other."""
        left = self._granted - self._taken
        if left > 0:
            self._granted -= left
            self._limits.take(self.key, self.per_second, self.worker_count, -left)
