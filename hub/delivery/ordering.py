"""Order per user inside one pipeline: an event starts when its predecessor of the same user has ended well.

Touched by the sender's thread alone while a turn runs. A user with an event in a retry row is held: later events of
that user are parked behind it, nobody else waits.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class OrderBook(Generic[Item]):
    """Which users have a call under way, who waits behind them, and who is held by an earlier failure."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self._chains: dict[int, deque[Item]] = {}

    def start(self, user_key: int, item: Item) -> bool:
        """Ask to start. True: go ahead, and call `end` afterwards. False: the item waits in the user's chain."""
        chain = self._chains.get(user_key)
        if chain is None:
            self._chains[user_key] = deque()
            return True
        chain.append(item)
        return False

    def end(self, user_key: int) -> Item | None:
        """The user's event ended well: who is next, if anyone."""
        chain = self._chains[user_key]
        if chain:
            return chain.popleft()
        del self._chains[user_key]
        return None

    def hold(self, user_key: int) -> list[Item]:
        """The user's event failed: hold the user and give back who waited behind it, in order."""
        self.held.add(user_key)
        return list(self._chains.pop(user_key, ()))
