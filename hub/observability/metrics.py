"""Counters and gauges of the product; their names are a contract with the people who watch them.

Each process counts for itself. Set PROMETHEUS_MULTIPROC_DIR (`up` does) and `/metrics` adds up all processes.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from hub.lib.env import envstr

ingest_events = Counter("ingest_events_total", "Messages by what became of them.", ["result"])
ingest_seconds = Histogram(
    "ingest_seconds",
    "From the moment a request's events were handed over to be stored until they were durable.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ingest_refused = Counter("ingest_refused_total", "Requests of the tracking API refused as a whole, by code.", ["code"])
inbound_calls = Counter(
    "inbound_calls_total", "Calls to webhook sources by what became of them.", ["connector", "result"]
)
oauth_token_requests = Counter("oauth_token_requests_total", "Requests for tokens by what became of them.", ["result"])
delivery_attempts = Counter("delivery_attempts_total", "Outbound tries by outcome.", ["outcome"])
order_breaks = Counter("order_breaks_total", "Events that started before an earlier one of their user had ended.")
order_given_up = Counter("order_given_up_total", "Events that went out of order by their owner's choice.")
poisoned = Counter("worker_crash_events_total", "Events that ended because workers died on them.")
dead = Counter("dead_total", "Deliveries that ended badly, by reason.", ["reason"])
filtered = Counter("filtered_total", "Events that were not for their destination, by reason.", ["reason"])
expired = Counter("expired_total", "Deliveries that retention ended.")
fenced = Counter("fenced_total", "Commits refused because the lease had passed to another worker.")
lease_expired = Counter("lease_expired_total", "Leases that ran out without a release.")
hint_lost = Counter("hint_lost_total", "Pipelines that the scheduler found due without a hint.")
ingest_shed = Counter("ingest_shed_total", "Requests that were sent away for want of capacity or room.", ["reason"])
ssrf_blocked = Counter("ssrf_blocked_total", "Outbound connections that the gate refused.")
connector_bugs = Counter("connector_bugs_total", "Events on which a connector's own code failed.", ["connector"])
circuit_changes = Counter("circuit_changes_total", "Circuits by what they changed to.", ["to"])
limiter_fallbacks = Counter(
    "limiter_fallbacks_total", "Times that rate limits went on without Valkey, by each process's own share."
)
lookups = Counter("lookups_total", "Look-ups before a delivery, by who knew the answer.", ["by"])
lookup_memory_failures = Counter("lookup_memory_failures_total", "Times that look-ups found no Valkey to remember by.")
job_polls = Counter("job_polls_total", "Questions after work that receivers took on, by what came of them.", ["result"])
connector_tests = Counter("connector_tests_total", "Events tried out at a destination, by kind.", ["kind"])
tokens = Counter("tokens_total", "Tokens that vendors were asked for, by what came of it.", ["scheme", "result"])
sign_ins = Counter("sign_ins_total", "Owners sent to a vendor to sign in, by what came of it.", ["result"])
suppressed = Counter("suppressed_total", "Messages of suppressed people.")
resharded = Counter("resharded_total", "Times that a destination's pipelines were dealt anew.")
retry_rows = Gauge("retry_rows", "Rows waiting for another try.", multiprocess_mode="mostrecent")
horizon_lag = Gauge("log_horizon_lag_seconds", "Age of the oldest writing transaction.", multiprocess_mode="mostrecent")
oldest_undelivered = Gauge(
    "pipeline_oldest_undelivered_seconds",
    "Age of the oldest event that waits: of all, and of the workspaces furthest behind.",
    ["workspace"],
    multiprocess_mode="mostrecent",
)
circuit_open = Gauge("circuit_open", "Pipelines whose circuit is open.", multiprocess_mode="mostrecent")
partition_default_rows = Gauge(
    "partition_default_rows", "Rows that found no partition of their own.", multiprocess_mode="mostrecent"
)
backlogs_at_risk = Gauge(
    "pipelines_near_retention", "Pipelines whose backlog is past half of its retention.", multiprocess_mode="mostrecent"
)
disk_free = Gauge("disk_free_ratio", "Free share of the data volume.", multiprocess_mode="mostrecent")
ledger_difference = Gauge("ledger_difference", "Events that the books cannot explain.", multiprocess_mode="mostrecent")
failure_count_difference = Gauge(
    "failure_count_difference",
    "Dead letters by which the counts of failures were wrong at the last check.",
    multiprocess_mode="mostrecent",
)
secret_key_rows = Gauge(
    "secret_key_rows", "Secrets by the key that sealed them.", ["key_id"], multiprocess_mode="mostrecent"
)
replays = Counter("replays_total", "Replays by what became of them.", ["state"])
replays_active = Gauge("replays_active", "Replays that run or are paused.", multiprocess_mode="mostrecent")
jobs = Gauge("jobs", "Background jobs by state.", ["state"], multiprocess_mode="mostrecent")


def exposition() -> bytes:
    """All metrics in the text format of Prometheus, added up over processes where they share a folder."""
    if not envstr("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
