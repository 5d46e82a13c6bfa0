"""Counters and gauges of the product; their names are a contract with the people who watch them.

Each process counts for itself. Set PROMETHEUS_MULTIPROC_DIR (`up` does) and `/metrics` adds up all processes.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from hub.lib.env import envstr

ingest_events = Counter("ingest_events_total", "Messages by what became of them.", ["result"])
ingest_seconds = Histogram(
    "ingest_seconds",
    "From the first byte of a request to its answer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
delivery_attempts = Counter("delivery_attempts_total", "Outbound tries by outcome.", ["outcome"])
dead = Counter("dead_total", "Deliveries that ended badly, by reason.", ["reason"])
expired = Counter("expired_total", "Deliveries that retention ended.")
fenced = Counter("fenced_total", "Commits refused because the lease had passed to another worker.")
lease_expired = Counter("lease_expired_total", "Leases that ran out without a release.")
hint_lost = Counter("hint_lost_total", "Pipelines that the scheduler found due without a hint.")
ssrf_blocked = Counter("ssrf_blocked_total", "Outbound connections that the gate refused.")
suppressed = Counter("suppressed_total", "Messages of suppressed people.")
retry_rows = Gauge("retry_rows", "Rows waiting for another try.", multiprocess_mode="mostrecent")
horizon_lag = Gauge("log_horizon_lag_seconds", "Age of the oldest writing transaction.", multiprocess_mode="mostrecent")
oldest_undelivered = Gauge(
    "pipeline_oldest_undelivered_seconds", "Age of the oldest event that waits.", multiprocess_mode="mostrecent"
)
circuit_open = Gauge("circuit_open", "Pipelines whose circuit is open.", multiprocess_mode="mostrecent")
partition_default_rows = Gauge(
    "partition_default_rows", "Rows that found no partition of their own.", multiprocess_mode="mostrecent"
)
disk_free = Gauge("disk_free_ratio", "Free share of the data volume.", multiprocess_mode="mostrecent")
ledger_difference = Gauge("ledger_difference", "Events that the books cannot explain.", multiprocess_mode="mostrecent")
secret_key_rows = Gauge(
    "secret_key_rows", "Secrets by the key that sealed them.", ["key_id"], multiprocess_mode="mostrecent"
)


def exposition() -> bytes:
    """All metrics in the text format of Prometheus, added up over processes where they share a folder."""
    if not envstr("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
