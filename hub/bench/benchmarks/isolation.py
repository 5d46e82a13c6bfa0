"""Isolation: what nine hanging destinations, or one loud workspace, cost somebody who has nothing to do with them.

Ten destinations get the same events. Nine of them never answer, so each of their calls ends after thirty seconds. The
tenth's times from the sending of an event to its arrival, and its rate through a backlog, are set beside those of the
same run with the nine switched off. Then a second workspace sends fifty times as much as the first: 2,000 events a
second, which two cores carry with room to spare, so that what is felt is the neighbour and not a machine that is full.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from statistics import median

from hub.bench import draining, installation, load, receiver, workspace
from hub.bench.load import Job, percentile
from hub.bench.receiver import ReceiverClient
from hub.bench.report import LESS_IS_BETTER, MORE_IS_BETTER, Bound, Options, Report
from hub.bench.workspace import Filled
from hub.delivery import ledger
from hub.delivery import services as delivery
from tenants import services
from tenants.models import Destination

NEEDS_PRODUCT = True
WORKERS = 1
P99_TIMES, RATE_SHARE, NOISY_P99_TIMES = 1.2, 0.9, 1.5
SECONDS = 8.0
HANGING = 9
HANG_SETTINGS = {"timeout": 30}
PER_SECOND = 40.0
LOUD_TIMES = 50
LOUD_BATCH = 20
LOUD_BEFORE_SECONDS = 1.0
BACKLOG_A_SECOND = 3_000
ARRIVAL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Times:
    """p99 in ms from when an event was due to be sent: until it was stored and answered, and until it arrived."""

    stored_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Felt:
    """What the tenth destination saw: times of single events, events a second through a backlog."""

    times: Times
    per_second: float

    @property
    def p99_ms(self) -> float:
        return self.times.p99_ms


@dataclass(frozen=True, slots=True)
class Stage:
    """Who takes part in one run."""

    port: int
    hook: ReceiverClient
    filled: Filled
    tenth: Destination
    hanging: list[Destination]
    seconds: float


def run(options: Options) -> Report:
    """Interleave quiet and disturbed runs."""
    product = installation.current()
    quiet, beside_hanging, noisy = [], [], []
    with receiver.receiving() as hook:
        stage = make_stage(product.port, hook, options.seconds or SECONDS)
        for number in range(options.runs):
            switch(stage, on=False)
            quiet.append(feel(stage, f"quiet{number}"))
            noisy.append(beside_a_loud_workspace(stage, f"noisy{number}"))
            switch(stage, on=True)
            beside_hanging.append(feel(stage, f"hanging{number}"))
            options.say(f"isolation: quiet {quiet[-1]}, hanging {beside_hanging[-1]}, noisy {noisy[-1]}")
    return report(quiet, beside_hanging, noisy)


def make_stage(port: int, hook: ReceiverClient, seconds: float) -> Stage:
    filled = workspace.make()
    tenth = workspace.add_webhook(filled, f"{hook.url}/traced")
    hanging = [workspace.add_webhook(filled, f"{hook.url}/hang", HANG_SETTINGS) for _ in range(HANGING)]
    return Stage(port, hook, filled, tenth, hanging, seconds)


def switch(stage: Stage, *, on: bool) -> None:
    """Switch the nine on or off; on, wait until their calls hang."""
    for destination in stage.hanging:
        services.set_destination_enabled(destination, on, actor=workspace.ACTOR)
    if on:
        # What an earlier run has taught their circuits would keep them from being called for minutes.
        draining.hold(stage.hanging)
        for destination in stage.hanging:
            delivery.resume(destination, workspace.ACTOR)
        draining.fill_log(stage.port, stage.filled, "warm", 200)
        draining.wait_until(lambda: stage.hook.count().hanging >= HANGING)


def feel(stage: Stage, run: str) -> Felt:
    """Offer single events for a while; then let the tenth work off a backlog."""
    times = times_of(stage, run)
    count = int(stage.seconds * BACKLOG_A_SECOND) // 100 * 100
    draining.hold([stage.tenth])
    draining.fill_log(stage.port, stage.filled, f"{run}b", count)
    return Felt(times, draining.drain(stage.hook, [stage.tenth], count).per_second)


def times_of(stage: Stage, run: str) -> Times:
    """Offer single events and wait until all have arrived."""
    stage.hook.reset()
    job = Job(
        stage.port,
        "/v1/track",
        stage.filled.write_key,
        run,
        connections=16,
        seconds=stage.seconds,
        rate=PER_SECOND,
        keeps_due=True,
    )
    offered = load.offer(job)
    due = {f"{run}-{number:010d}-000": at for number, at in offered.due}
    draining.wait_until(lambda: due.keys() <= stage.hook.arrivals().keys(), ARRIVAL_SECONDS)
    arrivals = stage.hook.arrivals()
    return Times(offered.p99, percentile(sorted(arrivals[name] - at for name, at in due.items()), 0.99) * 1000)


def beside_a_loud_workspace(stage: Stage, run: str) -> Times:
    """The same while another workspace sends fifty times as many events, a few to a request, to a hook of its own."""
    loud = workspace.make()
    workspace.add_webhook(loud, f"{stage.hook.url}/hook")
    rate = PER_SECOND * LOUD_TIMES / LOUD_BATCH
    job = Job(
        stage.port, "/v1/batch", loud.write_key, f"{run}l", batch=LOUD_BATCH, rate=rate, seconds=stage.seconds + 3
    )
    shouting = threading.Thread(target=load.offer, args=[job])
    shouting.start()
    time.sleep(LOUD_BEFORE_SECONDS)
    try:
        return times_of(stage, run)
    finally:
        shouting.join()


def report(quiet: list[Felt], hanging: list[Felt], noisy: list[Times]) -> Report:
    """The figure is the tenth's p99 as a multiple of quiet."""
    books = ledger.balance()
    times = [other.p99_ms / one.p99_ms for one, other in zip(quiet, hanging, strict=True)]
    shares = [other.per_second / one.per_second for one, other in zip(quiet, hanging, strict=True)]
    beside_noise = [other.p99_ms / one.p99_ms for one, other in zip(quiet, noisy, strict=True)]
    return Report(
        name="isolation",
        unit="times the quiet p99",
        runs=times,
        limits=[1.0 for _ in times],
        limit_is="the same destination in the same run with the nine switched off",
        floor=P99_TIMES,
        sense=LESS_IS_BETTER,
        also=[
            Bound("rate, share of quiet", median(shares), MORE_IS_BETTER, RATE_SHARE),
            Bound("p99 beside a loud workspace, times quiet", median(beside_noise), LESS_IS_BETTER, NOISY_P99_TIMES),
            Bound("difference of the books", float(books["difference"]), LESS_IS_BETTER, 0.0),
        ],
        others={
            "quiet_p99_ms": [round(one.p99_ms, 1) for one in quiet],
            "hanging_p99_ms": [round(one.p99_ms, 1) for one in hanging],
            "noisy_p99_ms": [round(one.p99_ms, 1) for one in noisy],
            "quiet_stored_p99_ms": [round(one.times.stored_ms, 1) for one in quiet],
            "noisy_stored_p99_ms": [round(one.stored_ms, 1) for one in noisy],
            "events_per_second": PER_SECOND,
            "noisy_events_per_second": PER_SECOND * LOUD_TIMES,
            "quiet_per_second": [round(one.per_second) for one in quiet],
            "hanging_per_second": [round(one.per_second) for one in hanging],
            "hanging_destinations": HANGING,
        },
    )
