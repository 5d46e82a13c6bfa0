"""One thread per process that commits what waits: everything that is there goes into one statement.

It does not linger for more: the commit under way is the wait. An answer is given only when its commit has returned.
Content that the database refuses is found by committing request by request, then event by event, so that it costs its
neighbours nothing. When the database is away all who wait are told so at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hub.events.log import Appended, LogError, LogUnavailable, Submission, Unstorable
from hub.ingest.shedding import shedder
from hub.observability import log, metrics

COMMIT_EVENTS = 2_000
COMMIT_BYTES = 4 * 1024 * 1024
QUEUE_BYTES = 64 * 1024 * 1024
# With a look-up of the key before it, an answer is given within ten seconds: SDKs send again after that.
ANSWER_WITHIN_SECONDS = 6.0
logger = log.get(__name__)


class Writer(Protocol):
    """What the committer needs of the log's writer."""

    def append(self, submissions: Sequence[Submission]) -> Appended: ...
    def keep_samples(self, submissions: Sequence[Submission]) -> None: ...
    def close(self) -> None: ...


class QueueFull(LogError):
    """More events wait than may; the sender should come again later."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One submission and whoever waits for it: a future of an event loop, or a thread."""

    submission: Submission
    loop: asyncio.AbstractEventLoop | None = None
    future: asyncio.Future[LogError | None] | None = None
    done: threading.Event | None = None
    error: LogError | None = None
    at: float = field(default_factory=time.perf_counter)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(len(row.body) for row in self.submission.rows)


class Committer:
    """The queue before the log and the thread that empties it."""

    def __init__(
        self, make_writer: Callable[[], Writer], hint: Callable[[set[str]], None], queue_events: int = 20_000
    ) -> None:
        self._make_writer = make_writer
        self._hint = hint
        self._queue_events = queue_events
        # Unlike a condition, a simple queue wakes the thread without a line of Python.
        self._queue: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._held: Ticket | None = None
        self._events = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._busy_since = 0.0

    def busy_seconds(self) -> float:
        """For how long the commit that is under way has kept everybody else waiting."""
        since = self._busy_since
        return time.perf_counter() - since if since else 0.0

    def submit(self, ticket: Ticket) -> None:
        """Queue a submission, or raise QueueFull."""
        count = len(ticket.submission.rows)
        with self._lock:
            is_full = self._events + count > self._queue_events or self._bytes + ticket.size > QUEUE_BYTES
            if self._is_closed or (is_full and self._events):
                raise QueueFull("ingest queue full")
            self._events += count
            self._bytes += ticket.size
            self._queue.put(ticket)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()

    def commit(self, submission: Submission, timeout: float = ANSWER_WITHIN_SECONDS) -> None:
        """Submit and wait in this thread until it is stored; raises LogError when it is not, or nobody knows."""
        done = threading.Event()
        ticket = Ticket(submission, done=done)
        self.submit(ticket)
        if not done.wait(timeout):
            raise LogUnavailable("no commit in time")
        if ticket.error is not None:
            raise ticket.error

    def close(self) -> None:
        """Commit what waits, then end the thread and its connection."""
        with self._lock:
            self._is_closed = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout=ANSWER_WITHIN_SECONDS)

    def _run(self) -> None:
        writer = self._make_writer()
        while tickets := self._next():
            self._busy_since = time.perf_counter()
            try:
                self._commit(writer, tickets)
            except Exception:
                logger.exception("commit_failed")
                writer.close()
                settle(tickets, LogUnavailable("commit failed"))
            self._busy_since = 0.0
        writer.close()

    def _next(self) -> list[Ticket]:
        """Wait for work, then take all of it up to the bounds of one commit; empty when closed."""
        first = self._held or self._queue.get()
        self._held = None
        if first is None:
            return []
        taken = [first]
        events, size = len(first.submission.rows), first.size
        while not self._queue.empty():
            ticket = self._queue.get()
            if ticket is None:
                self._queue.put(None)
                break
            if events + len(ticket.submission.rows) > COMMIT_EVENTS or size + ticket.size > COMMIT_BYTES:
                self._held = ticket
                break
            taken.append(ticket)
            events += len(ticket.submission.rows)
            size += ticket.size
        with self._lock:
            self._events -= events
            self._bytes -= size
        return taken

    def _commit(self, writer: Writer, tickets: list[Ticket]) -> None:
        try:
            appended = writer.append([ticket.submission for ticket in tickets])
        except Unstorable:
            self._commit_one_by_one(writer, tickets)
            return
        except LogUnavailable as error:
            logger.warning("log_unavailable", events=sum(len(t.submission.rows) for t in tickets), reason=str(error))
            settle(tickets, error)
            return
        settle(tickets, None)
        self._hint({t.submission.workspace_id for t in tickets if t.submission.rows})
        count(tickets, appended)
        keep_samples(writer, tickets)

    def _commit_one_by_one(self, writer: Writer, tickets: list[Ticket]) -> None:
        """Find the content that the database refuses: request by request, and within one event by event."""
        if len(tickets) > 1:
            for ticket in tickets:
                self._commit(writer, [ticket])
            return
        ticket = tickets[0]
        try:
            for part in parts(ticket.submission):
                store_part(writer, part)
        except LogError as error:
            settle([ticket], error)
            return
        settle([ticket], None)
        self._hint({ticket.submission.workspace_id})


