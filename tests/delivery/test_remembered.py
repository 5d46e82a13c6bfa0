"""What look-ups have found, kept for a while: here, for other workers, and not at all while Valkey is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import uuid4

import redis
from django.conf import settings

from hub.delivery.remembered import KEPT_HERE, Memory, Valkey


class Away:
    """A Valkey that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        self.asked += 1
        raise redis.TimeoutError

    def write(self, name: str, found: bytes, seconds: float) -> None:
        raise redis.TimeoutError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told_by(memory: Memory, name: str) -> bytes | None:
    answers: list[bytes | None] = []
    has_come = threading.Event()

    def told(found: bytes | None) -> None:
        answers.append(found)
        has_come.set()

    memory.ask(name, told)
    assert has_come.wait(10)
    return answers[0]


def test_this_process_remembers_for_the_time_given() -> None:
    clock = Clock()
    memory = Memory(Away(), clock)
    memory.keep_here("a", b"1", 10)
    clock.now = 9.9
    assert memory.recall("a") == b"1"
    clock.now = 10
    assert memory.recall("a") is None


def test_no_more_is_kept_here_than_there_is_room_for() -> None:
    memory = Memory(Away())
    for number in range(KEPT_HERE + 1):
        memory.keep_here(str(number), b"1", 10)
    assert memory.recall("0") is None
    assert memory.recall(str(KEPT_HERE)) == b"1"


def test_another_process_is_told_what_this_one_has_found() -> None:
    name = f"test:{uuid4()}"
    one, other = Memory(Valkey(settings.REDIS_URL)), Memory(Valkey(settings.REDIS_URL))
    one.keep(name, b'{"id": 1}', 30)
    assert told_by(one, name) == b'{"id": 1}'  # the note went before the question
    assert told_by(other, name) == b'{"id": 1}'
    assert 0 < redis.Redis.from_url(settings.REDIS_URL).ttl(name) <= 30


def test_without_valkey_everybody_is_told_at_once_that_nobody_knows() -> None:
    away = Away()
    memory = Memory(away, Clock())
    assert told_by(memory, "a") is None
    assert told_by(memory, "b") is None
    assert away.asked == 1  # and it is not asked again for a while
