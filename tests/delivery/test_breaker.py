"""The circuit breaker's arithmetic."""

from __future__ import annotations

import pytest

from hub.delivery.breaker import Window, probe_delay


def after(*calls: tuple[float, bool]) -> Window:
    window = Window()
    for at, is_failure in calls:
        window.record(at, is_failure)
    return window


def test_half_of_ten_calls_in_a_minute_opens() -> None:
    window = after(*[(n * 0.1, n % 2 == 0) for n in range(10)])
    assert window.should_open(1.0)


def test_half_of_nine_calls_does_not() -> None:
    window = after(*[(n * 0.1, n % 2 == 0) for n in range(9)])
    assert not window.should_open(1.0)


def test_a_fifth_of_many_calls_does_not() -> None:
    window = after(*[(n * 0.01, n % 5 == 0) for n in range(3_000)])
    assert not window.should_open(30.0)


def test_five_failures_without_a_success_for_ten_seconds_open() -> None:
    calls = [(n * 3.0, True) for n in range(5)]
    assert after(*calls).should_open(12.0)


def test_five_failures_within_ten_seconds_do_not_open_yet() -> None:
    calls = [(n * 1.0, True) for n in range(5)]
    assert not after(*calls).should_open(4.0)


def test_a_success_between_them_starts_the_count_anew() -> None:
    calls = [(0.0, True), (3.0, True), (6.0, False), (9.0, True), (12.0, True), (15.0, True)]
    assert not after(*calls).should_open(15.0)


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    window = after(*[(n * 0.1, True) for n in range(9)], (70.0, False))
    assert (window.calls, window.failures) == (1, 0)


@pytest.mark.parametrize(("reopened", "seconds"), [(0, 5), (1, 10), (2, 20), (5, 160), (6, 300), (50, 300)])
def test_probes_come_later_each_time_up_to_five_minutes(reopened: int, seconds: float) -> None:
    assert probe_delay(reopened, 1.0) == seconds
