"""Rate limits: one bucket for everybody, its share when Valkey is away, and never more than the limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
import redis
from django.conf import settings

from hub.delivery.limits import AWAY_SECONDS, Bucket, Grant, Limiter, Limits, Valkey, burst_of

WORKSPACE = UUID(int=1)


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Absent:
    """A Valkey that does not answer; `calls` counts who waited for it."""

    def __init__(self) -> None:
        self.calls = 0

    def take(self, key: str, interval: float, burst: float, wanted: int) -> Grant:
        self.calls += 1
        raise redis.TimeoutError


def drawn(limiter: Limiter, clock: Hands, seconds: float, step: float = 0.01) -> int:
    """How many calls a greedy sender makes in that time."""
    count = 0
    for _ in range(round(seconds / step)):
        limiter.top_up()
        while limiter.has_token():
            limiter.take()
            limiter.top_up()
            count += 1
        clock.now += step
    return count


def local(per_second: float, clock: Hands, worker_count: int = 1) -> Limiter:
    return Limits(None, clock).limiter(WORKSPACE, uuid4(), per_second, worker_count)


class Slow:
    """A Valkey whose answers take a while, in which the sender goes on."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None

    def take(self, key: str, interval: float, burst: float, wanted: int) -> Grant:
        self.meanwhile()
        return Grant(max(wanted, 0), 0.0)


@pytest.fixture
def valkey() -> Valkey:
    return Valkey(settings.REDIS_URL)


@pytest.mark.parametrize("per_second", [0.5, 1.0, 7.0, 100.0, 5_000.0])
def test_over_ten_seconds_no_more_calls_are_made_than_the_limit_and_one_burst(per_second: float) -> None:
    clock = Hands()
    count = drawn(local(per_second, clock), clock, 10.0)
    assert per_second * 10 * 0.95 - 1 <= count <= per_second * 10 + burst_of(per_second)


def test_without_valkey_each_of_four_workers_has_a_quarter() -> None:
    clock = Hands()
    counts = [drawn(local(100.0, clock, worker_count=4), clock, 2.0) for _ in range(4)]
    assert 180 <= sum(counts) <= 200 + 4 * burst_of(25.0)


def test_shards_of_a_destination_in_one_process_share_its_bucket() -> None:
    clock, destination = Hands(), uuid4()
    limits = Limits(None, clock)
    shards = [limits.limiter(WORKSPACE, destination, 10.0) for _ in range(4)]
    granted = 0
    for shard in shards:
        shard.top_up()
        granted += shard.has_token()
    assert granted == 1


def test_other_destinations_do_not_share_it() -> None:
    clock = Hands()
    limits = Limits(None, clock)
    limiters = [limits.limiter(WORKSPACE, uuid4(), 10.0) for _ in range(4)]
    assert all(limiter.top_up() for limiter in limiters)


def test_a_call_that_costs_more_than_there_is_leaves_a_debt_that_is_paid_first() -> None:
    clock = Hands()
    limiter = local(10.0, clock)
    limiter.top_up()
    limiter.take(20)
    assert not limiter.has_token()
    assert limiter.wait_seconds() == pytest.approx(2.0, abs=0.2)
    assert 4.5 <= drawn(limiter, clock, 2.5) <= 6.5


def test_what_a_turn_leaves_over_is_the_next_ones() -> None:
    clock = Hands()
    limits, destination = Limits(None, clock), uuid4()
    first = limits.limiter(WORKSPACE, destination, 100.0)
    first.top_up()
    first.take()
    first.give_back()
    second = limits.limiter(WORKSPACE, destination, 100.0)
    drawn_at_once = 0
    while second.top_up() or second.has_token():
        second.take()
        drawn_at_once += 1
    assert drawn_at_once == int(burst_of(100.0)) - 1


