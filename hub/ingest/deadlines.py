"""Many waits with one and the same time limit, watched by one timer instead of one each.

`asyncio.timeout` arms and disarms a timer per use, which costs an ingest request more than its authentication does.
Here a wait is a list entry; entries stand in the order of their deadlines, so a look at the front finds the late ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TypeVar

Answer = TypeVar("Answer")
LOOK_EVERY_SECONDS = 0.25


class Wait:
    """One task's wait."""

    __slots__ = ("deadline", "has_expired", "is_over", "task")

    def __init__(self, task: asyncio.Task[object] | None, deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.is_over = False
        self.has_expired = False


class Deadlines:
    """Waits of one event loop that may each take so many seconds, give or take a quarter."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waits: deque[Wait] = deque()
        self._is_armed = False

    async def within(self, awaitable: Awaitable[Answer]) -> Answer:
        """Await it, or raise TimeoutError when it takes too long."""
        wait = Wait(asyncio.current_task(self._loop), self._loop.time() + self._seconds)
        self._waits.append(wait)
        if not self._is_armed:
            self._is_armed = True
            self._loop.call_later(LOOK_EVERY_SECONDS, self._look)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if wait.has_expired and wait.task is not None and wait.task.uncancel() <= 0:
                raise TimeoutError from None
            raise
        finally:
            wait.is_over = True

    def _look(self) -> None:
        """End what is late, forget what is over, and come back as long as anything waits."""
        now = self._loop.time()
        while self._waits and (self._waits[0].is_over or self._waits[0].deadline <= now):
            wait = self._waits.popleft()
            if not wait.is_over and wait.task is not None:
                wait.has_expired = True
                wait.task.cancel()
        self._is_armed = bool(self._waits)
        if self._is_armed:
            self._loop.call_later(LOOK_EVERY_SECONDS, self._look)
