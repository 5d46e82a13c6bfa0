"""Writes to sinks, in threads of their own: which are open, who uses them, what a failing driver means.

An open sink is used by one thread at a time and kept for the next write to the same target, for a minute at most and
never for longer than ten in all, so that it outlives neither a changed address nor a changed gate; one that failed in
any way is closed. A driver that raises what it should not is a mistake of ours, and the records are tried once more.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from time import monotonic, sleep

import orjson

from connectors.http import ItemOutcome, Outcome, SendError
from connectors.records import SinkRequest
from hub.delivery.outbound import gate
from hub.delivery.run import CONNECTOR_BUG
from hub.delivery.sinks import Sink, SinkError, driver
from hub.lib.net import CONNECTION_SECONDS, IDLE_CONNECTION_SECONDS, Answer
from hub.observability import log

# A pipeline writes so many at once; threads for sixteen that hang leave others unharmed.
WRITES_A_PIPELINE, THREADS = 4, 64
IDLE_SECONDS, OPEN_SECONDS = float(IDLE_CONNECTION_SECONDS), float(CONNECTION_SECONDS)
MOST_IDLE = 256
logger = log.get(__name__)
Told = Callable[[list[ItemOutcome], Answer], None]


@dataclass(slots=True)
class Kept:
    """An open sink, since when it is open, and since when nobody uses it."""

    sink: Sink
    opened_at: float
    idle_at: float

    def is_over(self, now: float) -> bool:
        return now - self.idle_at > IDLE_SECONDS or now - self.opened_at > OPEN_SECONDS


class Runner:
    """The sinks of this process. A thread closes those that nobody wants; it lives as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[Kept]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._inherited: list[dict[str, list[Kept]]] = []
        self._is_sweeping = False

    def start(self, request: SinkRequest, told: Told) -> None:
        """Write in a thread; `told` is called there."""
        self._pool().submit(self._write_and_tell, request, told)

    def write(self, request: SinkRequest) -> tuple[list[ItemOutcome], Answer]:
        """Write now. Never raises: an answer without an error was sent."""
        started = monotonic()
        sent, error = True, None
        try:
            items = self._write(request)
        except SinkError as failed:
            items, sent, error = failed.items(request), failed.sent, failed.error
        except Exception as failed:
            logger.exception("sink_driver_failed", protocol=request.protocol)
            error = SendError.INCOMPLETE
            items = [
                ItemOutcome(index, Outcome.RETRY, 0, CONNECTOR_BUG, type(failed).__name__)
                for index in dict.fromkeys(request.covers)
            ]
        return items, Answer(0, error, sent=sent, duration_ms=(monotonic() - started) * 1000)

    def close(self) -> None:
        """Let every idle sink go."""
        self._settle_in()
        with self._lock:
            idle, self._idle = self._idle, {}
        for entries in idle.values():
            _close_all(entries)

    def sweep(self) -> float:
        """Close what nobody has wanted for a while; gives the seconds to wait before the next look, or 0."""
        now = monotonic()
        with self._lock:
            over = [entry for entries in self._idle.values() for entry in entries if entry.is_over(now)]
            left = {
                name: [entry for entry in entries if not entry.is_over(now)] for name, entries in self._idle.items()
            }
            self._idle = {name: entries for name, entries in left.items() if entries}
            wait = IDLE_SECONDS / 4 if self._idle else 0.0
            self._is_sweeping = self._is_sweeping and bool(wait)
        _close_all(over)
        return wait

    def _write_and_tell(self, request: SinkRequest, told: Told) -> None:
        items, answer = self.write(request)
        try:
            told(items, answer)
        except Exception:
            logger.exception("sink_outcome_lost", protocol=request.protocol)

    def _write(self, request: SinkRequest) -> list[ItemOutcome]:
        self._settle_in()
        name = _name(request)
        entry = self._take(name)
        if entry is None:
            sink = driver(request.protocol)(request.target, gate(), request.timeout_s)
            entry = Kept(sink, monotonic(), 0.0)
        try:
            items = entry.sink.write(request)
        except BaseException:
            _close_all([entry])
            raise
        self._give_back(name, entry)
        return items

    def _take(self, name: str) -> Kept | None:
        """The one used last that still stands."""
        while True:
            with self._lock:
                kept = self._idle.get(name)
                entry = kept.pop() if kept else None
                if not kept:
                    self._idle.pop(name, None)
            if entry is None or (not entry.is_over(monotonic()) and entry.sink.is_fresh()):
                return entry
            _close_all([entry])

    def _give_back(self, name: str, entry: Kept) -> None:
        entry.idle_at = monotonic()
        starts = False
        with self._lock:
            is_full = sum(map(len, self._idle.values())) >= MOST_IDLE
            if not is_full:
                self._idle.setdefault(name, []).append(entry)
                starts, self._is_sweeping = not self._is_sweeping, True
        if is_full:
            _close_all([entry])
        if starts:
            threading.Thread(target=self._keep_sweeping, name="sink-sweeper", daemon=True).start()

    def _keep_sweeping(self) -> None:
        wait = IDLE_SECONDS / 4
        while wait:
            sleep(wait)
            wait = self.sweep()

    def _pool(self) -> ThreadPoolExecutor:
        self._settle_in()
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sink")
            return self._threads

    def _settle_in(self) -> None:
        """What a parent had open is not a child's to use, nor to close: that would end it for the parent too."""
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
            self._inherited.append(self._idle)
            self._idle, self._threads, self._is_sweeping = {}, None, False


@cache
def runner() -> Runner:
    """This process's runner; what it keeps open is let go with the process."""
    made = Runner()
    atexit.register(made.close)
    return made


def _name(request: SinkRequest) -> str:
    """A name for protocol, target and credentials, which tells none of them."""
    target = orjson.dumps(dict(request.target), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=repr)
    return sha256(request.protocol.encode() + b"\0" + target).hexdigest()


def _close_all(entries: list[Kept]) -> None:
    for entry in entries:
        try:
            entry.sink.close()
        except Exception:
            logger.exception("sink_not_closed")
