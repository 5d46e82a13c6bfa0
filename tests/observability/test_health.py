"""Health addresses: alive without a database, ready only with one, metrics for everybody who may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hub.observability import health, metrics


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


@pytest.mark.parametrize(("share", "problem"), [(0.01, ""), (1.0, "disk_full")])
def test_the_disk_that_counts_is_the_one_with_the_data(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, share: float, problem: str
) -> None:
    settings.DATA_FOLDER = str(tmp_path)
    monkeypatch.setattr(health, "DISK_RATIO_NEEDED", share)
    assert health.disk_problem() == problem


def test_a_data_folder_that_is_not_there_is_a_problem(tmp_path: Path, settings: Any) -> None:
    settings.DATA_FOLDER = str(tmp_path / "unmounted")
    assert health.disk_problem() == "disk_away"
