"""The supervisor restarts what dies, passes on what is printed, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.launcher.errors import LaunchError
from hub.launcher.runas import RunAs, Rung
from hub.launcher.supervisor import Child, StopPhase, Supervisor, Unit
from launcher.processes import descendants, is_alive

ALL_AT_ONCE = [StopPhase(frozenset(), 5.0)]
Eventually = Callable[[Callable[[], bool]], None]


def shell(script: str) -> Callable[[int], subprocess.Popen[bytes]]:
    run_as = RunAs(Rung.DIRECT, os.geteuid(), os.getegid())
    return lambda log: run_as.start(["/bin/sh", "-c", script], stdout=log, stderr=log)


def unit(name: str, script: str, **how: object) -> Unit:
    return Unit(name, shell(script), lambda _process: True, **how)


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(printed: io.StringIO) -> Iterator[Supervisor]:
    supervisor = Supervisor(printed)
    yield supervisor
    supervisor.stop(ALL_AT_ONCE, 5.0)


def test_a_killed_child_is_started_again(supervisor: Supervisor, eventually: Eventually) -> None:
    supervisor.add([unit("web", "sleep 1000")], 10)
    first = supervisor.pids()["web"]
    os.kill(first, signal.SIGKILL)

    def is_replaced() -> bool:
        supervisor.turn(pause=0.01)
        return supervisor.pids().get("web", first) != first

    eventually(is_replaced)


def test_what_a_killed_child_had_started_ends_with_it(supervisor: Supervisor, eventually: Eventually) -> None:
    supervisor.add([unit("web", "sleep 1000 & wait")], 10)
    web = supervisor.pids()["web"]
    eventually(lambda: len(descendants(web)) == 2)
    _web, below = descendants(web)
    os.kill(web, signal.SIGKILL)

    def is_gone() -> bool:
        supervisor.turn(pause=0.01)
        return not is_alive(below)

    eventually(is_gone)


@pytest.mark.parametrize(("ends_before", "seconds"), [(0, 0.5), (1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (99, 10.0)])
def test_the_pause_before_a_restart_doubles_up_to_ten_seconds(ends_before: int, seconds: float) -> None:
    child = Child(unit("web", "true"), started_at=100.0, ends=ends_before)
    assert child.plan_restart(now=101.0) == seconds
    assert child.start_at == 101.0 + seconds


def test_the_pause_is_short_again_after_a_long_run() -> None:
    child = Child(unit("web", "true"), started_at=100.0, ends=5)
    assert child.plan_restart(now=131.0) == 0.5


def test_a_child_that_keeps_ending_at_its_start_ends_the_launch(supervisor: Supervisor) -> None:
    failing = Unit("web", shell("exit 3"), lambda _process: False)
    with pytest.raises(LaunchError, match="web keeps ending at its start"):
        supervisor.add([failing], 60)


def test_a_child_that_is_never_ready_ends_the_launch(supervisor: Supervisor) -> None:
    with pytest.raises(LaunchError, match="web is not ready after 0 seconds"):
        supervisor.add([Unit("web", shell("sleep 1000"), lambda _process: False)], 0)


def test_lines_carry_the_name_of_their_child(supervisor: Supervisor, printed: io.StringIO) -> None:
    assert supervisor.run_once("migrate", shell("echo one; echo two >&2; printf three")) == 0
    supervisor.stop(ALL_AT_ONCE, 5.0)
    assert printed.getvalue().splitlines() == ["migrate   | one", "migrate   | two", "migrate   | three"]


def test_the_exit_code_of_a_single_run_is_returned(supervisor: Supervisor) -> None:
    assert supervisor.run_once("migrate", shell("exit 7")) == 7


def test_a_child_that_ignores_the_request_to_stop_is_killed(supervisor: Supervisor, eventually: Eventually) -> None:
    supervisor.add([unit("web", "trap '' TERM; while :; do sleep 0.1; done")], 10)
    web = supervisor.pids()["web"]
    eventually(lambda: len(descendants(web)) == 2)
    supervisor.stop([StopPhase(frozenset({"web"}), 0.1)], 1.0)
    assert not is_alive(web)


def test_phases_stop_one_after_the_other(supervisor: Supervisor, folder: Path) -> None:
    note = "trap 'echo {0} >> {1}; exit' TERM; touch {1}.{0}; while :; do sleep 0.01; done"
    order = folder / "order"
    units = [
        Unit(name, shell(note.format(name, order)), lambda _process, name=name: Path(f"{order}.{name}").exists())
        for name in ("store", "worker", "web")
    ]
    supervisor.add(units, 10)
    supervisor.stop([StopPhase(frozenset({name}), 5.0) for name in ("web", "worker", "store")], 15.0)
    assert order.read_text().split() == ["web", "worker", "store"]


SCRIPT = """
import os, sys
from hub.launcher.runas import RunAs, Rung
from hub.launcher.supervisor import Supervisor, Unit
run_as = RunAs(Rung.DIRECT, os.geteuid(), os.getegid())
start = lambda log: run_as.start(["/bin/sleep", "1000"], stdout=log, stderr=log)
supervisor = Supervisor(sys.stderr)
supervisor.add([Unit(name, start, lambda process: True) for name in ("web", "worker")], 10)
print(*supervisor.pids().values(), flush=True)
supervisor.run_until_stopped()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child that its parent is dead")
def test_a_killed_supervisor_leaves_no_child_behind(eventually: Eventually) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    eventually(lambda: not any(is_alive(pid) for pid in pids))
