"""Delivery: one signed HTTP call for each event to one receiver, outcomes durable.

The log is filled while the destination is paused; then it is resumed, and the clock runs from the first call that
arrives until the books say that every event has been delivered. In the end the books must balance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from hub.bench import events, installation, load, posting, receiver, workspace
from hub.bench.load import Job
from hub.bench.receiver import ReceiverClient
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report
from hub.bench.workspace import Filled
from hub.delivery import ledger
from hub.delivery import services as delivery
from hub.delivery.models import OutcomeCount, Pipeline
from tenants import services
from tenants.models import Destination

NEEDS_PRODUCT = True
FLOOR = 15_000.0
SECONDS = 4.0
# How many events one second of the benchmark is worth: about what is delivered in it.
EVENTS_A_SECOND = 15_000
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Delivered:
    """One run."""

    per_second: float
    at_receiver_per_second: float
    repeats: int
    first_call_ms: float


def run(options: Options) -> Report:
    """Interleave the product and a bare loop that posts the same bodies to the same receiver."""
    product = installation.current()
    seconds = options.seconds or SECONDS
    count = max(1, int(seconds * EVENTS_A_SECOND) // events.BATCH) * events.BATCH
    found, limits = [], []
    with receiver.receiving() as hook:
        ceiling = receiver_ceiling(hook, min(seconds, 2.0))
        filled = workspace.make()
        destination = workspace.add_webhook(filled, f"{hook.url}/hook")
        for number in range(options.runs):
            limits.append(bare_loop(hook, f"bare{number}", min(count, 40_000)))
            fill_log(product.port, filled, destination, f"deliver{number}", count)
            found.append(deliver_all(hook, destination, count))
            options.say(f"deliver {found[-1].per_second:.0f}/s, limit {limits[-1]:.0f}/s")
    books = ledger.balance()
    return Report(
        name="deliver",
        unit="deliveries/s",
        runs=[one.per_second for one in found],
        limits=limits,
        limit_is=f"a bare libcurl loop with {posting.HANDLES} handles, bodies ready and unsigned",
        floor=FLOOR,
        also=[Bound("difference of the books", float(books["difference"]), LESS_IS_BETTER, 0.0)],
        others={
            "events_a_run": count,
            "at_receiver_per_second": [round(one.at_receiver_per_second) for one in found],
            "receiver_ceiling": round(ceiling),
            "repeats": sum(one.repeats for one in found),
            "resume_to_first_call_ms": [round(one.first_call_ms, 1) for one in found],
            "ledger": {"difference": books["difference"], "destinations": plain(books["destinations"])},
        },
    )


def receiver_ceiling(hook: ReceiverClient, seconds: float) -> float:
    """What the receiver takes from the load generator, so that it is known not to be what is measured."""
    job = Job(hook.port, "/ceiling", "none", "ceiling", seconds=max(seconds, load.WARM_SECONDS * 2))
    return load.offer(job).per_second


def bare_loop(hook: ReceiverClient, run: str, count: int) -> float:
    body = events.single(run)
    return posting.post_all(f"{hook.url}/bare", [events.numbered(body, number) for number in range(count)])


def fill_log(port: int, filled: Filled, destination: Destination, run: str, count: int) -> None:
    """Have the product accept so many events while the destination waits."""
    services.pause_destination(destination, "benchmark", workspace.ACTOR)
    wait_until(lambda: not Pipeline.objects.filter(destination_id=destination.pk, lease_until__isnull=False).exists())
    requests = count // events.BATCH
    job = Job(port, "/v1/batch", filled.write_key, run, batch=events.BATCH, connections=8, requests=requests)
    offered = load.offer(job)
    if offered.bad:
        raise RuntimeError(f"{offered.bad} of {offered.sent} requests were refused")


def deliver_all(hook: ReceiverClient, destination: Destination, count: int) -> Delivered:
    """Resume, and wait for the end."""
    already = delivered(destination)
    hook.reset()
    began_at = time.monotonic()
    delivery.resume(destination, workspace.ACTOR)
    wait_until(lambda: delivered(destination) - already >= count)
    durable_at = time.monotonic()
    tally = hook.count()
    return Delivered(
        per_second=count / (durable_at - tally.first_at),
        at_receiver_per_second=tally.count / max(tally.last_at - tally.first_at, 1e-9),
        repeats=tally.count - count,
        first_call_ms=(tally.first_at - began_at) * 1000,
    )


def delivered(destination: Destination) -> int:
    """How many events the books call delivered."""
    counts = OutcomeCount.objects.filter(destination_id=destination.pk)
    return int(counts.aggregate(total=Sum("delivered"))["total"] or 0)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again, for a bounded time."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > ends_at:
            raise TimeoutError("The product did not get there in time.")
        time.sleep(LOOK_SECONDS)


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value if isinstance(value, int | str) else str(value) for name, value in row.items()} for row in rows
    ]
