"""Delivery: one signed HTTP call for each event to one receiver, outcomes durable.

Two worker processes share the destination's events by user, as on any machine with more than one core to use.
The log is filled while the destination is paused; then it is resumed, and the clock runs from the first call that
arrives until the books say that every event has been delivered. In the end the books must balance.
"""

from __future__ import annotations

from hub.bench import draining, events, installation, posting, receiver, workspace
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report
from hub.delivery import ledger

NEEDS_PRODUCT = True
WORKERS = 2
FLOOR = 15_000.0
SECONDS = 4.0
# One reader for each worker process: the events of one destination, shared out by user.
SHARDS = 2
# How many events one second of the benchmark is worth: about what is delivered in it.
EVENTS_A_SECOND = 15_000


def run(options: Options) -> Report:
    """Interleave the product and a bare loop that posts the same bodies to the same receiver."""
    product = installation.current()
    seconds = options.seconds or SECONDS
    count = max(1, int(seconds * EVENTS_A_SECOND) // events.BATCH) * events.BATCH
    found, limits = [], []
    with receiver.receiving() as hook:
        ceiling = draining.receiver_ceiling(hook, min(seconds, 2.0))
        filled = workspace.make()
        destination = workspace.add_webhook(filled, f"{hook.url}/hook", shards=SHARDS)
        for number in range(options.runs):
            limits.append(draining.bare_loop(hook, "/bare", draining.singles(f"bare{number}", min(count, 40_000))))
            draining.hold([destination])
            draining.fill_log(product.port, filled, f"deliver{number}", count)
            found.append(draining.drain(hook, [destination], count))
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
            "workers": WORKERS,
            "shards": SHARDS,
            "at_receiver_per_second": [round(one.at_receiver_per_second) for one in found],
            "receiver_ceiling": round(ceiling),
            "repeats": sum(one.arrived.count - count for one in found),
            "resume_to_first_call_ms": [round(one.first_call_ms, 1) for one in found],
            "ledger": {"difference": books["difference"], "destinations": draining.plain(books["destinations"])},
        },
    )
