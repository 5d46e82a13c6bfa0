"""The folder in which one installation keeps what is its own: data of the embedded servers, secrets, a lock.

One `up` at a time may use a folder. The secrets are made once, readable by their owner alone, and handed to the
processes by their environment; whoever sets SECRET_KEY and SECRETS_KEYS keeps them elsewhere.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, urlsplit

from hub.launcher.errors import LaunchError
from hub.lib.env import envsecret

_KEY_BYTES = 32
_RUNNING = "running.json"
_SHARED = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRETS_KEYS", "PUBLIC_URL"),
    *("ALLOW_PRIVATE_NETWORKS", "ALLOW_PLAIN_HTTP", "OUTBOUND_PORTS"),
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A locked data folder; the lock ends with the process that holds this value."""

    folder: Path
    lock: IO[str]

    def ready_file(self, name: str) -> Path:
        return self.folder / "ready" / name

    @property
    def metrics_folder(self) -> Path:
        return self.folder / "metrics"

    @property
    def _running_file(self) -> Path:
        return self.folder / _RUNNING

    def tell_environment(self, environment: Mapping[str, str]) -> None:
        """Let commands in other terminals find the running stores and secrets; see `join_running`."""
        told = {name: environment[name] for name in _SHARED if environment.get(name)}
        _write_private(self._running_file, json.dumps(told))

    def withdraw_environment(self) -> None:
        self._running_file.unlink(missing_ok=True)

    def missing_secrets(self) -> dict[str, str]:
        """Return the secrets that the environment does not set, made at the first call and kept since."""
        path = self.folder / "secrets.json"
        if not path.exists():
            self._require_no_data()
            _write_private(path, json.dumps({"SECRET_KEY": secrets.token_urlsafe(48), "SECRETS_KEYS": _new_key_ring()}))
        return {name: secret for name, secret in _read_secrets(path).items() if not envsecret(name)}

    def _require_no_data(self) -> None:
        """Make no new keys beside data: what was sealed with the lost ones could never be opened again."""
        if (self.folder / "postgres" / "PG_VERSION").exists() and not envsecret("SECRETS_KEYS"):
            raise LaunchError(
                f"{self.folder / 'secrets.json'} is gone, and the credentials in this folder's database were sealed "
                "with its keys: put it back from a backup, or set SECRETS_KEYS."
            )


def open_installation(folder: Path) -> Installation:
    """Make the folder if need be and take its lock, or say who or what is in the way."""
    folder = folder.resolve()
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        (folder / "ready").mkdir(exist_ok=True)
        (folder / "metrics").mkdir(exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise LaunchError(
            f"The data folder {folder} cannot be written ({error.strerror}): choose another with --data, "
            "or let this user write to it."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with lock:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
        raise LaunchError(
            f"The data folder {folder} is in use by another `manage.py up` (process {holder}): "
            "stop that one, or choose another folder with --data."
        ) from error
    for counts in (folder / "metrics").glob("*.db"):  # of processes that have ended
        counts.unlink()
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    installation = Installation(folder, lock)
    try:
        installation.missing_secrets()  # while it can still be told whether there is data already
    except LaunchError:
        lock.close()
        raise
    return installation


def join_running(default_folder: Path) -> None:
    """Fill in the variables that this process lacks from the `up` that serves the same database, if one runs.

    Without DATABASE_URL that is the one in the default folder. So `manage.py apply` works beside `manage.py up`
    from another terminal, and seals credentials with the keys that the running processes have.
    """
    url = envsecret("DATABASE_URL")
    folders = [Path(host).parent for host in parse_qs(urlsplit(url).query).get("host", ())]
    for folder in (*folders, default_folder):
        told = _read_told(folder / _RUNNING)
        if told and url in ("", told.get("DATABASE_URL")):
            os.environ.update({name: value for name, value in told.items() if not envsecret(name)})
            return


def _read_told(path: Path) -> dict[str, str]:
    """Read what a running `up` has told; nothing when this user may not read it."""
    try:
        told: dict[str, str] = json.loads(path.read_text())
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return {}
    return told


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text())
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or not all(isinstance(secret, str) for secret in kept.values()):
        raise LaunchError(f"{path} cannot be read: put it back from a backup.")
    return kept


def _new_key_ring() -> str:
    # A ring that is made anew must not pass for the one that was lost: rows name the key that sealed them.
    return f"k{secrets.token_hex(3)}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)
