from __future__ import annotations

import pytest

from hub.ingest.limits import Limits, PerMinute


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_limit_is_granted_a_second_and_refills_with_time(clock: Clock) -> None:
    limits = Limits(clock=clock)
    assert [limits.take(1, [("key", "k", 3)]) for _ in range(4)] == [0, 0, 0, 1]
    clock.now += 0.34
    assert [limits.take(1, [("key", "k", 3)]) for _ in range(2)] == [0, 1]


def test_a_batch_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt(clock: Clock) -> None:
    limits = Limits(clock=clock)
    assert limits.take(25, [("source", "s", 10)]) == 0
    assert limits.take(1, [("source", "s", 10)]) == 2
    clock.now += 1.6
    assert limits.take(1, [("source", "s", 10)]) == 0


def test_the_share_of_a_process_is_a_part_of_the_limit(clock: Clock) -> None:
    limits = Limits(share=0.5, clock=clock)
    assert [limits.take(1, [("key", "k", 4)]) for _ in range(3)] == [0, 0, 1]


def test_a_refusal_by_one_limit_costs_the_others_nothing(clock: Clock) -> None:
    limits = Limits(clock=clock)
    both = [("key", "k", 1), ("workspace", "w", 2)]
    assert [limits.take(1, both), limits.take(1, both)] == [0, 1]
    assert limits.take(1, [("workspace", "w", 2)]) == 0


def test_what_has_no_limit_is_never_refused(clock: Clock) -> None:
    assert Limits(clock=clock).take(1_000_000, [("key", "k", None)]) == 0


def test_names_are_apart(clock: Clock) -> None:
    limits = Limits(clock=clock)
    assert [limits.take(1, [(kind, name, 1)]) for kind, name in (("key", "a"), ("key", "b"), ("source", "a"))] == [
        0
    ] * 3


def test_a_changed_limit_counts_from_now_on(clock: Clock) -> None:
    limits = Limits(clock=clock)
    limits.take(10, [("key", "k", 10)])
    clock.now += 1
    assert [limits.take(1, [("key", "k", 1)]) for _ in range(2)] == [0, 1]


def test_old_buckets_make_room_for_new_ones(clock: Clock) -> None:
    limits = Limits(size=10, clock=clock)
    for number in range(1_000):
        clock.now += 1
        limits.take(1, [("address", str(number), 1)])
    assert len(limits._buckets) <= 10


def test_so_many_a_minute_and_no_more(clock: Clock) -> None:
    budget = PerMinute(2, clock)
    assert [budget.allow("s") for _ in range(3)] == [True, True, False]
    assert budget.allow("other")
    clock.now += 60
    assert budget.allow("s")
