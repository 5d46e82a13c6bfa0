"""A child says that it is ready by its own process id."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.launcher.ready import READY_FILE, is_marked_ready, mark_ready


def test_a_process_that_marked_itself_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READY_FILE, str(tmp_path / "worker"))
    mark_ready()
    assert is_marked_ready(tmp_path / "worker", os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == ["worker"]


def test_the_mark_of_an_earlier_process_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("1")
    assert not is_marked_ready(tmp_path / "worker", 11)


def test_a_process_without_a_supervisor_marks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FILE, raising=False)
    mark_ready()
