"""How much room the disk of the database has left, and what that means.

PostgreSQL that cannot write its log stops the whole cluster. So the product reacts before: first it gives up what can
be done without, then it takes no more events, while there is still room to deliver and to clean up.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings

from hub.observability import metrics

SCARCE_BELOW = 0.15
FULL_BELOW = 0.08
LOOK_EVERY_SECONDS = 2.0
LOOPBACK = {"", "localhost", "127.0.0.1", "::1"}


class Room(StrEnum):
    """What the free share of the disk means."""

    AMPLE = "ample"
    SCARCE = "scarce"  # replays stop, records of deliveries are kept for a shorter time
    FULL = "full"  # no events are taken
    AWAY = "away"  # the folder cannot be looked at
    UNKNOWN = "unknown"  # the database is elsewhere, and nobody said where to look


@dataclass(frozen=True, slots=True)
class Disk:
    """One look at the disk; `free` is the share of it that is free, None when nothing was seen."""

    room: Room
    free: float | None = None


def watched_folder() -> str:
    """A folder on the database's disk: `STORAGE_FOLDER`, else the data folder while the database is on this machine."""
    if settings.STORAGE_FOLDER:
        return str(settings.STORAGE_FOLDER)
    host = str(settings.DATABASES["default"]["HOST"])
    return str(settings.DATA_FOLDER) if host in LOOPBACK or host.startswith("/") else ""


def disk_free(path: str) -> float:
    """The share of the path's volume that is free for those who are not root; raises OSError."""
    found = os.statvfs(path)
    return found.f_bavail / found.f_blocks if found.f_blocks else 1.0


def look() -> Disk:
    """Look at the disk now, and publish what is seen."""
    folder = watched_folder()
    if not folder:
        return Disk(Room.UNKNOWN)
    try:
        free = disk_free(folder)
    except OSError:
        return Disk(Room.AWAY)
    metrics.disk_free.set(free)
    return Disk(room_of(free), free)


def room_of(free: float) -> Room:
    """What this free share means."""
    if free < FULL_BELOW:
        return Room.FULL
    return Room.SCARCE if free < SCARCE_BELOW else Room.AMPLE


class Watch:
    """Remembers the last look for a moment, for those who ask at every request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = Disk(Room.UNKNOWN)
        self._until = 0.0

    def __call__(self) -> Disk:
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._seen, self._until = look(), time.monotonic() + LOOK_EVERY_SECONDS
            finally:
                self._lock.release()
        return self._seen


watch = Watch()
