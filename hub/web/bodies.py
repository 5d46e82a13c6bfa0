"""Bodies that arrive in pieces: whole, fast enough, and all that one process holds of them in bounded memory.

The HTTP server waits for a body for ever and hands it on as it comes. Many clients that send a lot, or next to
nothing, at the same time could use up the memory of a process that has only a limit for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]

# A slow start is no slow client: connections open their window bit by bit, and phones lose packets.
GRACE_SECONDS = 5.0


class BrokenOff(Exception):
    """The body ends before it is whole: its client is gone, or waits after a broken chunk; the server does not say."""


class TooSlow(Exception):
    """The body comes in at less than the least pace."""


class NoRoom(Exception):
    """The bodies being sent to this process hold all the memory that they may."""


class Bodies:
    """The bodies that a process is being sent. `held` is what it has of them at this moment, in bytes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.held = 0
        self._clock = clock

    async def gather(self, receive: Receive, first: Event, keep: int, drain: int) -> bytes:
        """The whole body, cut at `keep` bytes; what comes after is thrown away, and past `drain` no more is read."""
        body = bytearray()

        def take(chunk: bytes) -> int:
            kept = chunk[: keep - len(body)]
            body.extend(kept)
            return len(kept)

        await self.pour(receive, first, take, drain)
        return bytes(body)

    async def pour(self, receive: Receive, first: Event, take: Callable[[bytes], int], drain: int) -> bool:
        """Hand each chunk to `take`, which tells by how much more it holds now; whether the body came to its end."""
        started_at = self._clock()
        total = held = 0
        event = first
        try:
            while True:
                if event["type"] == "http.disconnect":
                    raise BrokenOff
                chunk = event.get("body", b"")
                total += len(chunk)
                more = take(chunk)
                held += more
                self.held += more
                if total > drain or not event.get("more_body", False):
                    return total <= drain
                self._require_room_and_pace(total, started_at)
                event = await receive()
        finally:
            self.held -= held

    def _require_room_and_pace(self, total: int, started_at: float) -> None:
        if self.held > settings.BODIES_MEGABYTES * 1024 * 1024:
            raise NoRoom
        seconds = self._clock() - started_at
        if seconds > GRACE_SECONDS and total < seconds * settings.BODY_BYTES_PER_SECOND:
            raise TooSlow


bodies = Bodies()
