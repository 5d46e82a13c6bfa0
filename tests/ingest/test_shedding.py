"""Who is sent away when the log cannot keep up: the heaviest first, no more than needed, and all come back in time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from hub.ingest import shedding
from hub.ingest.shedding import MOST, Shedder, heaviest_first
from hub.observability import storage


@dataclass
class Load:
    """A shedder with a clock and dice of its own, and what a second of traffic does to it."""

    now: float = 1_000.0
    shedder: Shedder = field(init=False)

    def __post_init__(self) -> None:
        self.shedder = Shedder(clock=lambda: self.now, dice=random.Random(7))

    def second(self, wait: float = 0.0, answer: float = 0.01, **events: int) -> dict[str, int]:
        """One second of one-event requests of each key; how many of each were let in."""
        let_in = dict.fromkeys(events, 0)
        for key, count in events.items():
            for _ in range(count):
                if not self.shedder.wait_seconds(key, 1, wait):
                    let_in[key] += 1
                    self.shedder.note(answer)
        self.now += 1.0
        return let_in


def test_nobody_is_refused_while_commits_are_quick() -> None:
    load = Load()
    assert all(load.second(a=500, b=5) == {"a": 500, "b": 5} for _ in range(60))


def test_a_commit_that_keeps_others_waiting_over_a_second_sheds_the_heaviest_key_first() -> None:
    load = Load()
    seen = [load.second(wait=1.5, heavy=400, light=20) for _ in range(6)]
    assert seen[-1]["heavy"] < 300
    assert all(second["light"] == 20 for second in seen)


def test_light_keys_are_met_only_when_the_heavy_ones_do_not_suffice() -> None:
    assert heaviest_first({"a": 60, "b": 30, "c": 10}, 0.5) == {"a": pytest.approx(50 / 60)}
    assert heaviest_first({"a": 60, "b": 30, "c": 10}, 0.8) == {"a": MOST, "b": pytest.approx(26 / 30)}
    assert heaviest_first({}, 0.5) == {}


def test_half_a_minute_of_slow_answers_is_overload_and_less_is_not() -> None:
    load = Load()
    first = [load.second(answer=2.5, a=100) for _ in range(29)]
    assert all(second["a"] == 100 for second in first)
    later = [load.second(answer=2.5, a=100) for _ in range(10)]
    assert later[-1]["a"] < 70


def test_one_slow_answer_in_two_hundred_is_none() -> None:
    load = Load()
    for _ in range(60):
        load.second(a=200)
        load.shedder.note(3.0)
    assert load.shedder.share == 0.0


def test_it_is_over_soon_after_the_load_is() -> None:
    load = Load()
    for _ in range(20):
        load.second(wait=2.0, a=200)
    assert load.shedder.share == MOST
    for _ in range(20):
        load.second(a=200)
    assert load.shedder.share == pytest.approx(0.0)
    assert load.second(a=200) == {"a": 200}


def test_somebody_is_always_let_in_so_that_the_end_is_seen() -> None:
    load = Load()
    assert sum(load.second(wait=5.0, a=100)["a"] for _ in range(60)) > 300


def test_who_is_refused_comes_back_after_five_to_thirty_seconds_at_random() -> None:
    load = Load()
    waits = set()
    for _ in range(40):
        waits |= {load.shedder.wait_seconds("a", 1, 2.0) for _ in range(50)}
        load.now += 1
    waits.discard(0)
    assert (min(waits), max(waits)) == (5, 30)


@pytest.fixture
def fresh() -> Iterator[None]:
    shedding._shedder.clear()
    yield
    shedding._shedder.clear()


def test_a_nearly_full_disk_is_told_before_postgresql_panics(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "watch", lambda: storage.Disk(storage.Room.FULL, 0.05))
    with pytest.raises(shedding.StorageFull) as refused:
        shedding.guard("key", 1)
    assert (refused.value.status_code, refused.value.code, refused.value.wait_seconds) == (503, "storage_full", 60)


def test_a_request_of_the_share_that_must_wait_is_refused_with_its_time(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "watch", lambda: storage.Disk(storage.Room.AMPLE, 0.5))
    shedding._shedder[:] = [Shedder(dice=random.Random(1), share=MOST, refused={"key": 1.0}, _turned_at=1e12)]
    with pytest.raises(shedding.Overloaded) as refused:
        shedding.guard("key", 1)
    assert 5 <= (refused.value.wait_seconds or 0) <= 30
