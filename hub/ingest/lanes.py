"""What waits to be committed, a lane for each workspace, taken in turns.

First come, first served would let a workspace that sends fifty times as much fill the next commits by itself, and
everybody else would stand behind it. Here each commit goes round the lanes, and a lane gives as much at its turn as its
credit pays for (deficit round robin): who sends little is in the very next commit, and what room is left over goes to
whoever has more. Within a lane the order of arrival stays.

Of the room in the queue a workspace may hold no more than is still free. One alone can fill half of it, two a third
each, and for whoever comes new there is always some left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

# What a lane may give at its turn: some thirty single events of ordinary size, or a third of a batch of a hundred.
TURN_BYTES = 64 * 1024
# Requests and events cost something however small they are.
REQUEST_BYTES = EVENT_BYTES = 512


class Weighed(Protocol):
    """What can wait in a lane."""

    @property
    def lane(self) -> Hashable: ...
    @property
    def events(self) -> int: ...
    @property
    def size(self) -> int: ...


Item = TypeVar("Item", bound=Weighed)


@dataclass(slots=True)
class Lane(Generic[Item]):
    """One workspace's items in order, and what is left of the credit of its turns."""

    items: deque[Item] = field(default_factory=deque)
    credit: int = 0


def cost_of(item: Weighed) -> int:
    """What an item takes of its lane's credit."""
    return item.size + item.events * EVENT_BYTES + REQUEST_BYTES


class Lanes(Generic[Item]):
    """The lanes of one committer; for one thread."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane[Item]] = {}
        self._turns: deque[Hashable] = deque()
        self.waiting = 0
        self.events = 0

    def __iter__(self) -> Iterator[Item]:
        """All that waits, a lane after the other."""
        return (item for lane in self._lanes.values() for item in lane.items)

    def put(self, item: Item) -> None:
        """Add an item behind those of its lane."""
        lane = self._lanes.get(item.lane)
        if lane is None:
            lane = self._lanes[item.lane] = Lane()
            self._turns.append(item.lane)
        lane.items.append(item)
        self.waiting += 1
        self.events += item.events

    def take(self, most_events: int, most_bytes: int) -> list[Item]:
        """Take turns until the bounds are reached or nothing waits. A single item may be larger than the bounds."""
        taken: list[Item] = []
        room = most_bytes
        events = most_events
        while self._turns:
            lane = self._lanes[self._turns[0]]
            lane.credit += TURN_BYTES
            while lane.items and (cost := cost_of(lane.items[0])) <= lane.credit:
                item = lane.items[0]
                if taken and (item.events > events or item.size > room):
                    lane.credit = min(lane.credit, TURN_BYTES)
                    self._turns.rotate(-1)
                    return self._counted(taken)
                taken.append(lane.items.popleft())
                lane.credit -= cost
                events -= item.events
                room -= item.size
            if lane.items:
                self._turns.rotate(-1)
            else:
                del self._lanes[self._turns.popleft()]
        return self._counted(taken)

    def _counted(self, taken: list[Item]) -> list[Item]:
        self.waiting -= len(taken)
        self.events -= sum(item.events for item in taken)
        return taken


@dataclass(slots=True)
class Room:
    """How much of something may wait, and who holds how much of it."""

    most: int
    held: int = 0
    by_lane: dict[Hashable, int] = field(default_factory=dict)

    def has(self, lane: Hashable, amount: int) -> bool:
        """Whether the lane may hold so much more. When nothing waits anything may come in, however large."""
        return not self.held or self.by_lane.get(lane, 0) + amount <= self.most - self.held

    def take(self, lane: Hashable, amount: int) -> None:
        self.held += amount
        self.by_lane[lane] = self.by_lane.get(lane, 0) + amount

    def give_back(self, lane: Hashable, amount: int) -> None:
        self.held -= amount
        # Whoever holds nothing is forgotten, and may yet give back nothing: a request whose messages were all refused.
        left = self.by_lane.get(lane, 0) - amount
        if left:
            self.by_lane[lane] = left
        else:
            self.by_lane.pop(lane, None)
