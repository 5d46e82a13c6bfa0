"""Each benchmark at a tiny size: what it measures is never asserted, only that it measures and tells all of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from hub.bench import installation, registry
from hub.bench.installation import NoProduct, clean_environment
from hub.launcher.product import PROJECT

KEYS = {"name", "figure", "unit", "limit", "ratio", "runs", "machine", "floor", "holds"}
OWN_KEYS = {
    "ingest_single": {"p50_ms_at_2000", "p99_ms_at_2000", "refused"},
    "ingest_batch": {"events_per_request", "p99_ms", "refused"},
    "deliver": {"receiver_ceiling", "repeats", "ledger", "events_a_run"},
    "deliver_batch": {"destinations", "repeats", "events_a_run"},
    "deliver_ordered": {"users", "repeats", "ordered_with_failures_per_second"},
    "growth": {"by_events_in_the_log", "by_pipelines"},
    "isolation": {"quiet_p99_ms", "hanging_p99_ms", "noisy_p99_ms"},
    "latency": {"p50_ms", "p99_ms", "events"},
    "idle": {"cpu_percent", "largest", "process_count"},
    "expressions": {"filters_per_second", "node"},
}


def check(document: Mapping[str, object], name: str) -> None:
    assert document["name"] == name
    assert document.keys() >= KEYS | OWN_KEYS[name]
    assert float(str(document["figure"])) > 0
    assert isinstance(document["holds"], bool)


def test_every_benchmark_is_found_by_its_file_and_has_a_test() -> None:
    assert registry.names() == sorted(OWN_KEYS)


def test_an_unknown_benchmark_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LookupError, match="ingest_batch"):
        registry.get("nothing")


def test_people_get_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    out = io.StringIO()
    call_command("bench", "expressions", seconds=0.02, runs=1, stdout=out, stderr=io.StringIO())
    assert "mappings/s" in out.getvalue()


@pytest.mark.parametrize("arguments", [[], ["expressions", "--runs", "0"]])
def test_a_command_without_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("bench", *arguments)


def test_another_installations_stores_and_secrets_are_left_behind() -> None:
    foreign = {"DATABASE_URL": "a", "REDIS_URL_FILE": "b", "SECRETS_KEYS": "c", "PATH": "/bin"}
    cleaned = clean_environment(foreign)
    assert cleaned["PATH"] == "/bin"
    assert cleaned["SECRETS_KEYS"] != "c"
    assert cleaned.keys() == {"PATH", "SECRET_KEY", "SECRETS_KEYS"}


def test_without_a_product_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(installation.VARIABLE, raising=False)
    with pytest.raises(NoProduct):
        installation.current()


@pytest.mark.fault
@pytest.mark.parametrize("name", sorted(OWN_KEYS.keys() - {"expressions"}))
def test_a_benchmark_runs_to_its_end_and_leaves_nothing_behind(name: str) -> None:
    argv = [sys.executable, str(PROJECT / "manage.py"), "bench", name, "--json", "--seconds", "1", "--runs", "1"]
    # pytest's own temporary folder is closed to the user that the database runs as.
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        Path(folder).chmod(0o711)
        done = subprocess.run(
            argv, env={**os.environ, "TMPDIR": folder}, stdout=subprocess.PIPE, check=True, timeout=240
        )
        check(json.loads(done.stdout), name)
        assert list(Path(folder).iterdir()) == []
