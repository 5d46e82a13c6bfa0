"""One thread per process that commits what waits: as much of it as a commit may hold goes into one statement.

Workspaces take turns, and a commit is bounded: a small request waits for the commit under way and is in the next one,
whoever else sends however much. While requests come one by one the commit under way is all that they wait for; when
many do, the thread gathers them for a moment first, because a commit costs as much as ten to fifteen events in it. An
answer is given only when its commit has returned.

Content that the database refuses is found by committing request by request, then event by event, so that it costs its
neighbours nothing. When the database is away all who wait are told so at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hub.events.log import Appended, LogError, LogUnavailable, Submission, Unstorable
from hub.ingest.lanes import Lanes, Room
from hub.ingest.shedding import shedder
from hub.observability import log, metrics

# About 15 ms of the database's time. A larger commit saves next to nothing an event, and all in it wait for its end,
# as does whoever sends little and comes just after its start.
COMMIT_EVENTS = 500
COMMIT_BYTES = 1024 * 1024
# A commit of so many requests shows that others come meanwhile; so many, or so many events, are worth no more waiting.
CROWD_REQUESTS = 4
ENOUGH_REQUESTS, ENOUGH_EVENTS = 32, 300
GATHER_SECONDS = 0.003
QUEUE_BYTES = 64 * 1024 * 1024
# With a look-up of the key before it, an answer is given within ten seconds: SDKs send again after that.
ANSWER_WITHIN_SECONDS = 6.0
# For vendors that wait three seconds; a wait ends up to a quarter of a second late.
HASTY_ANSWER_WITHIN_SECONDS = 2.5
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
    lane: str = field(init=False)
    events: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        rows = self.submission.rows
        self.lane = self.submission.workspace_id
        self.events = len(rows)
        self.size = sum([len(row.body) for row in rows])


class Committer:
    """The queue before the log and the thread that empties it."""

    def __init__(
        self, make_writer: Callable[[], Writer], hint: Callable[[set[str]], None], queue_events: int = 20_000
    ) -> None:
        self._make_writer = make_writer
        self._hint = hint
        # Unlike a condition, a simple queue wakes the thread without a line of Python.
        self._arrived: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._queue_events = queue_events
        self._empty()
        self._is_crowded = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._busy_since = 0.0

    def busy_seconds(self) -> float:
        """For how long the commit that is under way has kept everybody else waiting."""
        since = self._busy_since
        return time.perf_counter() - since if since else 0.0

    def submit(self, ticket: Ticket) -> None:
        """Queue a submission, or raise QueueFull when its workspace has no more room."""
        lane = ticket.lane
        with self._lock:
            events, size = self._room_for_events, self._room_for_bytes
            if self._is_closed or not (events.has(lane, ticket.events) and size.has(lane, ticket.size)):
                raise QueueFull("ingest queue full")
            events.take(lane, ticket.events)
            size.take(lane, ticket.size)
            self._arrived.put(ticket)
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
            self._arrived.put(None)
        if self._thread is not None:
            self._thread.join(timeout=ANSWER_WITHIN_SECONDS)

    def _run(self) -> None:
        writer = self._make_writer()
        while True:
            try:
                tickets = self._next()
            except Exception:
                logger.exception("queue_failed")
                self._begin_anew()
                continue
            if not tickets:
                break
            self._busy_since = time.perf_counter()
            try:
                self._commit(writer, tickets)
            except Exception:
                logger.exception("commit_failed")
                settle(tickets, LogUnavailable("commit failed"))
                writer.close()
            self._busy_since = 0.0
        writer.close()

    def _empty(self) -> None:
        self._lanes: Lanes[Ticket] = Lanes()
        self._room_for_events = Room(self._queue_events)
        self._room_for_bytes = Room(QUEUE_BYTES)

    def _begin_anew(self) -> None:
        """After a fault in the queue tell all who stand in it, and go on with an empty one.

        Whoever had just been taken out of it hears nothing, and gives up when the time for an answer is over.
        """
        with self._lock:
            waiting = list(self._lanes)
            while not self._arrived.empty():
                ticket = self._arrived.get()
                if ticket is not None:
                    waiting.append(ticket)
            self._empty()
            if self._is_closed:
                self._arrived.put(None)
        settle(waiting, LogUnavailable("queue failed"))

    def _next(self) -> list[Ticket]:
        """Wait for work, then take what one commit may hold, in turns; empty when closed."""
        lanes = self._lanes
        is_open = self._sort_arrived(must_wait=not lanes.waiting)
        if self._is_crowded and lanes.waiting < ENOUGH_REQUESTS and lanes.events < ENOUGH_EVENTS and is_open:
            time.sleep(GATHER_SECONDS)
            is_open = self._sort_arrived(must_wait=False)
        taken = lanes.take(COMMIT_EVENTS, COMMIT_BYTES)
        self._is_crowded = len(taken) >= CROWD_REQUESTS
        with self._lock:
            for ticket in taken:
                self._room_for_events.give_back(ticket.lane, ticket.events)
                self._room_for_bytes.give_back(ticket.lane, ticket.size)
        if not is_open:
            self._arrived.put(None)
        return taken

    def _sort_arrived(self, must_wait: bool) -> bool:
        """Put what has arrived into its lanes. False when nothing more will come."""
        arrived = self._arrived
        while must_wait or not arrived.empty():
            ticket = arrived.get()
            if ticket is None:
                return False
            self._lanes.put(ticket)
            must_wait = False
        return True

    def _commit(self, writer: Writer, tickets: list[Ticket]) -> None:
        try:
            appended = writer.append([ticket.submission for ticket in tickets])
        except Unstorable:
            self._commit_one_by_one(writer, tickets)
            return
        except LogUnavailable as error:
            logger.warning("log_unavailable", events=sum(t.events for t in tickets), reason=str(error))
            settle(tickets, error)
            return
        settle(tickets, None)
        self._hint({t.submission.workspace_id for t in tickets if t.events})
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
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits there any more
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
