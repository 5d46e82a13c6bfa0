"""The load generator: keep-alive connections over uvloop in a process of its own, requests and answers as raw bytes.

*Closed*: each connection sends its next request when it has its answer, for so many seconds or so many requests.
*Open*: requests are due at random instants (Poisson) whatever the server does, and each is timed from the instant at
which it was due, so that a server that stalls is charged for everybody who had to wait. Timers fire in whole
milliseconds, so up to one of them is the generator's own.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import uvloop

from hub.bench import children, events

WARM_SECONDS = 0.5
PATIENCE_SECONDS = 10.0
SEED = 7


@dataclass(frozen=True, slots=True)
class Job:
    """What to send. `rate` makes it open, `requests` bounds it by number instead of by time.

    `keeps_due` has it tell when each request that was answered well had been due.
    """

    port: int
    path: str
    write_key: str
    run: str
    batch: int = 0
    connections: int = 64
    seconds: float = 3.0
    requests: int = 0
    rate: float = 0.0
    users: int = events.USERS
    keeps_due: bool = False
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Offered:
    """How it went. `per_second` counts good answers after the warm-up, times are in milliseconds."""

    sent: int
    good: int
    bad: int
    seconds: float
    per_second: float
    p50: float
    p99: float
    worst: float
    cpu_seconds: float
    due: list[tuple[int, float]] = field(default_factory=list)


def offer(job: Job) -> Offered:
    """Run the generator on a job."""
    return Offered(**children.ask("load", asdict(job)))


class Line(asyncio.Protocol):
    """One connection; at most one request is under way on it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rest = b""
        self.due = 0.0
        self.number = 0
        self.is_busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_busy:
            self.is_busy = False
            self._load.lost(self)

    def ask(self, request: bytes, due: float) -> None:
        self.due, self.is_busy = due, True
        if self.transport is not None:
            self.transport.write(request)

    def data_received(self, piece: bytes) -> None:
        data = self._rest + piece if self._rest else piece
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0 or len(data) < head_end + 4 + answer_length(data[:head_end]):
            self._rest = data
            return
        self._rest, self.is_busy = b"", False
        self._load.answered(self, data[9:12])


def answer_length(head: bytes) -> int:
    lowered = head.lower()
    place = lowered.find(b"\r\ncontent-length:")
    return int(lowered[place + 17 :].partition(b"\r")[0]) if place >= 0 else 0


class Load:
    """One run of the generator."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._body = events.batch(job.run, job.batch) if job.batch else events.single(job.run)
        self._head = request_head(job, len(self._body))
        self._idle: deque[Line] = deque()
        self._late: deque[float] = deque()
        self._sent = self._good = self._bad = 0
        self._counted = 0
        self._is_all_offered = False
        self._latencies: list[float] = []
        self._due: list[tuple[int, float]] = []
        self._done = asyncio.Event()
        self._began_at = self._ends_at = 0.0
        self._last_at = 0.0

    async def run(self) -> Offered:
        """Connect, send, wait for the last answers."""
        loop = asyncio.get_running_loop()
        job = self.job
        pairs = [await loop.create_connection(lambda: Line(self), job.host, job.port) for _ in range(job.connections)]
        self._idle.extend(line for _, line in pairs)
        self._began_at = time.monotonic()
        self._ends_at = self._began_at + job.seconds
        if job.rate:
            await self._send_when_due()
        else:
            while self._idle and not self._is_over(self._began_at):
                self._ask(self._idle.popleft(), time.monotonic())
        timeout = PATIENCE_SECONDS + (600 if job.requests else job.seconds)
        async with asyncio.timeout(timeout):
            await self._done.wait()
        for transport, _ in pairs:
            transport.abort()
        return self._offered()

    async def _send_when_due(self) -> None:
        random = Random(SEED)  # noqa: S311 - arrivals, not secrets
        due = time.monotonic() + random.expovariate(self.job.rate)
        while due < self._ends_at:
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._ask(self._idle.popleft(), due)
            else:
                self._late.append(due)
            due += random.expovariate(self.job.rate)
        self._is_all_offered = True
        self._finish_if_over()

    def answered(self, line: Line, status: bytes) -> None:
        now = self._last_at = time.monotonic()
        if status == b"200":
            self._good += 1
            self._latencies.append(now - line.due)
            if self.job.keeps_due:
                self._due.append((line.number, line.due))
            if self._began_at + WARM_SECONDS <= now <= self._ends_at:
                self._counted += 1
        else:
            self._bad += 1
        if self._late:
            self._ask(line, self._late.popleft())
        elif not self.job.rate and not self._is_over(now):
            self._ask(line, now)
        else:
            self._idle.append(line)
            self._finish_if_over()

    def lost(self, line: Line) -> None:
        """A connection broke under a request; it is not opened again, the answer counts as bad."""
        self._bad += 1
        self._finish_if_over()

    def _ask(self, line: Line, due: float) -> None:
        line.number = self._sent
        line.ask(self._head + events.numbered(self._body, self._sent, self.job.users), due)
        self._sent += 1

    def _is_over(self, now: float) -> bool:
        if self.job.rate:
            return self._is_all_offered
        return self._sent >= self.job.requests if self.job.requests else now >= self._ends_at

    def _finish_if_over(self) -> None:
        if self._good + self._bad >= self._sent and not self._late and self._is_over(time.monotonic()):
            self._done.set()

    def _offered(self) -> Offered:
        seconds = max(self._last_at - self._began_at, 1e-9)
        timed = self.job.seconds - WARM_SECONDS
        by_time = not self.job.requests and timed > 0
        in_order = sorted(self._latencies)
        return Offered(
            sent=self._sent,
            good=self._good,
            bad=self._bad,
            seconds=seconds,
            per_second=self._counted / timed if by_time else self._good / seconds,
            p50=percentile(in_order, 0.5) * 1000,
            p99=percentile(in_order, 0.99) * 1000,
            worst=(in_order[-1] if in_order else 0.0) * 1000,
            cpu_seconds=time.process_time(),
            due=self._due,
        )


def percentile(in_order: list[float], share: float) -> float:
    """The value below which this share of a sorted list lies; 0 of an empty one."""
    return in_order[min(len(in_order) - 1, int(len(in_order) * share))] if in_order else 0.0


def request_head(job: Job, length: int) -> bytes:
    credentials = base64.b64encode(f"{job.write_key}:".encode()).decode()
    lines = (
        f"POST {job.path} HTTP/1.1",
        f"Host: {job.host}:{job.port}",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def work(job: Mapping[str, Any]) -> Offered:
    gc.freeze()
    gc.disable()
    return uvloop.run(Load(Job(**job)).run())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(work(json.load(sys.stdin)))))
