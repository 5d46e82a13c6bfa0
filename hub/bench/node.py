"""The engine that the languages of filters and mappings come from, run by Node.js beside ours on the same inputs.

Its packages are installed by npm into a cache folder, once; they are not part of the product. Where that cannot be done
there is a reason instead of an engine.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.bench import children

# The mapping engine needs liquidjs and does not say so.
PACKAGES = {
    "@segment/actions-core": "3.170.0",
    "@segment/destination-subscriptions": "3.37.0",
    "liquidjs": "10.30.1",
}
SCRIPT = Path(__file__).with_name("node_engine.mjs")
INSTALL_SECONDS = 180


class NoNode(Exception):
    """The engine cannot be run here; the text says why."""


class Engine:
    """A running engine, asked one thing at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, what: str, **values: object) -> Any:
        """Put a question and wait for the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise NoNode("Node.js was started without pipes")
        self._process.stdin.write(json.dumps({"ask": what, **values}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NoNode("Node.js ended before it had answered; its last words are above")
        return json.loads(line)


@contextmanager
def running() -> Iterator[Engine]:
    """The engine for as long as the block lasts; raises NoNode with the reason where there is none."""
    node, folder = _found("node"), installed_folder()
    process = children.start([node, str(SCRIPT), str(folder)])
    try:
        yield Engine(process)
    finally:
        children.stop(process)


def installed_folder() -> Path:
    """The folder that holds the packages, installed if need be."""
    npm = _found("npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "headwater" / "bench" / "-".join(PACKAGES.values())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / "node_modules" / name / "package.json").exists() for name in PACKAGES):
            _install(npm, folder)
    return folder


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise NoNode(f"{program} is not installed")
    return path


def _install(npm: str, folder: Path) -> None:
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NoNode(f"npm cannot install {', '.join(wanted)}") from error
