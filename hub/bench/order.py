"""Watches at the receiver whether events of one user come in order, and fails some of them.

In order means: an event is tried for the first time, or again, only while no later event of its user has been tried;
what had been accepted already and comes once more is a repeat, as after a crash, and breaks no order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

SEED = 11
USER_ID = b'"userId":"'
MESSAGE_ID = b'"messageId":"'


@dataclass(slots=True)
class OrderWatch:
    """What has been tried and accepted; numbers of one user's messages rise as their texts do."""

    random: Random = field(default_factory=lambda: Random(SEED))  # noqa: S311 - failures, not secrets
    tried: dict[bytes, bytes] = field(default_factory=dict)
    accepted: set[bytes] = field(default_factory=set)
    inversions: int = 0
    repeats: int = 0
    failed: int = 0

    def take(self, data: bytes | bytearray, start: int, end: int, failure_share: float) -> bool:
        """Note one call; False when it is to be refused."""
        message, user = text_after(MESSAGE_ID, data, start, end), text_after(USER_ID, data, start, end)
        if message in self.accepted:
            self.repeats += 1
            return True
        latest = self.tried.get(user, b"")
        if message < latest:
            self.inversions += 1
        else:
            self.tried[user] = message
        if failure_share and self.random.random() < failure_share:
            self.failed += 1
            return False
        self.accepted.add(message)
        return True


def text_after(name: bytes, data: bytes | bytearray, start: int, end: int) -> bytes:
    """The text of a JSON string that follows this name; empty when there is none."""
    place = data.find(name, start, end)
    if place < 0:
        return b""
    return bytes(data[place + len(name) : data.index(b'"', place + len(name))])
