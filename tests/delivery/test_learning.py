"""What refusals teach, and how it is forgotten again."""

from __future__ import annotations

import pytest

from hub.delivery.learning import NO_STREAK, Lessons, Streak, grown_batch, grown_rate

HOUR = 3_600.0


@pytest.mark.parametrize(
    ("minutes", "rate"), [(0, 35.0), (0.9, 35.0), (1, 38.5), (2.5, 42.35), (4, 51.24), (100_000, None)]
)
def test_a_lowered_rate_grows_a_tenth_each_clean_minute_up_to_the_limit(minutes: float, rate: float | None) -> None:
    lessons = Lessons(rate=grown_rate(35.0, minutes * 60), rate_before=50.0)
    expected = 50.0 if rate is None or rate > 50 else rate
    assert lessons.slowed(50.0) == pytest.approx(expected, abs=0.01)


def test_without_an_owners_limit_it_grows_to_what_was_seen_before_and_then_nothing_limits_it() -> None:
    assert Lessons(rate=79.0, rate_before=80.0).slowed(None) == 79.0
    assert Lessons(rate=80.0, rate_before=80.0).slowed(None) is None


def test_a_limit_that_the_owner_lowers_counts_at_once() -> None:
    assert Lessons(rate=35.0, rate_before=50.0).slowed(10.0) == 10.0


def test_what_was_never_refused_is_not_limited() -> None:
    assert Lessons().slowed(None) is None
    assert (grown_batch(None, None), grown_rate(None, None)) == (None, None)


@pytest.mark.parametrize(("hours", "items"), [(0, 25), (0.9, 25), (1, 28), (2, 30), (7, 49)])
def test_a_lowered_batch_grows_a_tenth_each_clean_hour(hours: float, items: int) -> None:
    assert grown_batch(25, hours * HOUR) == items


def test_a_batch_lowered_long_ago_limits_nothing() -> None:
    assert (grown_batch(1, 1e9) or 0) > 10**15


def test_a_streak_goes_on_while_calls_fail_alike() -> None:
    streak = NO_STREAK.go_on("dns", 10.0).go_on("dns", 20.0).go_on("dns", 30.0)
    assert streak == Streak("dns", 10.0, 3)


def test_a_streak_ends_with_another_answer_and_may_begin_anew() -> None:
    streak = Streak("dns", 10.0, 3)
    assert streak.go_on("", 40.0) == NO_STREAK
    assert streak.go_on("not_found", 40.0) == Streak("not_found", 40.0, 1)


@pytest.mark.parametrize(("now", "count", "has"), [(610.0, 5, True), (609.0, 5, False), (700.0, 4, False)])
def test_a_streak_has_lasted_by_time_and_by_calls(now: float, count: int, has: bool) -> None:
    assert Streak("not_found", 10.0, count).has_lasted(now, 600.0, 5) is has
