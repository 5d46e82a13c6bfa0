"""Delivery to a batch API: a hundred events a call, to four destinations at once, outcomes durable.

As in `deliver`, the log is filled while the destinations wait. Each of them gets every event.
"""

from __future__ import annotations

from hub.bench import draining, events, installation, posting, receiver, workspace
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report
from hub.delivery import ledger

NEEDS_PRODUCT = True
WORKERS = 2
FLOOR = 40_000.0
SECONDS = 4.0
DESTINATIONS = 4
EVENTS_A_SECOND = 10_000
CALL_EVENTS = 100


def run(options: Options) -> Report:
    """Interleave the product and a bare loop that posts ready bodies of a hundred events."""
    product = installation.current()
    seconds = options.seconds or SECONDS
    count = max(1, int(seconds * EVENTS_A_SECOND) // events.BATCH) * events.BATCH
    found, limits = [], []
    with receiver.receiving() as hook:
        filled = workspace.make()
        settings = {"batch_size": CALL_EVENTS}
        hooks = [workspace.add_webhook(filled, f"{hook.url}/batch", settings) for _ in range(DESTINATIONS)]
        for number in range(options.runs):
            body = events.batch(f"bare{number}", CALL_EVENTS)
            calls = [events.numbered(body, each) for each in range(max(50, count // CALL_EVENTS))]
            limits.append(draining.bare_loop(hook, "/batch", calls) * CALL_EVENTS)
            draining.hold(hooks)
            draining.fill_log(product.port, filled, f"batch{number}", count)
            found.append(draining.drain(hook, hooks, count))
            options.say(f"deliver_batch {found[-1].per_second:.0f} events/s, limit {limits[-1]:.0f}/s")
    books = ledger.balance()
    return Report(
        name="deliver_batch",
        unit="events/s",
        runs=[one.per_second for one in found],
        limits=limits,
        limit_is=f"a bare libcurl loop with {posting.HANDLES} handles, {CALL_EVENTS} events a body, ready and unsigned",
        floor=FLOOR,
        also=[Bound("difference of the books", float(books["difference"]), LESS_IS_BETTER, 0.0)],
        others={
            "destinations": DESTINATIONS,
            "workers": WORKERS,
            "events_a_run": count * DESTINATIONS,
            "events_per_call": CALL_EVENTS,
            "repeats": sum(one.arrived.count - count * DESTINATIONS for one in found),
        },
    )
