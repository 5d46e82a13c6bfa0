"""The names of metrics are a contract, and a metric that nobody counts is a lie."""

from __future__ import annotations

import re

import pytest
from prometheus_client.metrics import MetricWrapperBase

from hub.observability import metrics
from tests.architecture.tree import ROOT

PROMISED = {
    "ingest_events_total", "ingest_seconds", "log_horizon_lag_seconds", "pipeline_oldest_undelivered_seconds",
    "delivery_attempts_total", "retry_rows", "dead_total", "expired_total", "circuit_open", "fenced_total",
    "lease_expired_total", "hint_lost_total", "suppressed_total", "ssrf_blocked_total", "partition_default_rows",
    "disk_free_ratio", "secret_key_rows", "order_breaks_total", "ledger_difference",
}  # fmt: skip
# Nothing can be counted under these names before the product has what they are about.
NOT_YET = {"suppressed"}
OURS = {name: each for name, each in vars(metrics).items() if isinstance(each, MetricWrapperBase)}
COUNTED = r"metrics\.{name}\b(?:\.labels\([^\n]*\))?\.(?:inc|set|observe)\("


def is_counted(name: str) -> bool:
    pattern = re.compile(COUNTED.format(name=name))
    files = (path for path in (ROOT / "hub").rglob("*.py") if path.name != "metrics.py")
    return any(pattern.search(path.read_text(encoding="utf-8")) for path in files)


def test_every_name_that_people_watch_is_told() -> None:
    text = metrics.exposition().decode()
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} >= PROMISED


@pytest.mark.parametrize("name", sorted(OURS.keys() - NOT_YET))
def test_every_metric_is_counted_somewhere(name: str) -> None:
    assert is_counted(name)


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_what_cannot_be_counted_yet_is_said_to_be_so(name: str) -> None:
    assert not is_counted(name), "it is counted now: take it out of NOT_YET"
    operations = (ROOT / "hub" / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.search(rf"`{name}_total`.*not counted yet", operations)
