"""Refusing a share of the requests while the log cannot keep up, so that the rest is answered in time.

Overload is seen in the commits: one that waits for more than a second, or, for half a minute, more than one answer in a
hundred that took over two seconds. Then each second a larger share is refused, heaviest keys first, and a smaller one
each second after it has ended. A light key is refused only when refusing the heavier ones is not enough. Who is refused
comes again after a random time, so that not all come back at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rest_framework import status

from hub.ingest.errors import IngestError
from hub.observability import log, metrics, storage

WAIT_SECONDS = 1.0
SLOW_SECONDS = 2.0
SLOW_SHARE = 0.01
SLOW_FOR_SECONDS = 30.0
STEP_UP, STEP_DOWN = 0.1, 0.05
# Nobody is shut out wholly, and some load is always left to see whether it is over.
MOST = 0.9
COME_BACK_SECONDS = (5, 30)
FULL_WAIT_SECONDS = 60
KEPT_OF_VOLUME = 0.8
MOST_KEYS = 20_000
logger = log.get(__name__)


class Overloaded(IngestError):
    """More comes in than can be stored at the moment; this request is of the share that must wait."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    code: ClassVar[str] = "overloaded"
    default_detail = "More events arrive than can be stored at the moment; send again later."


class StorageFull(IngestError):
    """The database's disk is nearly full; to fill it would stop everything."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    code: ClassVar[str] = "storage_full"
    default_detail = "The disk of the event log is nearly full; send again later."


@dataclass(slots=True)
class Shedder:
    """What one process sees of its load, and whom it refuses."""

    clock: Callable[[], float] = time.monotonic
    dice: random.Random = field(default_factory=random.Random)
    share: float = 0.0
    refused: dict[str, float] = field(default_factory=dict)
    _volume: dict[str, float] = field(default_factory=dict)
    _answers: int = 0
    _slow_answers: int = 0
    _longest_wait: float = 0.0
    _slow_since: float | None = None
    _turned_at: float = 0.0

    def note(self, seconds: float) -> None:
        """One submission was committed, or given up, after so long."""
        self._answers += 1
        self._slow_answers += seconds > SLOW_SECONDS

    def wait_seconds(self, key: str, events: int, longest_wait: float) -> int:
        """How long this request must stay away, 0 when it is let in.

        `longest_wait` is for how long the commit that is under way has kept others waiting.
        """
        self._longest_wait = max(self._longest_wait, longest_wait)
        self._volume[key] = self._volume.get(key, 0.0) + events
        now = self.clock()
        if now - self._turned_at >= 1.0:
            self._turn(now)
        odds = self.refused.get(key, 0.0)
        return self.dice.randint(*COME_BACK_SECONDS) if odds and self.dice.random() < odds else 0

    def _turn(self, now: float) -> None:
        """Once a second: judge the last one, move the share, choose whom it meets."""
        is_slow = self._slow_answers > SLOW_SHARE * self._answers
        if is_slow:
            self._slow_since = now if self._slow_since is None else self._slow_since
        elif self._answers:
            self._slow_since = None
        slow_for = 0.0 if self._slow_since is None else now - self._slow_since
        is_over = self._longest_wait > WAIT_SECONDS or slow_for >= SLOW_FOR_SECONDS
        before = self.share
        self.share = min(MOST, before + STEP_UP) if is_over else max(0.0, before - STEP_DOWN)
        if bool(before) != bool(self.share):
            logger.warning("ingest_shedding", share=self.share, wait=round(self._longest_wait, 2), slow_for=slow_for)
        self.refused = heaviest_first(self._volume, self.share) if self.share else {}
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Begin the next second; volumes fade over some of them."""
        self._turned_at = now
        self._answers = self._slow_answers = 0
        self._longest_wait = 0.0
        faded = {key: volume * KEPT_OF_VOLUME for key, volume in list(self._volume.items()) if volume > KEPT_OF_VOLUME}
        self._volume = faded if len(faded) <= MOST_KEYS else {}


def heaviest_first(volume: Mapping[str, float], share: float) -> dict[str, float]:
    """With which odds each key is refused, so that of all events about this share is."""
    left = share * sum(volume.values())
    odds: dict[str, float] = {}
    for key in sorted(volume, key=lambda each: volume[each], reverse=True):
        if left <= 0 or not volume[key]:
            break
        odds[key] = min(MOST, left / volume[key])
        left -= odds[key] * volume[key]
    return odds


_shedder: list[Shedder] = []


def shedder() -> Shedder:
    """This process's own; a fork begins with what its parent saw."""
    if not _shedder:
        _shedder.append(Shedder())
    return _shedder[0]


def guard(key: str, events: int, longest_wait: float = 0.0) -> None:
    """Let a request in, or raise with the time after which it should come again."""
    if storage.watch().room is storage.Room.FULL:
        metrics.ingest_shed.labels("storage_full").inc()
        raise StorageFull(wait_seconds=FULL_WAIT_SECONDS)
    wait = shedder().wait_seconds(key, events, longest_wait)
    if wait:
        metrics.ingest_shed.labels("overloaded").inc()
        raise Overloaded(wait_seconds=wait)
