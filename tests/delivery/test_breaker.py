"""The circuit breaker's arithmetic."""

from __future__ import annotations

import pytest

from hub.delivery.breaker import Window, probe_delay, ramp_doublings


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


def test_a_hundred_failures_in_a_row_open_at_once_however_much_went_well_before() -> None:
    good = [(n * 0.01, False) for n in range(3_000)]
    assert not after(*good, *[(30.0, True)] * 99).should_open(30.0)
    assert after(*good, *[(30.0, True)] * 100).should_open(30.0)


def test_a_success_between_them_starts_the_count_anew() -> None:
    calls = [(0.0, True), (3.0, True), (6.0, False), (9.0, True), (12.0, True), (15.0, True)]
    assert not after(*calls).should_open(15.0)


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    window = after(*[(n * 0.1, True) for n in range(9)], (70.0, False))
    assert (window.calls, window.failures) == (1, 0)


@pytest.mark.parametrize(("reopened", "seconds"), [(0, 5), (1, 10), (2, 20), (5, 160), (6, 300), (50, 300)])
def test_probes_come_later_each_time_up_to_five_minutes(reopened: int, seconds: float) -> None:
    assert probe_delay(reopened, 1.0) == seconds


def test_a_circuit_that_ramps_opens_again_after_few_calls() -> None:
    window = after((0.0, False), (0.1, True), (0.2, True), (0.3, True))
    assert (window.should_open(1.0), window.should_open(1.0, is_ramping=True)) == (False, True)


def test_a_circuit_that_ramps_stays_closed_while_half_of_few_calls_fail() -> None:
    assert not after((0.0, False), (0.1, True), (0.2, True), (0.3, False)).should_open(1.0, is_ramping=True)


@pytest.mark.parametrize(
    ("before", "good_calls", "seconds", "doublings"),
    [
        (0, 0, 10.0, 0),
        (0, 1, 0.9, 0),
        (0, 1, 1.0, 1),
        (0, 2, 9.0, 1),
        (0, 3, 9.0, 2),
        (0, 63, 9.0, 6),
        (0, 1_000, 3.5, 3),
        (4, 15, 9.0, 4),
        (4, 16, 1.0, 5),
    ],
)
def test_calls_in_flight_double_each_second_once_as_many_have_gone_well(
    before: int, good_calls: int, seconds: float, doublings: int
) -> None:
    assert ramp_doublings(before, good_calls, seconds) == doublings


def test_more_than_a_quarter_of_failures_over_ten_minutes_is_degraded() -> None:
    window = after(*[(n * 5.0, n % 3 == 0) for n in range(110)])
    assert window.is_degraded(550.0)
    assert not window.should_open(550.0)


def test_a_quarter_is_not_yet() -> None:
    assert not after(*[(n * 5.0, n % 4 == 0) for n in range(100)]).is_degraded(500.0)


def test_a_handful_of_failures_is_not_degraded() -> None:
    assert not after(*[(n * 5.0, True) for n in range(19)]).is_degraded(100.0)


def test_what_is_older_than_ten_minutes_no_longer_degrades() -> None:
    window = after(*[(n * 1.0, True) for n in range(60)])
    assert window.is_degraded(100.0)
    assert not window.is_degraded(700.0)


def test_beginning_anew_forgets_the_minute_and_keeps_the_ten() -> None:
    window = after(*[(n * 1.0, True) for n in range(30)])
    window.begin_anew()
    assert (window.calls, window.should_open(40.0), window.is_degraded(40.0)) == (0, False, True)


def test_calls_a_second_are_those_of_the_time_they_span() -> None:
    assert after(*[(n * 0.1, False) for n in range(100)]).calls_a_second(10.0) == pytest.approx(10.0)
    assert after((5.0, False)).calls_a_second(5.1) == 1.0
    assert Window().calls_a_second(1.0) == 0.0
