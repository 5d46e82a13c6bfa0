"""A receiver that decides about each event by itself, and remembers what it decided, in order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.receivers import Receiver, Request, plain

Decide = Callable[[dict[str, Any]], int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of one request: whose it was, its number, and the answer."""

    user: str
    number: int
    status: int


class Deciding(Receiver):
    """Answers by `decide(event)`; a batch by its first event. Status 0 never answers."""

    def __init__(self, decide: Decide) -> None:
        super().__init__()
        self.decide = decide
        self.seen: list[Seen] = []

    async def _behave(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = json.loads(request.body)
        events = body if isinstance(body, list) else [body]
        status = self.decide(events[0])
        self.seen += [Seen(event["userId"], event["properties"]["n"], status) for event in events]
        if status == 0:
            await reader.read()
            return False
        return await plain(writer, status)

    def starts(self) -> dict[str, list[int]]:
        """Each user's events in the order of their attempts."""
        return self._by_user(self.seen)

    def first_starts(self) -> dict[str, list[int]]:
        """Each user's events in the order of their first attempts."""
        return self._by_user(dict.fromkeys((each.user, each.number) for each in self.seen))

    def delivered(self) -> set[tuple[str, int]]:
        return {(each.user, each.number) for each in self.seen if each.status == 200}

    @staticmethod
    def _by_user(found: Iterable[Any]) -> dict[str, list[int]]:
        order: dict[str, list[int]] = {}
        for each in found:
            user, number = (each.user, each.number) if isinstance(each, Seen) else each
            order.setdefault(user, []).append(number)
        return order


def fails_now_and_then(one_in: int, seed: int = 7) -> Decide:
    """A 503 for one of so many requests, at random, but never so often that a circuit would open."""
    chance = random.Random(seed)
    block: list[int] = []

    def decide(event: dict[str, Any]) -> int:
        if not block:
            block.extend([503] + [200] * (one_in - 1))
            chance.shuffle(block)
        return block.pop()

    return decide


def fails_for(wanted: dict[int, list[int]]) -> Decide:
    """For these numbers these statuses, one at a time; 200 for all others and afterwards."""
    left = {number: list(statuses) for number, statuses in wanted.items()}
    return lambda event: (
        (left.get(event["properties"]["n"]) or [200]).pop(0) if event["properties"]["n"] in left else 200
    )


def inversions(order: dict[str, list[int]]) -> int:
    """How often an event came after a later one of its user."""
    return sum(later < earlier for numbers in order.values() for earlier, later in pairwise(numbers))
