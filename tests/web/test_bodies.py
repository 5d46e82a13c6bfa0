"""Bodies in pieces: cut, drained, paced, and bounded all together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hub.web.bodies import Bodies, BrokenOff, NoRoom, TooSlow

Event = dict[str, Any]


def piece(body: bytes, is_last: bool = False) -> Event:
    return {"type": "http.request", "body": body, "more_body": not is_last}


class Client:
    """Sends one piece after the other, and lets time pass before each."""

    def __init__(self, *pieces: Event, seconds: float = 0.0) -> None:
        self.pieces = list(pieces)
        self.seconds = seconds
        self.now = 0.0

    async def receive(self) -> Event:
        self.now += self.seconds
        return self.pieces.pop(0)

    def gather(self, bodies: Bodies, keep: int = 100, drain: int = 1_000) -> bytes:
        return asyncio.run(bodies.gather(self.receive, self.pieces.pop(0), keep, drain))


def test_a_body_is_put_together_cut_and_forgotten() -> None:
    bodies = Bodies()
    assert Client(piece(b"ab"), piece(b""), piece(b"c", True)).gather(bodies) == b"abc"
    assert Client(piece(b"x" * 80), piece(b"y" * 80), piece(b"z", True)).gather(bodies) == b"x" * 80 + b"y" * 20
    assert bodies.held == 0


def test_past_the_bound_no_more_is_read() -> None:
    client = Client(piece(b"x" * 600), piece(b"x" * 600), piece(b"never"))
    assert len(client.gather(Bodies())) == 100
    assert len(client.pieces) == 1


def test_a_body_that_breaks_off_is_told_and_forgotten() -> None:
    bodies = Bodies()
    with pytest.raises(BrokenOff):
        Client(piece(b"x"), {"type": "http.disconnect"}).gather(bodies)
    assert bodies.held == 0


def paced(seconds: float, size: int, count: int) -> Callable[[], bytes]:
    client = Client(*[piece(b"x" * size)] * count, piece(b"", True), seconds=seconds)
    return lambda: client.gather(Bodies(lambda: client.now), keep=100_000, drain=1_000_000)


@pytest.mark.parametrize(("size", "is_refused"), [(1, True), (800, True), (1_025, False), (50_000, False)])
def test_a_body_must_keep_a_pace_once_it_has_had_time_to_start(size: int, is_refused: bool) -> None:
    gather = paced(1.0, size, 10)
    if is_refused:
        with pytest.raises(TooSlow):
            gather()
    else:
        assert gather()


def test_a_slow_start_is_forgiven() -> None:
    assert paced(1.0, 1, 4)() == b"xxxx"


def test_all_bodies_together_have_a_bound(settings: Any) -> None:
    settings.BODIES_MEGABYTES = 1

    async def story() -> list[object]:
        bodies = Bodies()
        gate = asyncio.Event()

        async def waits() -> Event:
            await gate.wait()
            return piece(b"", True)

        def begin() -> Any:
            return bodies.gather(waits, piece(b"x" * 400_000), 1_000_000, 1_000_000)

        first = [asyncio.create_task(begin()) for _ in range(2)]
        await asyncio.sleep(0)
        third = await asyncio.gather(begin(), return_exceptions=True)
        gate.set()
        return [*third, *map(len, await asyncio.gather(*first)), bodies.held]

    refused, *rest = asyncio.run(story())
    assert isinstance(refused, NoRoom)
    assert rest == [400_000, 400_000, 0]
