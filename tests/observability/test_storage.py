"""Room on the database's disk: which disk, what a share means, and what a real small volume says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.observability import metrics, storage
from hub.observability.storage import Disk, Room


@pytest.mark.parametrize(
    ("free", "room"),
    [(0.5, Room.AMPLE), (0.15, Room.AMPLE), (0.149, Room.SCARCE), (0.08, Room.SCARCE), (0.079, Room.FULL)],
)
def test_what_a_free_share_means(free: float, room: Room) -> None:
    assert storage.room_of(free) is room


@pytest.mark.parametrize(
    ("folder", "host", "watched"),
    [
        ("", "", "/data"),
        ("", "/run/postgresql", "/data"),
        ("", "127.0.0.1", "/data"),
        ("", "db.example.test", ""),
        ("/mnt/pg", "db.example.test", "/mnt/pg"),
        ("/mnt/pg", "", "/mnt/pg"),
    ],
)
def test_the_disk_that_counts_is_the_one_with_the_database(
    settings: Any, monkeypatch: pytest.MonkeyPatch, folder: str, host: str, watched: str
) -> None:
    settings.STORAGE_FOLDER, settings.DATA_FOLDER = folder, "/data"
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", host)
    assert storage.watched_folder() == watched


def test_a_database_elsewhere_is_not_judged_by_this_disk(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGE_FOLDER = ""
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db.example.test")
    assert storage.look() == Disk(Room.UNKNOWN)


def test_a_folder_that_is_not_there_is_no_room_at_all(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_FOLDER = str(tmp_path / "unmounted")
    assert storage.look() == Disk(Room.AWAY)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 4 MB; only root may mount one."""
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("a small volume can only be mounted by root, outside of a confined container")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_small_volume_fills_up(settings: Any, volume: Path) -> None:
    settings.STORAGE_FOLDER = str(volume)
    assert storage.look().room is Room.AMPLE
    (volume / "a").write_bytes(bytes(3_600_000))
    assert storage.look().room is Room.SCARCE
    (volume / "b").write_bytes(bytes(400_000))
    found = storage.look()
    assert (found.room, metrics.disk_free._value.get()) == (Room.FULL, found.free)


def test_those_who_ask_often_are_answered_from_memory(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_FOLDER = "/proc"
    watch = storage.Watch()
    assert watch().room is Room.AMPLE
    settings.STORAGE_FOLDER = str(tmp_path / "unmounted")
    assert watch().room is Room.AMPLE
    watch._until = 0.0
    assert watch().room is Room.AWAY
