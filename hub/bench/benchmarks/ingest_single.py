"""Durable single-event ingest: one event a request, acknowledged after its commit.

At saturation, and then at 2,000 requests a second whatever the server does, each timed from the instant it was due.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from hub.bench import installation, load, noop, workspace
from hub.bench.load import Job
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report

NEEDS_PRODUCT = True
WORKERS = 1
FLOOR = 6_500.0
RATE, P99_MS = 2_000.0, 25.0
SECONDS = 4.0


def run(options: Options) -> Report:
    """Interleave the product and the view that stores nothing."""
    product, filled = installation.current(), workspace.make()
    job = Job(product.port, "/v1/track", filled.write_key, "closed", seconds=options.seconds or SECONDS)
    found, limits, offered = [], [], []
    with noop.serving() as noop_port:
        load.offer(replace(job, run="warm", seconds=1.0))
        for number in range(options.runs):
            limits.append(load.offer(replace(job, port=noop_port)))
            found.append(load.offer(replace(job, run=f"closed{number}")))
            offered.append(load.offer(replace(job, run=f"open{number}", rate=RATE)))
            options.say(
                f"ingest_single {found[-1].per_second:.0f}/s, limit {limits[-1].per_second:.0f}/s, "
                f"at {RATE:.0f}/s p50 {offered[-1].p50:.1f} p99 {offered[-1].p99:.1f} ms"
            )
    p99 = median(one.p99 for one in offered)
    return Report(
        name="ingest_single",
        unit="requests/s",
        runs=[one.per_second for one in found],
        limits=[one.per_second for one in limits],
        limit_is="the same server and front door with a view that parses, answers and stores nothing",
        floor=FLOOR,
        also=[Bound(f"p99 at {RATE:.0f} requests/s offered, ms", p99, LESS_IS_BETTER, P99_MS)],
        others={
            "p50_ms_at_2000": round(median(one.p50 for one in offered), 2),
            "p99_ms_at_2000": round(p99, 2),
            "p99_ms_at_2000_runs": [round(one.p99, 2) for one in offered],
            "p99_ms_at_saturation": round(median(one.p99 for one in found), 2),
            "refused": sum(one.bad for one in [*found, *offered]),
            "generator_core_share": round(median(one.cpu_seconds / one.seconds for one in found), 2),
        },
    )
