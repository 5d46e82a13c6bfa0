"""Delivery in order per user: without failures, and with every fifth call refused beside the same without order.

A thousand users with their events in turn. The receiver watches that no event of a user is tried while an earlier one
of the same user is still to arrive. With failures the clock runs until 95 of 100 have been accepted; the rest waits for
long steps of the backoff. It is read at three quarters as well, which the first tries alone bring: until then order
costs its full price, for a user's later events wait for an earlier one, and nobody else's do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from hub.bench import draining, events, installation, posting, receiver, workspace
from hub.bench.receiver import Arrived, ReceiverClient
from hub.bench.report import LESS_IS_BETTER, MORE_IS_BETTER, Bound, Options, Report
from hub.delivery import ledger
from hub.delivery import services as delivery
from tenants.models import Destination

NEEDS_PRODUCT = True
WORKERS = 2
FLOOR = 8_000.0
SHARE_OF_UNORDERED = 0.7
SECONDS = 4.0
EVENTS_A_SECOND = 15_000
USERS = 1_000
SHARDS = 2
FAILED_PERCENT = 20
SHARES = (0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Trial:
    """One destination at a receiver that refuses calls: accepted a second up to each share, and what it saw."""

    per_second: tuple[float, ...]
    arrived: Arrived


def run(options: Options) -> Report:
    """Interleave bare loop, ordered without failures, and both kinds with failures."""
    product = installation.current()
    seconds = options.seconds or SECONDS
    count = max(1, int(seconds * EVENTS_A_SECOND) // USERS) * USERS
    found, limits, ordered, unordered = [], [], [], []
    with receiver.receiving() as hook:
        for number in range(options.runs):
            limits.append(draining.bare_loop(hook, "/bare", draining.singles(f"bare{number}", min(count, 40_000))))
            filled = workspace.make()
            sound = workspace.add_webhook(filled, f"{hook.url}/flaky/0", ordering="per_user", shards=SHARDS)
            failing = f"{hook.url}/flaky/{FAILED_PERCENT}"
            strict = workspace.add_webhook(filled, failing, ordering="per_user", shards=SHARDS)
            loose = workspace.add_webhook(filled, failing, shards=SHARDS)
            draining.hold([sound, strict, loose])
            users = USERS // events.BATCH
            draining.fill_log(product.port, filled, f"ordered{number}", count, connections=1, users=users)
            found.append(draining.drain(hook, [sound], count))
            unordered.append(trial(hook, loose, count))
            ordered.append(trial(hook, strict, count))
            options.say(
                f"deliver_ordered {found[-1].per_second:.0f}/s, limit {limits[-1]:.0f}/s; with failures up to "
                f"{SHARES}: {rounded(ordered[-1])} ordered, {rounded(unordered[-1])} not"
            )
    return report(count, found, limits, ordered, unordered)


def report(
    count: int, found: list[draining.Drained], limits: list[float], ordered: list[Trial], unordered: list[Trial]
) -> Report:
    """The figure is without failures; the ratios and the order are bounds beside it."""
    books = ledger.balance()
    watched = [one.arrived for one in found] + [one.arrived for one in ordered]
    inversions = sum(arrived.inversions for arrived in watched)
    shares = [share_of_unordered(*pair) for pair in zip(ordered, unordered, strict=True)]
    return Report(
        name="deliver_ordered",
        unit="deliveries/s",
        runs=[one.per_second for one in found],
        limits=limits,
        limit_is=f"a bare libcurl loop with {posting.HANDLES} handles, bodies ready and unsigned",
        floor=FLOOR,
        also=[
            Bound("inversions at the receiver", float(inversions), LESS_IS_BETTER, 0.0),
            Bound(
                "with failures, share of the rate without order, until 95 of 100 are accepted",
                median(share[-1] for share in shares),
                MORE_IS_BETTER,
                SHARE_OF_UNORDERED,
            ),
            Bound("difference of the books", float(books["difference"]), LESS_IS_BETTER, 0.0),
        ],
        others={
            "events_a_run": count,
            "users": USERS,
            "workers": WORKERS,
            "shards": SHARDS,
            "failed_percent": FAILED_PERCENT,
            "shares": SHARES,
            "share_of_unordered_by_run": shares,
            "ordered_with_failures_per_second": [rounded(one) for one in ordered],
            "unordered_with_failures_per_second": [rounded(one) for one in unordered],
            "repeats": sum(arrived.repeats for arrived in watched),
        },
    )


def trial(hook: ReceiverClient, destination: Destination, count: int) -> Trial:
    """Let one destination go on at a receiver that refuses calls, and hold it again in the end."""
    hook.reset()
    delivery.resume(destination, workspace.ACTOR)
    rates = []
    for share in SHARES:
        wanted = int(count * share)
        draining.wait_until(lambda wanted=wanted: hook.count().accepted >= wanted)  # type: ignore[misc]
        rates.append(wanted / (time.monotonic() - hook.count().first_at))
    draining.hold([destination])
    return Trial(tuple(rates), hook.count())


def share_of_unordered(strict: Trial, loose: Trial) -> list[float]:
    """Of the rate without order, at each of SHARES."""
    return [round(one / other, 2) for one, other in zip(strict.per_second, loose.per_second, strict=True)]


def rounded(one: Trial) -> list[int]:
    return [round(rate) for rate in one.per_second]
