"""What look-ups have found, kept for a while: in this process first, then in Valkey, where every worker finds it.

The sender's thread never waits for Valkey: what this process does not know is asked for by a thread of its own, which
asks for all that has gathered at once, and tells whoever wanted to know. When Valkey does not answer within 0.2 s
nothing is remembered, and look-ups are made anew.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from queue import SimpleQueue
from time import monotonic
from typing import Protocol, cast

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.observability import log, metrics

VALKEY_SECONDS = 0.2
AWAY_SECONDS = 1.0
KEPT_HERE = 10_000
MOST_AT_ONCE = 200
logger = log.get(__name__)
Told = Callable[[bytes | None], None]


class Store(Protocol):
    """Where other workers find it."""

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """What is kept under each name. Raises RedisError when it does not answer."""

    def write(self, name: str, found: bytes, seconds: float) -> None:
        """Keep it for so long. Raises RedisError when it does not answer."""


class Valkey:
    """Shared by all workers; each call is answered or given up within 0.2 s."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=VALKEY_SECONDS,
            socket_connect_timeout=VALKEY_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        return cast(list[bytes | None], self._client.mget(list(names)))

    def write(self, name: str, found: bytes, seconds: float) -> None:
        self._client.set(name, found, px=max(1, int(seconds * 1000)))


@dataclass(frozen=True, slots=True)
class Question:
    """What is kept under a name?"""

    name: str
    told: Told


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be kept."""

    name: str
    found: bytes
    seconds: float


class Memory:
    """Both places together. Callable from any thread; `told` is called in this memory's own."""

    def __init__(self, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._here: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._errands: SimpleQueue[Question | Note] = SimpleQueue()
        self._away_until = 0.0
        self._pid = 0

    def recall(self, name: str) -> bytes | None:
        """What this process knows."""
        with self._lock:
            kept = self._here.get(name)
            if kept is None:
                return None
            if kept[1] <= self._clock():
                del self._here[name]
                return None
            self._here.move_to_end(name)
            return kept[0]

    def ask(self, name: str, told: Told) -> None:
        """Have it told what any worker knows; None when nobody does, or Valkey is away."""
        self._send(Question(name, told))

    def keep(self, name: str, found: bytes, seconds: float) -> None:
        """Remember it, here and for the others."""
        self.keep_here(name, found, seconds)
        self._send(Note(name, found, seconds))

    def keep_here(self, name: str, found: bytes, seconds: float) -> None:
        """Remember what another worker has found."""
        with self._lock:
            self._here[name] = (found, self._clock() + seconds)
            self._here.move_to_end(name)
            if len(self._here) > KEPT_HERE:
                self._here.popitem(last=False)

    def _send(self, errand: Question | Note) -> None:
        """The thread is this process's own: a child of a fork starts another."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._errands = SimpleQueue()
                threading.Thread(target=self._run, args=(self._errands,), name="look-up-memory", daemon=True).start()
        self._errands.put(errand)

    def _run(self, errands: SimpleQueue[Question | Note]) -> None:
        while True:
            batch = [errands.get()]
            while len(batch) < MOST_AT_ONCE and not errands.empty():
                batch.append(errands.get())
            try:
                self._serve(batch)
            except Exception:
                logger.exception("look_up_memory_failed")

    def _serve(self, batch: Sequence[Question | Note]) -> None:
        for errand in batch:
            if isinstance(errand, Note):
                self._try(partial(self._store.write, errand.name, errand.found, errand.seconds))
        questions = [errand for errand in batch if isinstance(errand, Question)]
        if not questions:
            return
        found = self._try(partial(self._store.read, [each.name for each in questions])) or [None] * len(questions)
        for question, kept in zip(questions, found, strict=True):
            question.told(kept)

    def _try(self, act: Callable[[], list[bytes | None] | None]) -> list[bytes | None] | None:
        """Do it unless Valkey has just failed to answer."""
        if self._clock() < self._away_until:
            return None
        try:
            return act()
        except redis.RedisError as error:
            self._away_until = self._clock() + AWAY_SECONDS
            metrics.lookup_memory_failures.inc()
            logger.warning("look_up_memory_away", error=type(error).__name__)
            return None


@cache
def memory() -> Memory:
    """This process's memory."""
    return Memory(Valkey(settings.REDIS_URL))
