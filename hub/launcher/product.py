"""What one running installation consists of: its processes, their environment, and how it is announced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NotRequired, TypedDict

from hub.launcher.address import Address
from hub.launcher.embedded import Service
from hub.launcher.installation import Installation
from hub.launcher.ready import READY_FILE, is_marked_ready
from hub.launcher.runas import RunAs, Rung
from hub.launcher.serving import serves
from hub.launcher.supervisor import Start, StopPhase, Unit
from hub.lib.env import envsecret

PROJECT = Path(__file__).resolve().parents[2]
DATA_FOLDER = PROJECT / "var"
LOOPBACK = "127.0.0.0/8,::1/128"
# The worker has five seconds to stop; what is under way at a receiver is given up before that.
WORKER_ABORT_SECONDS = "3"
FEWEST_TO_SET_ONE_APART = 3
_URLS = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
_FRONT = frozenset({"web", "scheduler", "shop"})


class Demo(TypedDict):
    """What `demo_setup` made."""

    workspace: str
    write_key: str
    admin_email: str
    admin_password: str
    receiver_url: NotRequired[str]


class Announcement(TypedDict):
    """The line of `up --json`."""

    url: str
    admin_url: str
    pids: dict[str, int]
    database_url: str
    redis_url: str
    demo: NotRequired[Demo]


@dataclass(frozen=True, slots=True)
class Product:
    """The processes of one installation, and the order in which they stop."""

    address: Address
    installation: Installation
    services: Sequence[Service]
    workers: int
    demo: bool

    @property
    def opens_loopback(self) -> bool:
        """Tell whether destinations may reach this machine because nobody has said otherwise."""
        return bool(self.services) and "ALLOW_PRIVATE_NETWORKS" not in os.environ

    def environment(self) -> dict[str, str]:
        """Return the children's environment: ours, with what is unset filled in."""
        environment = {"PYTHONUNBUFFERED": "1", "PUBLIC_URL": self.address.url, **os.environ}
        if self.opens_loopback:
            environment["ALLOW_PRIVATE_NETWORKS"] = LOOPBACK
        environment.setdefault("PROMETHEUS_MULTIPROC_DIR", str(self.installation.metrics_folder))
        environment.setdefault("DATA_FOLDER", str(self.installation.folder))
        environment.setdefault("WORKER_ABORT_SECONDS", WORKER_ABORT_SECONDS)
        environment |= {_URLS[service.name]: service.url for service in self.services}
        return environment | self.installation.missing_secrets()

    def service_units(self) -> list[Unit]:
        """Return the embedded servers."""
        return [
            Unit(
                service.name,
                service.start,
                service.is_ready,
                may_start=service.may_start,
                stop_signal=service.stop_signal,
                last_signal=service.last_signal,
            )
            for service in self.services
        ]

    def units(self) -> list[Unit]:
        """Return the product's own processes."""
        listen = ("--host", self.address.host, "--port", str(self.address.port))
        units = [
            Unit("web", self.command("web", *listen), self._serves),
            *(
                self._marking_unit(name, "worker", "--queues", queues_of(number, self.workers))
                for number, name in enumerate(self._worker_names(), start=1)
            ),
            self._marking_unit("scheduler", "scheduler"),
        ]
        if self.demo:
            shop = self.command("demo_shop", "--url", self.address.url)
            units.append(Unit("shop", shop, lambda process: process.poll() is None))
        return units

    def roll_order(self) -> list[str]:
        """The processes that a new version of the code replaces, in the order in which that is done."""
        return ["scheduler", *self._worker_names(), "web"]

    def stop_phases(self) -> list[StopPhase]:
        """Let in nothing new, finish what is being sent, and close the stores last."""
        return [
            StopPhase(_FRONT, 5.0),
            StopPhase(frozenset(self._worker_names()), 5.0),
            StopPhase(frozenset(_URLS), 8.0),
        ]

    def command(self, *arguments: str, output: IO[bytes] | None = None, ready_file: Path | None = None) -> Start:
        """Return what starts one management command as a child; `output` takes its standard output."""
        argv = [sys.executable, str(PROJECT / "manage.py"), *arguments]
        environment = self.environment()
        if ready_file is not None:
            environment[READY_FILE] = str(ready_file)
        run_as = RunAs(Rung.DIRECT, os.geteuid(), os.getegid())

        def start(log: int) -> subprocess.Popen[bytes]:
            return run_as.start(
                argv,
                death_signal=signal.SIGKILL,
                stdout=output or log,
                stderr=log,
                environment=environment,
                folder=PROJECT,
            )

        return start

    def announcement(self, pids: dict[str, int], demo: Demo | None) -> Announcement:
        """Return what scripts need to know about the running product."""
        environment = self.environment()
        announcement = Announcement(
            url=self.address.url,
            admin_url=f"{self.address.url}/admin/",
            pids=pids,
            database_url=environment.get("DATABASE_URL") or envsecret("DATABASE_URL"),
            redis_url=environment.get("REDIS_URL") or envsecret("REDIS_URL"),
        )
        if demo is not None:
            announcement["demo"] = demo
        return announcement

    def _worker_names(self) -> list[str]:
        return ["worker", *(f"worker-{number}" for number in range(2, self.workers + 1))]

    def _serves(self, process: subprocess.Popen[bytes]) -> bool:
        return serves(process.pid, self.address.port) and self.address.answers_ready()

    def _marking_unit(self, name: str, command: str, *arguments: str) -> Unit:
        path = self.installation.ready_file(name)
        start = self.command(command, *arguments, ready_file=path)
        return Unit(name, start, lambda process: is_marked_ready(path, process.pid))


def queues_of(number: int, count: int) -> str:
    """The queues of one of so many workers.

    Up to two serve everything, so that one busy destination in two shards has both. From three on the last is apart
    for slow receivers and the background, and the others never meet a call that hangs.
    """
    if count < FEWEST_TO_SET_ONE_APART:
        return "deliver_fast,deliver_slow,background"
    return "deliver_slow,background" if number == count else "deliver_fast"
