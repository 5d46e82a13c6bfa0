"""Filling the log while a destination waits, and watching how quickly it is delivered once it may go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from hub.bench import events, load, posting, workspace
from hub.bench.load import Job
from hub.bench.receiver import Arrived, ReceiverClient
from hub.bench.workspace import Filled
from hub.delivery import services as delivery
from hub.delivery.models import OutcomeCount, Pipeline
from tenants import services
from tenants.models import Destination

PATIENCE_SECONDS = 180.0
# Each look costs the machine that is measured some milliseconds of it.
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Drained:
    """One backlog delivered: events a second until durable in the books, and what the receiver saw of it."""

    per_second: float
    at_receiver_per_second: float
    first_call_ms: float
    arrived: Arrived


def fill_log(port: int, filled: Filled, run: str, count: int, *, connections: int = 8, users: int = 0) -> float:
    """Have the product accept so many events; how many seconds that took.

    `users` gives the run so many users for each place of a batch.
    With one connection the log holds them in the order of their numbers.
    """
    job = Job(
        port,
        "/v1/batch",
        filled.write_key,
        run,
        batch=events.BATCH,
        connections=connections,
        requests=count // events.BATCH,
        users=users or events.USERS,
    )
    offered = load.offer(job)
    if offered.bad:
        raise RuntimeError(f"{offered.bad} of {offered.sent} requests were refused")
    return offered.seconds


def hold(destinations: Sequence[Destination]) -> None:
    """Let destinations wait, and wait until nothing of theirs is under way."""
    for destination in destinations:
        services.pause_destination(destination, "benchmark", workspace.ACTOR)
    leased = Pipeline.objects.filter(destination_id__in=ids(destinations), lease_until__isnull=False)
    wait_until(lambda: not leased.exists())


def drain(hook: ReceiverClient, destinations: Sequence[Destination], count: int) -> Drained:
    """Let destinations go on until each has delivered so many events more."""
    total, already = count * len(destinations), delivered(destinations)
    hook.reset()
    began_at = time.monotonic()
    for destination in destinations:
        delivery.resume(destination, workspace.ACTOR)
    wait_until(lambda: delivered(destinations) - already >= total)
    durable_at = time.monotonic()
    arrived = hook.count()
    return Drained(
        per_second=total / (durable_at - arrived.first_at),
        at_receiver_per_second=arrived.count / max(arrived.last_at - arrived.first_at, 1e-9),
        first_call_ms=(arrived.first_at - began_at) * 1000,
        arrived=arrived,
    )


def delivered(destinations: Sequence[Destination]) -> int:
    """How many events the books call delivered."""
    counts = OutcomeCount.objects.filter(destination_id__in=ids(destinations))
    return int(counts.aggregate(total=Sum("delivered"))["total"] or 0)


def ids(destinations: Sequence[Destination]) -> list[Any]:
    return [destination.pk for destination in destinations]


def receiver_ceiling(hook: ReceiverClient, seconds: float) -> float:
    """What the receiver takes from the load generator, so that it is known not to be what is measured."""
    job = Job(hook.port, "/ceiling", "none", "ceiling", seconds=max(seconds, load.WARM_SECONDS * 2))
    return load.offer(job).per_second


def bare_loop(hook: ReceiverClient, path: str, bodies: Sequence[bytes]) -> float:
    """The limit: ready bodies posted by libcurl with nothing around it; calls a second."""
    return posting.post_all(f"{hook.url}{path}", bodies)


def singles(run: str, count: int) -> list[bytes]:
    """Ready bodies of one event each."""
    body = events.single(run)
    return [events.numbered(body, number) for number in range(count)]


def wait_until(is_so: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
    """Look again and again, for a bounded time."""
    ends_at = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > ends_at:
            raise TimeoutError("The product did not get there in time.")
        time.sleep(LOOK_SECONDS)


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the books as JSON takes them."""
    return [
        {name: value if isinstance(value, int | str) else str(value) for name, value in row.items()} for row in rows
    ]