def test_a_limiter_without_tokens_says_how_long_to_wait() -> None:
    clock = Hands()
    limiter = local(0.5, clock)
    limiter.top_up()
    limiter.take()
    limiter.top_up()
    assert limiter.wait_seconds() == pytest.approx(2.0, abs=0.1)


def test_a_valkey_that_is_away_is_not_asked_again_for_a_second() -> None:
    clock, store = Hands(), Absent()
    limits = Limits(store, clock)
    for _ in range(5):
        limits.take("key", 100.0, 1, 1)
    assert store.calls == 1
    clock.now += AWAY_SECONDS
    limits.take("key", 100.0, 1, 1)
    assert store.calls == 2


def test_without_valkey_the_limit_still_holds() -> None:
    clock = Hands()
    limiter = Limits(Absent(), clock).limiter(WORKSPACE, uuid4(), 10.0)
    assert drawn(limiter, clock, 5.0) <= 50 + burst_of(10.0)


def test_a_valkey_that_cannot_be_reached_costs_no_longer_than_its_time_limit() -> None:
    limits = Limits(Valkey("redis://127.0.0.1:1/0"))
    assert limits.take("key", 10.0, 1, 1).tokens == 1


def test_two_processes_share_one_bucket_in_valkey(valkey: Valkey) -> None:
    key = f"headwater:rate:test:{uuid4()}"
    other = Valkey(settings.REDIS_URL)
    granted = [store.take(key, 10.0, 5.0, 3).tokens for store in (valkey, other, valkey)]
    assert granted == [3, 2, 0]


def test_valkey_says_when_the_next_token_is_there(valkey: Valkey) -> None:
    key = f"headwater:rate:test:{uuid4()}"
    assert valkey.take(key, 10.0, 1.0, 1).tokens == 1
    refused = valkey.take(key, 10.0, 1.0, 1)
    assert refused.tokens == 0
    assert 5.0 < refused.wait_seconds <= 10.0


def test_tokens_given_back_to_valkey_can_be_taken_again(valkey: Valkey) -> None:
    key = f"headwater:rate:test:{uuid4()}"
    valkey.take(key, 10.0, 5.0, 5)
    valkey.take(key, 10.0, 5.0, -2)
    assert valkey.take(key, 10.0, 5.0, 5).tokens == 2


def test_a_bucket_that_is_full_again_leaves_nothing_in_valkey(valkey: Valkey) -> None:
    key = f"headwater:rate:test:{uuid4()}"
    client = redis.Redis.from_url(settings.REDIS_URL)
    valkey.take(key, 100.0, 5.0, 1)
    assert 0 < client.pttl(key) <= 101_000
    valkey.take(key, 100.0, 5.0, -1)
    assert client.exists(key) == 0
    client.close()


@pytest.mark.parametrize("burst", [1.0, 2.5, 10.0])
def test_the_bucket_of_a_process_grants_what_valkeys_would(valkey: Valkey, burst: float) -> None:
    key, own = f"headwater:rate:test:{uuid4()}", Bucket()
    asked = [1, 3, 5, -1, 1, 20]
    there = [valkey.take(key, 1_000.0, burst, wanted).tokens for wanted in asked]
    assert there == [own.take(50.0, 1_000.0, burst, wanted).tokens for wanted in asked]


def test_threads_that_take_at_once_are_never_granted_more_than_there_is() -> None:
    clock, granted = Hands(), []
    limits, destination = Limits(None, clock), uuid4()

    def take() -> None:
        limiter = limits.limiter(WORKSPACE, destination, 1_000.0)
        while limiter.top_up() or limiter.has_token():
            limiter.take()
            granted.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == burst_of(1_000.0)


def test_a_sender_that_ran_out_while_tokens_were_fetched_is_told_of_them() -> None:
    store = Slow()
    limiter = Limits(store, Hands()).limiter(WORKSPACE, uuid4(), 100.0)
    assert limiter.top_up()
    limiter.take(4)
    store.meanwhile = limiter.take  # the last of five
    assert limiter.top_up()
    assert limiter.has_token()
