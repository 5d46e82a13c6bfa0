"""Order per user inside one pipeline: an event starts when its predecessor of the same user has ended well.

Touched by the sender's thread alone while a turn runs. A user with an event in a retry row is held: later events of
that user are parked behind it, nobody else waits.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")
Place = tuple[int, int]


class OrderBook(Generic[Item]):
    """Which users have a call under way, who waits behind them, and who is held by an earlier failure.

    `held` says of each held user how many events are on their way into rows: drafted, and not yet given back with the
    row that the commit made. `loose` are held users whose order was given up, because too much waited for them.
    """

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.loose: set[int] = set()
        self.breaks = 0
        self.epoch = 0
        self._chains: dict[int, deque[Item]] = {}
        self._last: dict[int, Place] = {}

    def start(self, user_key: int, item: Item, *, is_older: bool = False) -> bool:
        """Ask to start. True: go ahead, and call `end` afterwards. False: the item waits in the user's chain.

        One that repair put back is older than all that wait there, and goes next.
        """
        chain = self._chains.get(user_key)
        if chain is None:
            self._chains[user_key] = deque()
            return True
        if is_older:
            chain.appendleft(item)
        else:
            chain.append(item)
        return False

    def note_start(self, user_key: int, place: Place) -> None:
        """An event of the user starts. One that stands before the last that started is a break of the promise."""
        if place < self._last.get(user_key, place):
            self.breaks += 1
        self._last[user_key] = place

    def enter_epoch(self, epoch: int) -> None:
        """Places of different epochs do not compare: what was remembered of an older one is forgotten."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._last.clear()

    def end(self, user_key: int) -> Item | None:
        """The user's event ended well: who is next, if anyone."""
        chain = self._chains[user_key]
        if chain:
            return chain.popleft()
        del self._chains[user_key]
        if user_key not in self.held:
            self._last.pop(user_key, None)
        return None

    def hold(self, user_key: int) -> list[Item]:
        """The user's event failed: hold the user and give back who waited behind it, in order."""
        self.park(user_key)
        return list(self._chains.pop(user_key, ()))

    def park(self, user_key: int) -> None:
        """Another event of a held user goes into a row."""
        self.held[user_key] = self.held.get(user_key, 0) + 1

    def arrive(self, user_key: int) -> None:
        """An event that was held or parked has come back with its row."""
        if self.held.get(user_key, 0) > 0:
            self.held[user_key] -= 1

    def free(self, user_key: int) -> None:
        """No row of the user is left."""
        self.held.pop(user_key, None)
        self.loose.discard(user_key)
        if user_key not in self._chains:
            self._last.pop(user_key, None)

    def forget(self, user_key: int) -> None:
        """An older event of the user comes back, by repair or because order was given up: that is no break."""
        self._last.pop(user_key, None)

    def loosen(self, user_key: int) -> None:
        """Give up the user's order until no row is left."""
        self.loose.add(user_key)
        self.forget(user_key)
