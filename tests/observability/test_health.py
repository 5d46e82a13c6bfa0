"""Health addresses: alive without a database, ready only with one, metrics for everybody who may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from hub.observability import health, metrics, storage


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


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
def test_a_probe_may_ask_by_address_under_any_name(path: str) -> None:
    assert Client(headers={"Host": "10.1.2.3:8000"}).get(path).status_code == 200
    assert Client(headers={"Host": "_"}).head(path).status_code == 200


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
def test_a_probe_can_only_ask(path: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(path)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db(transaction=True)
def test_ready_writes_what_an_event_would_write() -> None:
    def written() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_flush_lsn()::text, pg_snapshot_xmax(pg_current_snapshot())::text")
            return str(cursor.fetchone())

    before = written()
    assert Client().get("/ready").json()["ready"]
    assert written() != before


@pytest.mark.django_db(transaction=True)
def test_a_database_that_only_reads_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        problem = health._database()
        cursor.execute("RESET default_transaction_read_only")
    assert problem == "database_read_only"


@pytest.mark.parametrize(("free", "problem"), [(0.5, ""), (0.1, ""), (0.05, "disk_full")])
def test_a_nearly_full_disk_is_not_ready(monkeypatch: pytest.MonkeyPatch, free: float, problem: str) -> None:
    monkeypatch.setattr(storage, "disk_free", lambda path: free)
    assert health.disk_problem() == problem


def test_a_data_folder_that_is_not_there_is_a_problem(tmp_path: Path, settings: Any) -> None:
    settings.STORAGE_FOLDER = str(tmp_path / "unmounted")
    assert health.disk_problem() == "disk_away"
