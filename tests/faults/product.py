"""Runs the product as its users do, by `manage.py up --json` in a folder of its own, and reaches into it.

The processes are the product's own, on embedded servers of its own; nothing of the test's process is shared with them.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
import redis

from hub.launcher.runas import RunAs, Rung
from tests.faults.telling import teller

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
STOP_SECONDS = 10.0
BACK_SECONDS = 60.0
ROLL_SECONDS = 240.0
# What the tests' own process says of its stores must not reach the product.
OWN_VARIABLES = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRETS_KEYS", "ALLOW_PRIVATE_NETWORKS", "PUBLIC_URL")


@dataclass(frozen=True, slots=True)
class Said:
    """What a management command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Product:
    """One installation: may be started and stopped again and again in the same folder, at the same port."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._arguments = arguments
        self.folder = Path(tempfile.mkdtemp(prefix="hw-fault-"))
        self.folder.chmod(0o711)
        self._remover = remove_when_this_process_ends(self.folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.announced: dict[str, Any] = {}
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._desk: Desk | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start and return when the product has announced itself."""
        command = ["up", "--json", "--data", str(self.folder / "data"), "--port", str(self.port), *self._arguments]
        with (self.folder / "log").open("ab") as log:
            self._process = RunAs(Rung.DIRECT, os.geteuid(), os.getegid()).start(
                [sys.executable, str(PROJECT / "manage.py"), *command],
                death_signal=signal.SIGTERM,
                stdout=subprocess.PIPE,
                stderr=log.fileno(),
                environment=environment_without_stores() | self._environment,
                folder=PROJECT,
            )
        self.announced = json.loads(first_line(self._process, START_SECONDS) or self._failure())

    def stop(self) -> int:
        """Ask for the end and return the exit code; a product that takes longer than it may is an error."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_SECONDS)
        self._forget()
        return code

    def end(self) -> None:
        """Stop by all means and leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._remover.kill()
        self._remover.communicate()

    @property
    def log(self) -> str:
        """Everything that any process has printed so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def database_url(self) -> str:
        return str(self.announced["database_url"])

    def manage(self, *arguments: str) -> Said:
        """Run a management command against this installation."""
        if self._desk is None:
            self._desk = Desk(self.environment())
        return self._desk.ask(arguments)

    def environment(self) -> dict[str, str]:
        """What a process needs to be one of this installation."""
        kept = json.loads((self.folder / "data" / "secrets.json").read_text())
        stores = {"DATABASE_URL": self.database_url, "REDIS_URL": str(self.announced["redis_url"])}
        private = {"ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8"}
        return environment_without_stores() | self._environment | stores | private | kept

    @contextlib.contextmanager
    def beside(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """One more process of this installation, under no supervisor, for as long as the block lasts."""
        with (self.folder / "log").open("ab") as log:
            process = RunAs(Rung.DIRECT, os.geteuid(), os.getegid()).start(
                [sys.executable, str(PROJECT / "manage.py"), *arguments],
                death_signal=signal.SIGKILL,
                stdout=log.fileno(),
                stderr=log.fileno(),
                environment=self.environment() | environment,
                folder=PROJECT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def apply(self, file: dict[str, Any]) -> dict[str, Any]:
        """Make workspaces match a file, as JSON, which is YAML too."""
        path = self.folder / "apply.yaml"
        path.write_text(json.dumps(file))
        said = self.manage("apply", str(path), "--json")
        assert said.code == 0, said
        applied: dict[str, Any] = said.json
        return applied

    def ledger(self, workspace: str) -> dict[str, Any]:
        """The books of one workspace."""
        said = self.manage("ledger", "--workspace", workspace, "--json")
        assert said.out, said
        books: dict[str, Any] = said.json
        return books

    def query(self, statement: str, *parameters: object) -> list[Any]:
        """Run one statement in the product's database; rows if it has any."""
        with psycopg.connect(self.database_url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, parameters)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def answers_queries(self) -> bool:
        """Whether PostgreSQL takes a connection and a write."""
        try:
            self.query("UPDATE log_epoch SET epoch = epoch")
        except psycopg.OperationalError:
            return False
        return True

    def redis(self) -> redis.Redis:
        """A client of the product's broker."""
        return redis.Redis.from_url(self.announced["redis_url"], socket_timeout=5)

    def pid(self, name: str) -> int | None:
        """The id of a unit's process at this moment: web, worker, scheduler, postgres or redis."""
        assert self._process is not None
        marks = {"postgres": "postgres", "redis": "valkey-server"}
        mark = marks.get(name, f"manage.py\0{name}")
        return next((pid for pid in children(self._process.pid) if mark in command_line(pid)), None)

    def roll(self) -> None:
        """Ask for new processes in place of the running ones, and return when the last old one has ended."""
        assert self._process is not None
        before = self._code_pids()
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: not before & self._code_pids(), ROLL_SECONDS, "a process was not replaced")

    def _code_pids(self) -> set[int]:
        """The processes that run the product's code, those of web servers' workers not counted."""
        assert self._process is not None
        marks = [f"manage.py\0{name}" for name in ("web", "worker", "scheduler")]
        return {pid for pid in children(self._process.pid) if any(mark in command_line(pid) for mark in marks)}

    def kill(self, name: str) -> int:
        """End a unit's process at once, as a crash would, and return its id."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        teller.told.killed[name] += 1
        return pid

    def kill_children(self, name: str) -> list[int]:
        """End the processes that a unit has forked, but not the unit itself."""
        parent = self.pid(name)
        assert parent is not None, f"{name} does not run"
        forked = children(parent)
        for pid in forked:
            os.kill(pid, signal.SIGKILL)
        teller.told.killed[f"{name} process"] += len(forked)
        return forked

    def await_another(self, name: str, old: int) -> None:
        """Wait until the supervisor has started a unit anew."""
        wait_until(lambda: self.pid(name) not in (None, old), BACK_SECONDS, f"{name} does not come back")

    def _forget(self) -> None:
        if self._desk is not None:
            self._desk.close()
            self._desk = None
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def _failure(self) -> str:
        raise AssertionError(f"the product did not start:\n{self.log[-4_000:]}")


class Desk:
    """A process that runs management commands one after the other, so that each need not load Django again."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = RunAs(Rung.DIRECT, os.geteuid(), os.getegid()).start(
            [sys.executable, "-m", "tests.faults.desk"],
            death_signal=signal.SIGKILL,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            environment=environment,
            folder=PROJECT,
        )

    def ask(self, arguments: tuple[str, ...]) -> Said:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        self._process.stdin.flush()
        return Said(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def remove_when_this_process_ends(folder: Path) -> subprocess.Popen[bytes]:
    """Leave a shell waiting for the end of a pipe that only this process holds open; the product stops meanwhile."""
    command = ["/bin/sh", "-c", 'read -r _; sleep 12; rm -rf "$0"', str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/")


def environment_without_stores() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}


def first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """The first line that a process prints, empty when it ends or takes too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline().decode() if selector.select(seconds) else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(pid: int) -> list[int]:
    """The processes that a process has forked itself."""
    return [child for child, parent in _parents() if parent == pid]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def wait_until(condition: Callable[[], object], seconds: float, complaint: str) -> None:
    """Look again and again until a condition holds; the bound is for hangs, it is no measurement."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()
                yield int(folder.name), int(state[1])
