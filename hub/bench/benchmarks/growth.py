"""Growth: whether an event costs as much with ten million events in the log as with a hundred thousand, and with two
thousand pipelines as with one.

Cost is the time per event of accepting a batch and of delivering it, each by itself. The log is the workspace's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from hub.bench import draining, events, history, installation, receiver, workspace
from hub.bench.receiver import ReceiverClient
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report
from hub.bench.workspace import Filled
from hub.delivery import ledger
from hub.delivery.models import Pipeline
from tenants import services

NEEDS_PRODUCT = True
WORKERS = 1
# Flat, but for what one run on a shared machine differs from the next.
MOST_TIMES = 1.3
SECONDS = 100.0
SIZES = (100_000, 1_000_000, 10_000_000)
PIPELINES = 2_000
PIPELINES_A_WORKSPACE = 100
EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds an event, of each run."""

    accept: list[float]
    deliver: list[float]

    def times(self, other: Cost) -> float:
        """How many times the other's cost this is, the worse of the two kinds."""
        return max(median(self.accept) / median(other.accept), median(self.deliver) / median(other.deliver))

    def told(self) -> dict[str, float]:
        return {"accept_us": round(median(self.accept), 1), "deliver_us": round(median(self.deliver), 1)}


def run(options: Options) -> Report:
    """Grow the log step by step, then the number of pipelines, and measure at each."""
    product = installation.current()
    scale = min(1.0, (options.seconds or SECONDS) / SECONDS)
    sizes = [int(size * scale) for size in SIZES]
    count = max(1, int(EVENTS * scale) // events.BATCH) * events.BATCH
    costs: list[Cost] = []
    with receiver.receiving() as hook:
        filled, have = workspace.make(), 0
        measure(product.port, hook, filled, "warm", count, 1)
        for size in sizes:
            history.grow(filled, have, size)
            have = size
            costs.append(measure(product.port, hook, filled, f"log{size}", count, options.runs))
            options.say(f"growth, {size} events in the log: {costs[-1].told()}")
        pipelines = max(2, int(PIPELINES * scale))
        add_pipelines(hook, pipelines)
        many = measure(product.port, hook, filled, "many", count, options.runs)
        options.say(f"growth, {pipelines} pipelines: {many.told()}")
    return report(sizes, costs, pipelines, many)


def measure(port: int, hook: ReceiverClient, filled: Filled, run: str, count: int, runs: int) -> Cost:
    """Accept and deliver so many events, some times over, to a destination that is new: it has none of the past."""
    destination = workspace.add_webhook(filled, f"{hook.url}/hook")
    accept, deliver = [], []
    for number in range(runs):
        draining.hold([destination])
        accept.append(draining.fill_log(port, filled, f"{run}-{number}", count) / count * 1e6)
        deliver.append(1e6 / draining.drain(hook, [destination], count).per_second)
    services.set_destination_enabled(destination, False, actor=workspace.ACTOR)
    return Cost(accept, deliver)


def add_pipelines(hook: ReceiverClient, count: int) -> None:
    """Other workspaces with destinations that have nothing to do."""
    others = [workspace.make() for _ in range(0, count, PIPELINES_A_WORKSPACE)]
    for number in range(count):
        workspace.add_webhook(others[number // PIPELINES_A_WORKSPACE], f"{hook.url}/hook")
    draining.wait_until(lambda: Pipeline.objects.count() >= count)


def report(sizes: list[int], costs: list[Cost], pipelines: int, many: Cost) -> Report:
    """The figure is the cost in the largest log as a multiple of that in the smallest."""
    books = ledger.balance()
    first, last = costs[0], costs[-1]
    pairs = zip(first.deliver, last.deliver, strict=True)
    return Report(
        name="growth",
        unit="times the cost of an event in the smallest log",
        runs=[last.times(first)],
        limits=[1.0],
        limit_is="no growth at all",
        floor=MOST_TIMES,
        sense=LESS_IS_BETTER,
        also=[
            Bound(f"with {pipelines} pipelines, times the cost with few", many.times(last), LESS_IS_BETTER, MOST_TIMES),
            Bound("difference of the books", float(books["difference"]), LESS_IS_BETTER, 0.0),
        ],
        others={
            "by_events_in_the_log": {str(size): cost.told() for size, cost in zip(sizes, costs, strict=True)},
            "by_pipelines": {str(pipelines): many.told()},
            "delivery_times_by_run": [round(late / early, 2) for early, late in pairs],
        },
    )