def parts(submission: Submission) -> list[Submission]:
    """One submission for each event; the first carries what was refused before."""
    rest = replace(submission, rejected_count=0, samples=())
    first = replace(submission, rows=())
    return [first, *(replace(rest, rows=[row]) for row in submission.rows)]


def store_part(writer: Writer, part: Submission) -> None:
    """Store one event, or count it as rejected when the database refuses it."""
    try:
        writer.append([part])
    except Unstorable as error:
        logger.error("event_not_storable", source_id=part.source_id, reason=str(error).partition("\n")[0])
        metrics.ingest_events.labels("not_storable").inc()
        writer.append([replace(part, rows=(), rejected_count=part.received_count)])


def settle(tickets: Sequence[Ticket], error: LogError | None) -> None:
    """Tell everybody who waits how it ended; one call into each event loop, however many wait there."""
    loops: dict[asyncio.AbstractEventLoop, list[Ticket]] = {}
    for ticket in tickets:
        ticket.error = error
        if ticket.loop is not None:
            loops.setdefault(ticket.loop, []).append(ticket)
        elif ticket.done is not None:
            ticket.done.set()
    for loop, waiting in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, waiting, error)


def resolve(tickets: Sequence[Ticket], error: LogError | None) -> None:
    for ticket in tickets:
        if ticket.future is not None and not ticket.future.done():
            ticket.future.set_result(error)


def count(tickets: Sequence[Ticket], appended: Appended) -> None:
    """Add one commit to the metrics."""
    now = time.perf_counter()
    for ticket in tickets:
        metrics.ingest_seconds.observe(now - ticket.at)
        shedder().note(now - ticket.at)
    rejected = sum(ticket.submission.rejected_count for ticket in tickets)
    for result, amount in (
        ("accepted", appended.accepted),
        ("duplicate", appended.duplicate),
        ("rejected", rejected),
    ):
        if amount:
            metrics.ingest_events.labels(result).inc(amount)


def keep_samples(writer: Writer, tickets: Sequence[Ticket]) -> None:
    """Store samples of refused messages after everybody has been answered; losing one is no loss of data."""
    sampled = [ticket.submission for ticket in tickets if ticket.submission.samples]
    if not sampled:
        return
    try:
        writer.keep_samples(sampled)
    except LogError as error:
        logger.warning("samples_not_stored", reason=str(error).partition("\n")[0])
