"""Embedded PostgreSQL and Valkey, launched from their wheels, for whoever has no servers of their own.

`embed()` decides how to run them on this machine and prepares one folder for both; `Embedded` starts, awaits and
stops them. Each is independent: a caller that has a DATABASE_URL asks for Valkey alone, and the other way round.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from hub.launcher.binaries import find_binaries
from hub.launcher.errors import LaunchError
from hub.launcher.postgres import DURABLE, Postgres, choose_socket_folder
from hub.launcher.runas import choose
from hub.launcher.valkey import Valkey, choose_port, make_password

_LOOK_AGAIN_SECONDS = 0.02


class Service(Protocol):
    """A server that the launcher can start, await and stop."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def stop_signal(self) -> signal.Signals: ...
    @property
    def last_signal(self) -> signal.Signals: ...
    def may_start(self) -> bool: ...
    def start(self, log: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]: ...
    def is_ready(self, process: subprocess.Popen[bytes]) -> bool: ...


@dataclass(slots=True)
class Embedded:
    """Services of one folder, and their processes while they run."""

    services: Sequence[Service]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, log: int | IO[bytes] | None = subprocess.DEVNULL, timeout_seconds: float = 30) -> None:
        """Start what does not run, without awaiting it, each as soon as nothing of its earlier run is left."""
        for service in self.services:
            if service.name in self.processes and self.processes[service.name].poll() is None:
                continue
            _await(service.may_start, timeout_seconds, f"An earlier run of {service.name} does not end: stop it.")
            self.processes[service.name] = service.start(log)

    def await_ready(self, timeout_seconds: float = 60) -> None:
        """Return when each answers; raise when one has ended or the time is over."""
        for service in self.services:
            process = self.processes[service.name]

            def is_settled(service: Service = service, process: subprocess.Popen[bytes] = process) -> bool:
                return process.poll() is not None or service.is_ready(process)

            _await(is_settled, timeout_seconds, f"{service.name} is not ready after {timeout_seconds} seconds.")
            if process.poll() is not None:
                raise LaunchError(f"{service.name} ended at its start with code {process.returncode}.")

    def stop(self, timeout_seconds: float = 8, *, at_once: bool = False) -> None:
        """Stop all, in good order or at once, and kill what has not ended in time."""
        for service in self.services:
            process = self.processes.get(service.name)
            if process is not None and process.poll() is None:
                process.send_signal(service.last_signal if at_once else service.stop_signal)
        deadline = time.monotonic() + timeout_seconds
        for process in self.processes.values():
            _end(process, deadline)
        self.processes.clear()


def embed(
    folder: Path,
    *,
    postgres: bool = True,
    valkey: bool = True,
    options: Mapping[str, str] = DURABLE,
    fill: Callable[[Postgres], None] = Postgres.prepare,
) -> Embedded:
    """Prepare the wanted services in `folder`, which must exist, without starting them; `fill` makes the cluster."""
    folder = folder.resolve()
    binaries = find_binaries()
    run_as, binaries = choose(binaries, folder)
    services: list[Service] = []
    if postgres:
        socket_folder = choose_socket_folder(folder / "run")
        cluster = Postgres(folder / "postgres", socket_folder, run_as, binaries, options)
        fill(cluster)
        services.append(cluster)
    if valkey:
        cache = Valkey(folder / "valkey", run_as, binaries, choose_port(), make_password())
        cache.prepare()
        services.append(cache)
    return Embedded(services)


def _end(process: subprocess.Popen[bytes], deadline: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, deadline - time.monotonic()))
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _await(condition: Callable[[], bool], timeout_seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LaunchError(complaint)
        time.sleep(_LOOK_AGAIN_SECONDS)
