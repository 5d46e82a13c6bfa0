"""Programs that a benchmark runs beside itself: modules of this room, tied to the life of the one that runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hub.launcher.product import PROJECT
from hub.launcher.runas import RunAs, Rung

STOP_SECONDS = 10.0


class ChildFailed(Exception):
    """A program of the benchmark's own ended badly; its last words are above."""


def start(argv: list[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a program that is asked to stop when this process ends, however that happens."""
    return RunAs(Rung.DIRECT, os.geteuid(), os.getegid()).start(
        argv,
        death_signal=signal.SIGTERM,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None,
        environment=os.environ if environment is None else environment,
        folder=PROJECT,
    )


def module(name: str) -> list[str]:
    """The command line of one of this room's modules."""
    return [sys.executable, "-m", f"hub.bench.{name}"]


@contextmanager
def running(argv: list[str], environment: Mapping[str, str] | None = None) -> Iterator[tuple[Any, int]]:
    """Run a program that prints one JSON line when it is ready; gives that and its process id, and stops it."""
    process = start(argv, environment)
    try:
        yield first_line(process), process.pid
    finally:
        stop(process)


def ask(name: str, job: Mapping[str, object]) -> Any:
    """Run one of this room's modules on a job to its end; both job and outcome are JSON."""
    process = start(module(name))
    try:
        output, _ = process.communicate(json.dumps(job).encode())
    finally:
        stop(process)
    if process.returncode != 0:
        raise ChildFailed(f"{name} ended with code {process.returncode}")
    return json.loads(output)


def first_line(process: subprocess.Popen[bytes]) -> Any:
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise ChildFailed(f"{process.args!r} ended before it was ready")
    return json.loads(line)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, insist."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
