"""Turns between those who wait: nobody stands behind more than a bounded share of a neighbour's work."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hub.ingest.lanes import TURN_BYTES, Lanes, Room, cost_of


@dataclass(frozen=True, slots=True)
class Parcel:
    lane: str
    name: int
    size: int = 100
    events: int = 1


def filled(*parcels: Parcel) -> Lanes[Parcel]:
    lanes: Lanes[Parcel] = Lanes()
    for parcel in parcels:
        lanes.put(parcel)
    return lanes


def test_who_sends_little_is_in_the_next_round_however_much_waits_before_it() -> None:
    loud = [Parcel("loud", number, size=TURN_BYTES // 2, events=100) for number in range(50)]
    taken = filled(*loud, Parcel("quiet", 0)).take(300, 10 * TURN_BYTES)
    assert Parcel("quiet", 0) in taken
    assert sum(parcel.events for parcel in taken) <= 300


def test_what_room_others_leave_is_filled_by_whoever_has_more() -> None:
    lanes = filled(*(Parcel("loud", number) for number in range(50)), Parcel("quiet", 0))
    assert len(lanes.take(1_000, 10 * TURN_BYTES)) == 51
    assert (lanes.waiting, lanes.events) == (0, 0)


def test_two_who_send_much_get_about_as_much_as_each_other() -> None:
    first = [Parcel("first", number, size=20_000) for number in range(100)]
    second = [Parcel("second", number, size=2_000) for number in range(1_000)]
    lanes = filled(*first, *second)
    given = {"first": 0, "second": 0}
    for _ in range(5):
        for parcel in lanes.take(1_000, 4 * TURN_BYTES):
            given[parcel.lane] += cost_of(parcel)
    assert given["first"] == pytest.approx(given["second"], rel=0.3)


def test_within_a_lane_the_order_of_arrival_stays() -> None:
    lanes = filled(*(Parcel(lane, number) for number in range(20) for lane in ("a", "b")))
    taken = [parcel for _ in range(10) for parcel in lanes.take(7, TURN_BYTES)]
    for lane in ("a", "b"):
        assert [parcel.name for parcel in taken if parcel.lane == lane] == list(range(20))


def test_one_that_is_larger_than_the_bounds_goes_alone() -> None:
    lanes = filled(Parcel("a", 0, size=20 * TURN_BYTES, events=2_500), Parcel("a", 1))
    assert [parcel.name for parcel in lanes.take(300, TURN_BYTES)] == [0]
    assert [parcel.name for parcel in lanes.take(300, TURN_BYTES)] == [1]


def test_many_lanes_all_get_their_turn_though_a_round_does_not_hold_them_all() -> None:
    lanes = filled(*(Parcel(f"lane{lane}", number) for number in range(3) for lane in range(40)))
    first = [parcel.lane for _ in range(4) for parcel in lanes.take(30, TURN_BYTES)]
    assert len(set(first)) == 40


def test_a_lane_may_hold_no_more_room_than_is_still_free() -> None:
    room = Room(100)
    while room.has("loud", 1):
        room.take("loud", 1)
    assert room.held == 50
    assert room.has("quiet", 25)
    assert not room.has("quiet", 51)


def test_room_that_is_given_back_is_free_again_and_forgotten() -> None:
    room = Room(10)
    room.take("a", 4)
    room.take("a", 1)
    room.give_back("a", 4)
    room.give_back("a", 1)
    assert (room.held, room.by_lane) == (0, {})


def test_anything_may_come_in_when_nothing_waits() -> None:
    assert Room(1).has("a", 1_000)


def test_what_takes_no_room_gives_none_back_however_often_it_comes() -> None:
    room = Room(10)
    for _ in range(2):  # requests of which every message was refused: they are counted, and have no events
        room.take("a", 0)
    room.take("b", 3)
    for _ in range(2):
        room.give_back("a", 0)
    assert (room.held, room.by_lane) == (3, {"b": 3})
