"""Gives each pytest process a PostgreSQL cluster and a Valkey of its own, before Django's settings are read.

Loaded by `-p` in pyproject.toml, for a conftest would come too late: pytest-django imports the settings first. One
cluster per process, so one per xdist worker and none for its controller, because the position up to which the event
log can be read belongs to the whole cluster, and a neighbour's open transaction would hold it back. Servers that
DATABASE_URL and REDIS_URL name are used instead. Nothing outlives the run: the servers end with the process, and a
shell waiting on a pipe removes the folder even after a kill -9.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from hub.launcher.embedded import Embedded, embed
from hub.launcher.errors import LaunchError
from hub.launcher.template import copy_template
from hub.lib.env import envsecret

_ENVIRONMENT = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
FAST: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    # An ANALYZE in the background holds a transaction id, and with it the horizon of the log.
    "autovacuum": "off",
}


class TestServices:
    """The servers of this process, from its first hook to its last."""

    def __init__(self) -> None:
        self._embedded = Embedded([])
        self._folder: Path | None = None
        self._remover: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start what no variable names and set the variables; readiness is awaited later, while Django loads."""
        wanted = {name: not envsecret(variable) for name, variable in _ENVIRONMENT.items()}
        if not any(wanted.values()):
            return
        self._folder = Path(tempfile.mkdtemp(prefix="hw-test-"))
        self._folder.chmod(0o711)
        self._remover = _remove_when_this_process_ends(self._folder)
        self._embedded = embed(
            self._folder, postgres=wanted["postgres"], valkey=wanted["redis"], options=FAST, fill=copy_template
        )
        self._embedded.start()
        for service in self._embedded.services:
            os.environ[_ENVIRONMENT[service.name]] = service.url

    def await_ready(self) -> None:
        self._embedded.await_ready()

    def stop(self) -> None:
        self._embedded.stop(at_once=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._remover is not None:
            self._remover.kill()
            self._remover.communicate()


_SERVICES = TestServices()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Start before any other plugin's own hook; a wrapper comes before all of them."""
    if _runs_tests_here(early_config):
        try:
            _SERVICES.start()
        except LaunchError as error:
            raise pytest.UsageError(str(error)) from error
    yield


def pytest_sessionstart() -> None:
    _SERVICES.await_ready()


def pytest_unconfigure() -> None:
    _SERVICES.stop()


def _runs_tests_here(config: pytest.Config) -> bool:
    """Tell whether this process itself runs tests, which the controller of a parallel run does not."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return True
    options = config.known_args_namespace
    if options.help or options.version or options.collectonly:
        return False
    return not (getattr(options, "numprocesses", None) or getattr(options, "tx", None))


def _remove_when_this_process_ends(folder: Path) -> subprocess.Popen[bytes]:
    """Leave a shell waiting for the end of a pipe that only this process holds open."""
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read -r _; sleep 1; rm -rf "$0"', str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )
