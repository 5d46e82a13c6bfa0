"""The sender ends at any moment, whatever is under way: each work hears of it, and no thread and no socket stays."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from hub.delivery.lanes import Lane
from hub.delivery.sender import Sender
from hub.lib.net import Gate, call
from tests.delivery.works import Chunk, eventually
from tests.receivers import Receiver

LOOPBACK = Gate(allow_private=(ip_network("127.0.0.0/8"),))
ROUNDS = 25


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
        # Connections are accepted in their order: after this one has ended, so have those that the senders left.
        assert call(LOOPBACK, "GET", running.url()).status == 200
        assert eventually(lambda: running.open_connections == 0)


def sender_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sender")]


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def has_heard(chunk: Chunk) -> bool:
    """Every call that it gave was answered, and it was finished or told that it is over."""
    return len(chunk.answers) == len(chunk.started) and (chunk.done.is_set() or chunk.stop_told.is_set())


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_sender_shut_down_at_any_moment_leaves_no_work_without_a_word(receiver: Receiver, seed: int) -> None:
    chance = random.Random(seed)
    sender = Sender(LOOPBACK, fast_places=8)
    kinds = [("/ok", b"{}"), ("/hang", b"{}"), ("/delay/20", b"x" * 100_000), ("/close", b"{}"), ("/huge", b"")]
    chunks = [
        Chunk(sender.lane(f"lane {number % 4}", 8), [receiver.url(path)] * 20, 60_000, body)
        for number, (path, body) in enumerate(chance.choices(kinds, k=10))
    ]
    for chunk in chunks:
        sender.submit(chunk)
    seen = chance.randrange(40)
    eventually(lambda: sum(len(chunk.answers) for chunk in chunks) >= seen or chance.random() < 0.05)
    sender.shutdown(abort_after=chance.choice([0.0, 0.05]))
    assert all(map(has_heard, chunks))
    assert sender_threads() == []


def test_works_handed_over_while_the_sender_ends_are_refused_or_told(receiver: Receiver) -> None:
    for _ in range(5):
        sender = Sender(LOOPBACK)
        lane = sender.lane("pipeline", 8)
        first = Chunk(lane, [receiver.url()])
        sender.submit(first)
        assert first.done.wait(10)
        taken: list[Chunk] = []

        threads = [threading.Thread(target=hand_over, args=(sender, lane, receiver.url(), taken)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert eventually(lambda taken=taken: len(taken) > 10)
        sender.shutdown(abort_after=0.0)
        for thread in threads:
            thread.join(10)
        assert all(map(has_heard, taken))


def hand_over(sender: Sender, lane: Lane, url: str, taken: list[Chunk]) -> None:
    """Submit works until the sender takes no more."""
    with contextlib.suppress(RuntimeError):
        while True:
            chunk = Chunk(lane, [url])
            sender.submit(chunk)
            taken.append(chunk)
            time.sleep(0.0005)  # or three busy threads would leave the sender's none of the interpreter


def test_senders_that_have_ended_hold_no_descriptor(receiver: Receiver) -> None:
    def use() -> None:
        sender = Sender(LOOPBACK)
        chunk = Chunk(sender.lane("pipeline", 8), [receiver.url()] * 50, body=b"x" * 20_000)
        sender.submit(chunk)
        assert chunk.done.wait(10)
        sender.shutdown(0.0)

    use()
    assert eventually(lambda: receiver.open_connections == 0)
    before = descriptors()
    for _ in range(5):
        use()
    assert eventually(lambda: receiver.open_connections == 0)
    assert descriptors() <= before
