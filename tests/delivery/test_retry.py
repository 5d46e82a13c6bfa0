"""The schedule of retries as tables: no clock, no chance but the one that is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hub.delivery.retry import RetryDecision, decide, pause

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def always(value: float) -> Callable[[], float]:
    return lambda: value


def after(
    failed_count: int = 1,
    *,
    age_s: float = 0.0,
    hours: float = 24.0,
    chance: float = 0.5,
    retry_after_s: float | None = None,
    heads_ordered_key: bool = False,
) -> RetryDecision | None:
    return decide(
        failed_count=failed_count,
        first_tried_at=START,
        now=START + timedelta(seconds=age_s),
        retry_hours=hours,
        chance=always(chance),
        retry_after_s=retry_after_s,
        heads_ordered_key=heads_ordered_key,
    )


def delay_of(decision: RetryDecision | None) -> float:
    assert decision is not None
    return decision.delay_s


@pytest.mark.parametrize(
    ("failed_count", "seconds"),
    [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 640), (8, 1280), (9, 2560), (10, 3600), (11, 3600)],
)
def test_each_failure_doubles_the_wait_up_to_an_hour(failed_count: int, seconds: float) -> None:
    assert delay_of(after(failed_count)) == seconds


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 20), (0.5, 40), (0.999, 59.96)])
def test_chance_spreads_a_wait_over_half_to_one_and_a_half_of_it(chance: float, seconds: float) -> None:
    assert delay_of(after(3, chance=chance)) == pytest.approx(seconds)


def test_no_number_of_failures_ends_an_event() -> None:
    assert delay_of(after(1_000_000)) == 3600


def test_the_moment_is_the_delay_from_now() -> None:
    assert after(1, age_s=60) == RetryDecision(START + timedelta(seconds=70), 10.0, is_quick=False)


@pytest.mark.parametrize("age_s", [24 * 3600, 24 * 3600 + 1, 10 * 24 * 3600])
def test_age_ends_an_event(age_s: float) -> None:
    assert after(1, age_s=age_s) is None


def test_the_last_try_falls_on_the_end_of_the_time_allowed() -> None:
    decision = after(12, age_s=23.5 * 3600)
    assert decision == RetryDecision(START + timedelta(hours=24), 1800.0, is_quick=False)


@pytest.mark.parametrize(("hours", "age_s", "is_over"), [(0.25, 899, False), (0.25, 900, True), (168, 604_799, False)])
def test_the_time_allowed_is_the_destinations_own(hours: float, age_s: float, is_over: bool) -> None:
    assert (after(3, hours=hours, age_s=age_s) is None) is is_over


@pytest.mark.parametrize(
    ("retry_after_s", "seconds"),
    [(None, 10), (0, 10), (3, 10), (30, 30), (3599, 3599), (3600, 3600), (86_400, 3600), (1e18, 3600)],
)
def test_retry_after_prevails_when_it_is_longer_and_an_hour_at_most(
    retry_after_s: float | None, seconds: float
) -> None:
    chances = iter([0.5, 0.0])
    decision = decide(
        failed_count=1,
        first_tried_at=START,
        now=START,
        retry_hours=24,
        chance=lambda: next(chances),
        retry_after_s=retry_after_s,
    )
    assert delay_of(decision) == seconds


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.999])
def test_what_the_receiver_asks_for_is_never_undercut_and_is_spread_a_fifth_at_most(chance: float) -> None:
    assert 100 <= delay_of(after(1, chance=chance, retry_after_s=100)) <= 120


def test_an_event_ends_when_the_receiver_asks_for_a_time_after_its_end() -> None:
    assert after(1, hours=0.25, age_s=600, retry_after_s=1200) is None


@pytest.mark.parametrize(
    ("failed_count", "seconds", "is_quick"),
    [(1, 0.2, True), (2, 1.0, True), (3, 3.0, True), (4, 10.0, False), (5, 20.0, False), (14, 3600.0, False)],
)
def test_the_head_of_an_ordered_key_has_three_quick_tries_first(
    failed_count: int, seconds: float, is_quick: bool
) -> None:
    decision = after(failed_count, heads_ordered_key=True)
    assert decision == RetryDecision(START + timedelta(seconds=seconds), seconds, is_quick)


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_quick_tries_are_spread_too(chance: float) -> None:
    assert delay_of(after(1, chance=chance, heads_ordered_key=True)) == pytest.approx(0.2 * (0.5 + chance))


def test_a_quick_try_waits_as_long_as_the_receiver_asks_and_is_then_no_longer_quick() -> None:
    decision = after(1, chance=0.0, heads_ordered_key=True, retry_after_s=60)
    assert decision == RetryDecision(START + timedelta(seconds=60), 60.0, is_quick=False)


def schedule(hours: float, chance: float) -> Iterator[float]:
    """The ages at which an event that always fails is tried."""
    age, count = 0.0, 0
    while True:
        yield age
        count += 1
        decision = after(count, age_s=age, hours=hours, chance=chance)
        if decision is None:
            return
        age += decision.delay_s


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_receiver_that_comes_back_at_the_last_moment_still_gets_the_event(chance: float) -> None:
    ages = list(schedule(24, chance))
    assert ages[-1] == pytest.approx(24 * 3600)
    assert ages == sorted(set(ages))


@pytest.mark.parametrize(
    ("pause_count", "retry_after_s", "seconds"),
    [
        (1, None, 10),
        (3, None, 40),
        (50, None, 3600),
        (1, 30, 30),
        (1, 7200, 7200),
        (1, 21_600, 21_600),
        (1, 1e9, 21_600),
    ],
)
def test_a_throttling_destination_is_left_alone_as_long_as_it_asks_and_six_hours_at_most(
    pause_count: int, retry_after_s: float | None, seconds: float
) -> None:
    chances = iter([0.5, 0.0])
    assert pause(pause_count=pause_count, chance=lambda: next(chances), retry_after_s=retry_after_s) == seconds
