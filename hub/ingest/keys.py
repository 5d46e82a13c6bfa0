"""What a write key or a token stands for, remembered for a few seconds so that the request path asks no server.

An entry is used for five seconds at most, which is how soon a revoked key stops working everywhere. From three
seconds on it is renewed in the background while it still serves. Unknown keys are remembered too, for less, and apart:
whoever sends a new one each time pushes out other unknown ones, but no key that is in use.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connections

from hub.ingest.errors import Unavailable
from hub.observability import log

Found = TypeVar("Found")
KEY_FORM = re.compile(r"[A-Za-z0-9_-]{8,128}\Z")
RENEW_AFTER = 3.0
EXPIRE_AFTER = 5.0
UNKNOWN_EXPIRES_AFTER = 2.0
ENTRIES = 20_000
UNKNOWN_ENTRIES = 20_000
logger = log.get(__name__)


class KeyNotCached(Exception):
    """The key must be looked up in this cache first, which the event loop leaves to a thread."""

    def __init__(self, key: str, cache: KeyCache[Any]) -> None:
        super().__init__("key not cached")
        self.key = key
        self.cache = cache


@dataclass(slots=True)
class Entry(Generic[Found]):
    """One key: what it stands for, or None when nobody knows it."""

    found: Found | None
    read_at: float
    expires_at: float
    is_renewing: bool = False


class KeyCache(Generic[Found]):
    """The keys of one kind that this process has seen of late; `form` is what one must look like to be looked up."""

    def __init__(
        self,
        find: Callable[[str], Found | None],
        clock: Callable[[], float] = time.monotonic,
        form: re.Pattern[str] = KEY_FORM,
    ) -> None:
        self._find = find
        self._clock = clock
        self._form = form
        self._entries: dict[str, Entry[Found]] = {}
        self._unknown: dict[str, Entry[Found]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="write-keys")
        self._underway = 0

    def cached(self, key: str) -> Found | None:
        """What the key stands for, None for a key known to be unknown; raises KeyNotCached."""
        if not self._form.match(key):
            return None
        entry = self._entries.get(key) or self._unknown.get(key)
        now = self._clock()
        if entry is None or now >= entry.expires_at:
            raise KeyNotCached(key, self)
        if entry.found is not None and now - entry.read_at >= RENEW_AFTER:
            self._renew_soon(key, entry)
        return entry.found

    def __len__(self) -> int:
        return len(self._entries) + len(self._unknown)

    def load(self, key: str) -> Found | None:
        """Ask the database, in this thread. Raises Unavailable when it cannot be asked."""
        asked_at = self._clock()
        try:
            found = self._find(key)
        except DatabaseError:
            found = self._found_at_second_try(key)
        self._remember(key, found, asked_at)
        return found

    def load_apart(self, key: str) -> Found | None:
        """Like `load`, for a thread of the cache: its database connection is closed when no other look-up waits."""
        with self._lock:
            self._underway += 1
        try:
            return self.load(key)
        finally:
            with self._lock:
                self._underway -= 1
                is_idle = self._underway == 0
            if is_idle:
                connections.close_all()

    def load_missing(self, key: str) -> Found | None:
        """Like `load_apart`, unless a request before this one has brought the answer meanwhile."""
        try:
            return self.cached(key)
        except KeyNotCached:
            return self.load_apart(key)

    def known(self, key: str) -> Found | None:
        """Like `cached`, but an old answer is better than none: it is given, and renewed for the next time."""
        entry = self._entries.get(key)
        if entry is None or self._clock() < entry.expires_at:
            return self.cached(key)
        self._renew_soon(key, entry)
        return entry.found

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where the event loop has look-ups done."""
        return self._threads

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _found_at_second_try(self, key: str) -> Found | None:
        """A connection that the server has closed meanwhile fails once; a server that is away fails twice."""
        connections.close_all()
        try:
            return self._find(key)
        except DatabaseError as error:
            connections.close_all()
            logger.warning("write_key_lookup_failed", reason=type(error).__name__)
            raise Unavailable() from error

    def _renew_soon(self, key: str, entry: Entry[Found]) -> None:
        if not entry.is_renewing:
            entry.is_renewing = True
            self._threads.submit(self._renew, key, entry)

    def _renew(self, key: str, entry: Entry[Found]) -> None:
        try:
            self.load_apart(key)
        except Unavailable:
            logger.warning("write_key_renewal_put_off")
        except Exception:
            logger.exception("write_key_renewal_failed")
        finally:
            entry.is_renewing = False

    def _remember(self, key: str, found: Found | None, asked_at: float) -> None:
        """Keep the answer. A good one counts from when it was asked for: it may have been true then and no longer."""
        now = self._clock()
        with self._lock:
            if found is None:
                self._entries.pop(key, None)
                _make_room(self._unknown, UNKNOWN_ENTRIES, now)
                self._unknown[key] = Entry(None, now, now + UNKNOWN_EXPIRES_AFTER)
            else:
                self._unknown.pop(key, None)
                _make_room(self._entries, ENTRIES, now)
                self._entries[key] = Entry(found, asked_at, asked_at + EXPIRE_AFTER)


def _make_room(entries: dict[str, Entry[Found]], size: int, now: float) -> None:
    """Forget what has expired once there is no room, and everything when that is not enough."""
    if len(entries) < size:
        return
    for key in [key for key, entry in list(entries.items()) if entry.expires_at <= now]:
        del entries[key]
    if len(entries) >= size:
        entries.clear()
