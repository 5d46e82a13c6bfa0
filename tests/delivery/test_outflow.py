"""What a pipeline sends now, from recorded series of commits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import pytest

from hub.delivery.outflow import Commit, measure


def series(rate: float, newest: float, oldest: float, every: float = 0.2) -> list[Commit]:
    """Commits of a steady pace between two ages, the newest first."""
    count = round((oldest - newest) / every)
    return [Commit(newest + place * every, round(rate * every)) for place in range(count + 1)]


def rate(*parts: Iterable[Commit]) -> float:
    found = measure(list(chain(*parts)))
    assert found is not None
    return found.per_second


def test_a_steady_pace_is_told_as_it_is() -> None:
    assert rate(series(1_000, 0.1, 15)) == pytest.approx(1_000, rel=0.01)


def test_the_last_seconds_count_and_what_was_before_is_forgotten() -> None:
    assert rate(series(500, 0.1, 10.5), series(5_000, 10.7, 15)) == pytest.approx(500, rel=0.02)


def test_a_drain_that_began_five_seconds_ago_is_not_taken_for_the_load_before_the_outage() -> None:
    ramp = [Commit(4.8, 4), Commit(4.9, 2), Commit(5.0, 1)]
    before = series(300, 9.0, 15)
    assert rate(series(2_000, 0.1, 4.6), ramp, before) == pytest.approx(2_000, rel=0.02)


def test_probes_that_lie_seconds_apart_are_no_pace() -> None:
    assert measure([Commit(1.0, 1), Commit(6.0, 1), Commit(13.0, 1)]) is None


def test_the_first_seconds_after_a_pause_say_too_little() -> None:
    assert measure(series(2_000, 0.1, 3.5)) is None


def test_who_has_stopped_has_no_pace() -> None:
    assert measure(series(2_000, 3.5, 15)) is None
    assert measure([]) is None


def test_large_commits_that_come_slowly_are_not_counted_for_more_than_their_time() -> None:
    """A rate limit of 100 a second, sent as 200 every two seconds: whatever the moment of the look."""
    for offset in (0.0, 0.7, 1.9):
        assert rate(series(100, offset, 14.0 + offset, every=2.0)) == pytest.approx(100, rel=0.01)


def test_pauses_between_turns_belong_to_the_pace() -> None:
    turns = chain.from_iterable(series(800, start, start + 1.8) for start in (0.2, 4.0, 7.8, 11.6))
    assert rate(turns) == pytest.approx(800 * 2.0 / 3.8, rel=0.2)
