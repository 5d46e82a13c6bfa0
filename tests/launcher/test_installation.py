"""The data folder belongs to one run at a time and keeps its secrets to itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.launcher.errors import LaunchError
from hub.launcher.installation import join_running, open_installation
from hub.lib.crypto import KeyRing


@pytest.fixture(autouse=True)
def _without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("SECRETS_KEYS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    with open_installation(tmp_path).lock, pytest.raises(LaunchError, match=r"in use by another .*process \d+"):
        open_installation(tmp_path)


def test_a_folder_is_free_again_when_its_lock_is_closed(tmp_path: Path) -> None:
    open_installation(tmp_path).lock.close()
    open_installation(tmp_path).lock.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match=r"cannot be written .*choose another with --data"):
        open_installation(tmp_path / "file" / "var")


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    with (installation := open_installation(tmp_path)).lock:
        assert installation.missing_secrets() == installation.missing_secrets()
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_the_made_key_ring_can_be_read(tmp_path: Path) -> None:
    with (installation := open_installation(tmp_path)).lock:
        KeyRing.from_setting(installation.missing_secrets()["SECRETS_KEYS"])


def test_no_two_installations_call_their_keys_the_same(tmp_path: Path) -> None:
    """Else credentials sealed by one would look as if the other's key could open them."""
    names = set()
    for place in ("a", "b"):
        with (installation := open_installation(tmp_path / place)).lock:
            names.update(KeyRing.from_setting(installation.missing_secrets()["SECRETS_KEYS"]).key_ids)
    assert len(names) == 2


def test_secrets_are_not_made_anew_beside_data_that_was_sealed_with_lost_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_installation(tmp_path).lock.close()
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    open_installation(tmp_path).lock.close()
    (tmp_path / "secrets.json").unlink()
    with pytest.raises(LaunchError, match=r"secrets\.json.* is gone"):
        open_installation(tmp_path)
    monkeypatch.setenv("SECRETS_KEYS", "k1:kept-elsewhere")
    open_installation(tmp_path).lock.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"SECRET_KEY": 1}'])
def test_secrets_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(LaunchError, match=r"secrets\.json cannot be read"):
        open_installation(tmp_path)


def test_secrets_of_the_environment_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "mine")
    with (installation := open_installation(tmp_path)).lock:
        assert installation.missing_secrets().keys() == {"SECRETS_KEYS"}


def test_another_command_joins_the_run_of_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"SECRET_KEY": "mine"})
    with (installation := open_installation(tmp_path)).lock:
        installation.tell_environment({"DATABASE_URL": "postgresql://x", "SECRET_KEY": "theirs", "HOME": "/root"})
        join_running(tmp_path)
    assert os.environ == {"SECRET_KEY": "mine", "DATABASE_URL": "postgresql://x"}


def test_the_folder_is_found_by_the_socket_in_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://headwater@/headwater?host={tmp_path}/run"
    monkeypatch.setattr(os, "environ", {"DATABASE_URL": url})
    with (installation := open_installation(tmp_path)).lock:
        installation.tell_environment({"DATABASE_URL": url, "SECRETS_KEYS": "k1:key"})
        join_running(tmp_path / "elsewhere")
    assert os.environ["SECRETS_KEYS"] == "k1:key"


def test_nothing_is_taken_from_a_run_on_another_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"DATABASE_URL": "postgresql://production"})
    with (installation := open_installation(tmp_path)).lock:
        installation.tell_environment({"DATABASE_URL": "postgresql://x", "SECRETS_KEYS": "k1:key"})
        join_running(tmp_path)
    assert os.environ == {"DATABASE_URL": "postgresql://production"}


def test_nothing_is_told_any_more_after_the_end(tmp_path: Path) -> None:
    with (installation := open_installation(tmp_path)).lock:
        installation.tell_environment({"DATABASE_URL": "postgresql://x"})
        assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
        installation.withdraw_environment()
    assert not (tmp_path / "running.json").exists()
