"""Lets a command in another terminal find the installation that `manage.py up` runs.

What the environment does not set is taken from the installation's folder: addresses from `running.json`, which is there
while `up` runs, secrets from `secrets.json`. The folder is HEADWATER_DATA, or the one whose PostgreSQL socket
DATABASE_URL names, or `var` beside manage.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

RUNNING = "running.json"
SECRETS = "secrets.json"
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "var"


def join() -> None:
    """Fill in what the environment leaves open; change nothing that it sets."""
    folder = _folder(os.environ)
    for name, value in {**_read(folder / RUNNING), **_read(folder / SECRETS)}.items():
        if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
            os.environ[name] = value


def _folder(environment: Mapping[str, str]) -> Path:
    chosen = environment.get("HEADWATER_DATA")
    if chosen:
        return Path(chosen)
    socket_folder = _socket_folder(environment.get("DATABASE_URL", ""))
    if socket_folder is not None and (socket_folder.parent / SECRETS).is_file():
        return socket_folder.parent
    return DEFAULT_FOLDER


def _socket_folder(database_url: str) -> Path | None:
    try:
        host = str(conninfo_to_dict(database_url).get("host") or "")
    except ProgrammingError:
        return None
    return Path(host) if host.startswith("/") else None


def _read(path: Path) -> dict[str, str]:
    """A file of names and values; nothing when it is missing or not ours to read."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
