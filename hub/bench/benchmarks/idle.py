"""What the product takes while nothing happens: memory of all its processes, and processor time."""

from __future__ import annotations

import time
from statistics import median

from hub.bench import installation
from hub.bench.processes import cpu_seconds, descendants, name_of, pss_mb, used_by
from hub.bench.report import LESS_IS_BETTER, Bound, Options, Report

NEEDS_PRODUCT = True
WORKERS = 1
MEMORY_MB, CPU_PERCENT = 400.0, 2.0
SECONDS = 20.0
SETTLE_SECONDS = 5.0
SERVERS = ("postgres", "redis")


def run(options: Options) -> Report:
    """Watch the whole tree, from the launcher down."""
    product = installation.current()
    seconds = options.seconds or SECONDS
    time.sleep(min(SETTLE_SECONDS, seconds))
    memory, processor, servers = [], [], []
    for _ in range(options.runs):
        tree = descendants(product.pid)
        before, began_at = {pid: cpu_seconds(pid) for pid in tree}, time.monotonic()
        time.sleep(seconds / options.runs)
        spent = sum(max(0.0, cpu_seconds(pid) - before[pid]) for pid in tree)
        processor.append(100 * spent / (time.monotonic() - began_at))
        memory.append(used_by(product.pid).pss_mb)
        servers.append(sum(used_by(product.pids[name]).pss_mb for name in SERVERS))
        options.say(f"idle {memory[-1]:.0f} MB, {processor[-1]:.1f} % of one core")
    each = sorted(((round(pss_mb(pid), 1), name_of(pid)) for pid in descendants(product.pid)), reverse=True)
    percent = median(processor)
    return Report(
        name="idle",
        unit="MB",
        runs=memory,
        limits=servers,
        limit_is="the embedded PostgreSQL and Valkey alone",
        floor=MEMORY_MB,
        sense=LESS_IS_BETTER,
        also=[Bound("processor time, % of one core", percent, LESS_IS_BETTER, CPU_PERCENT)],
        others={
            "cpu_percent": round(percent, 2),
            "cpu_percent_runs": [round(one, 2) for one in processor],
            "seconds": seconds,
            "process_count": len(each),
            "largest": [f"{size} MB {name}" for size, name in each[:8]],
        },
    )
