"""Health addresses: alive without a database, ready only with one, metrics for everybody who may ask."""

from __future__ import annotations

import pytest
from django.test import Client

from hub.observability import metrics


def test_live_touches_nothing() -> None:
    answer = Client().get("/live")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_ready_says_yes_with_a_migrated_database() -> None:
    answer = Client().get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": []})


@pytest.mark.django_db
def test_metrics_carry_the_names_that_people_watch() -> None:
    metrics.delivery_attempts.labels("delivered").inc()
    text = Client().get("/metrics").content.decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {"delivery_attempts_total", "ingest_seconds", "retry_rows", "circuit_open", "ledger_difference"} <= names
