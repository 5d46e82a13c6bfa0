"""Durable batch ingest: a hundred events a request, with checks, deduplication and every index."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from hub.bench import events, installation, load, workspace
from hub.bench.load import Job
from hub.bench.report import Options, Report
from hub.events.log import LogWriter, Submission
from hub.ingest import intake, services
from hub.ingest.decoding import decode
from hub.ingest.normalising import BATCH_LIMIT, Arrival
from hub.lib import postgres
from tenants.keys import SourceRef, find_source

NEEDS_PRODUCT = True
WORKERS = 1
FLOOR = 35_000.0
SECONDS = 4.0
CONNECTIONS = 16
REQUESTS_A_COMMIT = 5
LIMIT_COMMITS_A_SECOND = 60


def run(options: Options) -> Report:
    """Interleave the product and its log's own statement, which gets the same rows over one connection."""
    product, filled = installation.current(), workspace.make()
    seconds = options.seconds or SECONDS
    source = find_source(filled.write_key)
    if source is None:
        raise LookupError("The benchmark's own source is not known.")
    job = Job(
        *(product.port, "/v1/batch", filled.write_key, "batch"),
        batch=events.BATCH,
        connections=CONNECTIONS,
        seconds=seconds,
    )
    found, limits = [], []
    load.offer(replace(job, run="warm", seconds=1.0))
    for number in range(options.runs):
        limits.append(write_rows(source, f"limit{number}", int(seconds * LIMIT_COMMITS_A_SECOND)))
        found.append(load.offer(replace(job, run=f"batch{number}")))
        options.say(f"ingest_batch {found[-1].per_second * events.BATCH:.0f}/s, limit {limits[-1]:.0f}/s")
    return Report(
        name="ingest_batch",
        unit="events/s",
        runs=[one.per_second * events.BATCH for one in found],
        limits=limits,
        limit_is=f"the log's own statement over one connection, {REQUESTS_A_COMMIT * events.BATCH} rows a commit",
        floor=FLOOR,
        others={
            "event_bytes": len(events.single("batch")),
            "events_per_request": events.BATCH,
            "p50_ms": round(median(one.p50 for one in found), 2),
            "p99_ms": round(median(one.p99 for one in found), 2),
            "refused": sum(one.bad for one in found),
            "generator_core_share": round(median(one.cpu_seconds / one.seconds for one in found), 2),
        },
    )


def write_rows(source: SourceRef, run: str, commits: int) -> float:
    """Append ready-made rows as fast as one connection does; events a second."""
    submissions = prepared(source, run, commits * REQUESTS_A_COMMIT)
    writer = LogWriter(postgres.dsn)
    try:
        writer.append(prepared(source, f"{run}-first", 1))
        began_at = time.monotonic()
        for start in range(0, len(submissions), REQUESTS_A_COMMIT):
            writer.append(submissions[start : start + REQUESTS_A_COMMIT])
        return len(submissions) * events.BATCH / (time.monotonic() - began_at)
    finally:
        writer.close()


def prepared(source: SourceRef, run: str, requests: int, size: int = events.BATCH) -> Sequence[Submission]:
    """What the product makes of so many requests, ready for the log."""
    body, found = events.batch(run, size), []
    for number in range(requests):
        decoded = decode(events.numbered(body, number), "", BATCH_LIMIT)
        arrival = Arrival(services.received_now(), str(source.source_id), source.kind)
        taken = intake.take_in(*intake.messages_of(decoded, None)[:2], arrival)
        submission = services.submission_of(source, taken, arrival)
        if submission is not None:
            found.append(submission)
    return found
