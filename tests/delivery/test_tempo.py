"""How quick a turn is shows only while more waits than it may send."""

from __future__ import annotations

import pytest

from hub.delivery.tempo import Tempo


def test_a_turn_that_was_full_from_its_beginning_counts_whole_with_the_waits_around_it() -> None:
    tempo = Tempo(began_at=100.0, waited=1.0)
    for second in range(1, 5):
        tempo.look(100.0 + second, second * 200, is_full=True)
    tempo.end(106.0, 1_000, wait=3.0)
    assert tempo.full_rate == pytest.approx(1_000 / (1 + 6 + 3))


def test_a_turn_that_only_keeps_up_with_what_comes_in_was_never_full() -> None:
    tempo = Tempo(began_at=100.0)
    for second in range(1, 20):
        tempo.look(100.0 + second, second * 300, is_full=False)
    tempo.end(120.0, 6_000, wait=0.0)
    assert tempo.full_rate is None


def test_of_a_turn_that_catches_up_only_the_full_stretches_count() -> None:
    tempo = Tempo(began_at=0.0)
    tempo.look(1.0, 100, is_full=False)
    tempo.look(2.0, 200, is_full=True)
    tempo.look(4.0, 2_200, is_full=False)
    tempo.look(14.0, 2_500, is_full=True)
    tempo.look(15.0, 3_500, is_full=False)
    tempo.end(30.0, 4_000, wait=0.0)
    assert tempo.full_rate == pytest.approx(1_000.0)


def test_a_moment_is_too_short_to_tell() -> None:
    tempo = Tempo(began_at=0.0)
    tempo.look(0.5, 100, is_full=True)
    tempo.look(0.9, 900, is_full=False)
    tempo.end(5.0, 900, wait=0.0)
    assert tempo.full_rate is None


def test_busy_is_from_when_events_are_handed_out_until_none_is_under_way() -> None:
    tempo = Tempo(began_at=0.0)
    tempo.look(1.0, 0, is_full=False, is_busy=False)
    tempo.look(2.0, 90, is_full=False, is_busy=True)
    tempo.look(2.1, 120, is_full=False, is_busy=True)
    tempo.look(2.2, 120, is_full=False, is_busy=False)
    tempo.look(8.0, 180, is_full=False, is_busy=True)
    tempo.end(8.1, 180, wait=5.0)
    assert tempo.busy_rate(5_000.0) == pytest.approx(180 / 0.3)


def test_of_a_few_events_nothing_can_be_told() -> None:
    tempo = Tempo(began_at=0.0)
    tempo.look(2.0, 60, is_full=False, is_busy=True)
    tempo.look(2.1, 60, is_full=False, is_busy=False)
    assert tempo.busy_rate(5_000.0) is None


def many_stretches(tempo: Tempo, costs: float, each: float) -> None:
    now, sent = 0.0, 0
    for number in range(60):
        count = 10 + number % 4 * 10
        tempo.look(now + 1, sent + count, is_full=False, is_busy=True)
        now, sent = now + 1 + costs + count * each, sent + count
        tempo.look(now, sent, is_full=False, is_busy=False)
    tempo.end(now, sent, wait=0.0)


def test_what_a_stretch_costs_by_itself_is_not_taken_for_the_cost_of_its_events() -> None:
    tempo = Tempo(began_at=0.0)
    many_stretches(tempo, costs=0.02, each=0.001)
    assert tempo.busy_rate(5_000.0) == pytest.approx(1_000.0, rel=0.01)


def test_no_guess_is_higher_than_what_its_calls_could_carry() -> None:
    tempo = Tempo(began_at=0.0)
    many_stretches(tempo, costs=0.05, each=0.00001)
    assert tempo.busy_rate(1_280.0) == pytest.approx(1_280.0)


def test_stretches_that_are_all_alike_tell_their_own_pace() -> None:
    tempo = Tempo(began_at=0.0)
    for number in range(40):
        tempo.look(number + 0.0, number * 10 + 10, is_full=False, is_busy=True)
        tempo.look(number + 0.1, number * 10 + 10, is_full=False, is_busy=False)
    tempo.end(40.0, 400, wait=0.0)
    assert tempo.busy_rate(5_000.0) == pytest.approx(100.0)
