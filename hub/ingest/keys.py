"""Which source a write key names, remembered for a few seconds so that the request path asks no server.

An entry is used for five seconds at most, which is how soon a revoked key stops working everywhere. From three
seconds on it is renewed in the background while it still serves. Unknown keys are remembered too, for less.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import DatabaseError, connections

from hub.ingest.errors import Unavailable
from hub.observability import log
from tenants.keys import SourceRef

KEY_FORM = re.compile(r"[A-Za-z0-9_-]{8,128}\Z")
RENEW_AFTER = 3.0
EXPIRE_AFTER = 5.0
UNKNOWN_EXPIRES_AFTER = 2.0
ENTRIES = 20_000
logger = log.get(__name__)


class KeyNotCached(Exception):
    """The key must be looked up first, which the event loop leaves to a thread."""

    def __init__(self, key: str) -> None:
        super().__init__("write key not cached")
        self.key = key


@dataclass(slots=True)
class Entry:
    source: SourceRef | None
    read_at: float
    expires_at: float
    is_renewing: bool = False


class KeyCache:
    """The write keys this process has seen of late."""

    def __init__(self, find: Callable[[str], SourceRef | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="write-keys")
        self._underway = 0

    def cached(self, key: str) -> SourceRef | None:
        """The key's source, None for a key known to be unknown; raises KeyNotCached."""
        if not KEY_FORM.match(key):
            return None
        entry = self._entries.get(key)
        now = self._clock()
        if entry is None or now >= entry.expires_at:
            raise KeyNotCached(key)
        if entry.source is not None and now - entry.read_at >= RENEW_AFTER:
            self._renew_soon(key, entry)
        return entry.source

    def load(self, key: str) -> SourceRef | None:
        """Ask the database, in this thread. Raises Unavailable when it cannot be asked."""
        try:
            source = self._find(key)
        except DatabaseError:
            source = self._found_at_second_try(key)
        now = self._clock()
        lifetime = UNKNOWN_EXPIRES_AFTER if source is None else EXPIRE_AFTER
        self._remember(key, Entry(source, now, now + lifetime))
        return source

    def load_apart(self, key: str) -> SourceRef | None:
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

    def known(self, key: str) -> SourceRef | None:
        """Like `cached`, but an old answer is better than none: it is given, and renewed for the next time."""
        entry = self._entries.get(key)
        if entry is None or entry.source is None or self._clock() < entry.expires_at:
            return self.cached(key)
        self._renew_soon(key, entry)
        return entry.source

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where the event loop has look-ups done."""
        return self._threads

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _found_at_second_try(self, key: str) -> SourceRef | None:
        """A connection that the server has closed meanwhile fails once; a server that is away fails twice."""
        connections.close_all()
        try:
            return self._find(key)
        except DatabaseError as error:
            connections.close_all()
            logger.warning("write_key_lookup_failed", reason=type(error).__name__)
            raise Unavailable() from error

    def _renew_soon(self, key: str, entry: Entry) -> None:
        if not entry.is_renewing:
            entry.is_renewing = True
            self._threads.submit(self._renew, key, entry)

    def _renew(self, key: str, entry: Entry) -> None:
        try:
            self.load_apart(key)
        except Unavailable:
            logger.warning("write_key_renewal_put_off")
        except Exception:
            logger.exception("write_key_renewal_failed")
        finally:
            entry.is_renewing = False

    def _remember(self, key: str, entry: Entry) -> None:
        with self._lock:
            if len(self._entries) >= ENTRIES:
                now = self._clock()
                self._entries = {name: kept for name, kept in self._entries.items() if kept.expires_at > now}
                if len(self._entries) >= ENTRIES:
                    self._entries.clear()
            self._entries[key] = entry
