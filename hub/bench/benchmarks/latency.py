"""From the sending of an event to its arrival at the receiver, on a system that has nothing else to do.

Timed by the sender's and the receiver's clocks, which are one: request sent → call arrived. It so includes the commit.
Idle means that an event has been delivered before the next one comes: within 100 ms of a hint a workspace's next one
waits its turn, so a trickle of ten events a second sees up to that much more.
"""

from __future__ import annotations

import base64
import http.client
import time
from random import Random
from statistics import median

from hub.bench import events, installation, receiver, workspace
from hub.bench.benchmarks.ingest_batch import prepared
from hub.bench.load import SEED, percentile
from hub.bench.receiver import ReceiverClient
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report
from hub.events.log import LogWriter
from hub.lib import postgres
from tenants.keys import SourceRef, find_source

NEEDS_PRODUCT = True
WORKERS = 1
P50_MS, P99_MS = 30.0, 200.0
SECONDS = 8.0
GAP_SECONDS = (0.12, 0.28)
PER_SECOND = 5.0
SETTLE_SECONDS = 3.0
ARRIVAL_SECONDS = 10.0


class Sender:
    """One kept connection that posts events one by one."""

    def __init__(self, port: int, path: str, write_key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._path = path
        token = base64.b64encode(f"{write_key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._connection.connect()

    def send(self, body: bytes) -> tuple[float, float]:
        """Post and wait for the answer; when it was sent and when it was answered."""
        sent_at = time.monotonic()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"refused with {response.status}")
        return sent_at, time.monotonic()

    def close(self) -> None:
        self._connection.close()


def run(options: Options) -> Report:
    """Send at random moments, wait for every arrival; in between, time the two steps that nobody can leave out."""
    product, filled = installation.current(), workspace.make()
    source = find_source(filled.write_key)
    if source is None:
        raise LookupError("The benchmark's own source is not known.")
    found: list[list[float]] = []
    from_answer: list[float] = []
    limits: list[float] = []
    with receiver.receiving() as hook:
        workspace.add_webhook(filled, f"{hook.url}/traced")
        sender = Sender(product.port, "/v1/track", filled.write_key)
        once(sender, hook, "warm", 5)
        time.sleep(SETTLE_SECONDS)
        for number in range(options.runs):
            limits.append(commit_and_post(source, hook, f"limit{number}"))
            sent = once(sender, hook, f"latency{number}", max(3, int((options.seconds or SECONDS) * PER_SECOND)))
            found.append(sorted(arrived - at for at, _, arrived in sent))
            from_answer += [arrived - answered for _, answered, arrived in sent]
            options.say(f"latency p50 {percentile(found[-1], 0.5) * 1000:.1f} ms, limit {limits[-1]:.1f} ms")
        sender.close()
    every = sorted(latency for run in found for latency in run)
    p99 = percentile(every, 0.99) * 1000
    return Report(
        name="latency",
        unit="ms",
        runs=[percentile(run, 0.5) * 1000 for run in found],
        limits=limits,
        limit_is="one commit of one event and one POST to the receiver, one after the other",
        floor=P50_MS,
        sense=LESS_IS_BETTER,
        also=[Bound("p99, ms", p99, LESS_IS_BETTER, P99_MS)],
        others={
            "p50_ms": round(percentile(every, 0.5) * 1000, 2),
            "p99_ms": round(p99, 2),
            "worst_ms": round(every[-1] * 1000, 2),
            "p50_ms_from_answer": round(median(from_answer) * 1000, 2),
            "events": len(every),
        },
    )


def once(sender: Sender, hook: ReceiverClient, run: str, count: int) -> list[tuple[float, float, float]]:
    """Send so many events; of each, when it was sent, answered, and at the receiver."""
    random = Random(SEED)  # noqa: S311 - arrivals, not secrets
    body, times = events.single(run), {}
    for number in range(count):
        time.sleep(random.uniform(*GAP_SECONDS))
        times[f"{run}-{number:010d}-000"] = sender.send(events.numbered(body, number))
    ends_at = time.monotonic() + ARRIVAL_SECONDS
    arrivals = hook.arrivals()
    while not times.keys() <= arrivals.keys():
        if time.monotonic() > ends_at:
            raise TimeoutError("Not every event arrived.")
        time.sleep(0.1)
        arrivals = hook.arrivals()
    return [(sent, answered, arrivals[name]) for name, (sent, answered) in times.items()]


def commit_and_post(source: SourceRef, hook: ReceiverClient, run: str, tries: int = 40) -> float:
    """The median of one commit and one POST in ms."""
    writer = LogWriter(postgres.dsn)
    sender = Sender(hook.port, "/limit", "none")
    spent = []
    body = events.single(run)
    try:
        for number, submission in enumerate(prepared(source, run, tries, size=1)):
            began_at = time.monotonic()
            writer.append([submission])
            sender.send(events.numbered(body, number))
            spent.append((time.monotonic() - began_at) * 1000)
    finally:
        writer.close()
        sender.close()
    return median(spent)
