from __future__ import annotations

from typing import Any, cast

import pytest

from hub.delivery.lanes import Lane, Seat
from hub.lib.net import Answer, Gate, Wire

GOOD = Answer(200, duration_ms=5.0)
TIMEOUT = Answer(0, "timeout", duration_ms=15_000.0)


def make_lane(*answers: Answer, max_in_flight: int = 64, probing: bool = False) -> Lane:
    lane = Lane(cast(Any, None), "pipeline", max_in_flight, probing)
    lane.seats.append(Seat(lane, cast(Any, None)))
    for answer in answers:
        lane.record(answer)
    return lane


def places(lane: Lane) -> int:
    """How many calls the lane would start."""
    wires = iter([cast(Wire, object()) for _ in range(200)])
    while lane.is_ready():
        lane.flying.add(next(wires))
    return len(lane.flying)


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ([], 2),
        ([GOOD], 4),
        ([GOOD] * 3, 16),
        ([GOOD] * 50, 64),
        ([Answer(500)] * 50, 2),
        ([Answer(401)] * 50, 2),
        ([TIMEOUT] * 50, 2),
        ([GOOD] * 50 + [TIMEOUT], 32),
        ([GOOD] * 50 + [TIMEOUT] * 50, 2),
        ([GOOD] * 50 + [Answer(503, duration_ms=5.0)] * 50, 64),
    ],
)
def test_a_lane_opens_with_success_and_closes_with_broken_calls(answers: list[Answer], count: int) -> None:
    assert places(make_lane(*answers)) == count


def test_a_lane_never_exceeds_its_limit_and_always_has_one_place() -> None:
    assert places(make_lane(*[GOOD] * 50, max_in_flight=5)) == 5
    assert places(make_lane(max_in_flight=0)) == 1


def test_a_lowered_limit_acts_at_once() -> None:
    lane = make_lane(*[GOOD] * 50)
    lane.max_in_flight = 3
    assert places(lane) == 3


@pytest.mark.parametrize(
    ("answers", "is_slow"),
    [
        ([], True),
        ([GOOD] * 19, True),
        ([GOOD] * 20, False),
        ([GOOD] * 19 + [TIMEOUT] + [GOOD] * 19, True),
        ([Answer(200, duration_ms=600.0)] * 100, True),
        ([Answer(200, duration_ms=200.0)] * 100, True),
        ([Answer(503, duration_ms=5.0)] * 20, False),
        ([GOOD] * 20 + [Answer(200, duration_ms=200.0)] * 3, False),
        ([GOOD] * 20 + [Answer(200, duration_ms=200.0)] * 10, True),
    ],
)
def test_a_lane_is_fast_while_its_answers_are_quick(answers: list[Answer], is_slow: bool) -> None:
    assert make_lane(*answers).starts_slow() is is_slow


def test_a_probing_lane_stays_slow() -> None:
    assert make_lane(*[GOOD] * 50, probing=True).starts_slow()


@pytest.mark.parametrize(("age_seconds", "is_slow"), [(0.9, False), (1.1, True)])
def test_a_call_under_way_for_over_a_second_makes_its_lane_slow(age_seconds: float, is_slow: bool) -> None:
    lane, wire = make_lane(*[GOOD] * 50), Wire(Gate())
    wire.started_at = 100.0
    lane.flying.add(wire)
    lane.look(100.0 + age_seconds)
    assert lane.is_slow is is_slow
    wire.close()


def test_a_lane_fails_until_its_next_success() -> None:
    lane = make_lane(Answer(500))
    assert lane.is_failing
    lane.record(GOOD)
    assert not lane.is_failing
