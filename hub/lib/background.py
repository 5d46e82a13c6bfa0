"""Room for work in the background, so that it never takes the threads that deliver.

A process runs few such turns at once. One that finds no room is dropped: what it was about is in the tables, and the
chore that looks for due work tells of it again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 2
_room = threading.BoundedSemaphore(THREADS)


@contextmanager
def turn() -> Iterator[bool]:
    """Whether there is room for a turn in the background; it is taken until the end of the block."""
    has_room = _room.acquire(blocking=False)
    try:
        yield has_room
    finally:
        if has_room:
            _room.release()
