"""Short folders that another user may enter, because sockets have short names and PostgreSQL never runs as root."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.launcher.embedded import Embedded, embed
from hub.launcher.pytest_plugin import FAST
from hub.launcher.template import copy_template

_PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="hw-launch-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def run_services() -> Iterator[Embedded]:
    with open_folder() as path:
        embedded = embed(path, options=FAST, fill=copy_template)
        embedded.start()
        embedded.await_ready()
        yield embedded
        embedded.stop(at_once=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def services() -> Iterator[Embedded]:
    """Servers to look at."""
    with run_services() as embedded:
        yield embedded


@pytest.fixture
def breakable() -> Iterator[Embedded]:
    """Servers to do harm to."""
    with run_services() as embedded:
        yield embedded


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; fail when it never does."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait
