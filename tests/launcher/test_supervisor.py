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
from hub.launcher.supervisor import Child, Stopped, StopPhase, Supervisor, Unit
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


def test_a_replaced_unit_is_asked_to_stop_only_when_the_new_one_is_ready(supervisor: Supervisor, folder: Path) -> None:
    def is_ready(process: subprocess.Popen[bytes]) -> bool:
        seen.append(sorted(pid for pid in (first.get("pid", process.pid), process.pid) if is_alive(pid)))
        return len(seen) > 3

    first: dict[str, int] = {}
    seen: list[list[int]] = []
    supervisor.add([Unit("web", shell("sleep 1000"), is_ready)], 10)
    first["pid"] = old = supervisor.pids()["web"]
    seen.clear()
    assert supervisor.roll(["web"])
    new = supervisor.pids()["web"]
    assert new != old
    assert seen == [sorted([old, new])] * 4
    assert (is_alive(old), is_alive(new)) == (False, True)


def test_units_are_replaced_one_after_the_other(supervisor: Supervisor, folder: Path) -> None:
    note = "trap 'echo end {0} >> {1}; exit' TERM; echo start {0} >> {1}; while :; do sleep 0.01; done"
    order = folder / "order"

    def is_noted(process: subprocess.Popen[bytes], name: str = "") -> bool:
        return order.exists() and f"start {name}" in order.read_text()

    names = ("scheduler", "worker", "web")
    units = [Unit(n, shell(note.format(n, order)), lambda process, n=n: is_noted(process, n)) for n in names]
    supervisor.add(units, 10)
    order.write_text("")
    assert supervisor.roll(names)
    assert order.read_text().splitlines() == [f"{what} {name}" for name in names for what in ("start", "end")]


@pytest.mark.parametrize(("script", "seconds"), [("exit 3", 60.0), ("sleep 1000", 0.1)])
def test_a_unit_whose_new_process_does_not_work_goes_on_as_it_was(
    supervisor: Supervisor, folder: Path, printed: io.StringIO, script: str, seconds: float
) -> None:
    running = folder / "running"
    both = shell(f"if [ -e {running} ]; then {script}; fi; touch {running}; sleep 1000")
    ready: set[int] = set()
    web = Unit("web", both, lambda process: process.pid in ready or (not ready and running.exists()))
    supervisor.add([web, unit("worker", "sleep 1000")], 10)
    before = supervisor.pids()
    ready.add(before["web"])
    assert not supervisor.roll(["web", "worker"], ready_seconds=seconds)
    assert supervisor.pids() == before
    assert is_alive(before["web"])
    assert "goes on as it was" in printed.getvalue()
    supervisor.turn(pause=0.0)
    assert supervisor.pids() == before


def short_of_processes(start: Callable[[int], subprocess.Popen[bytes]], times: list[int]) -> Unit:
    """A unit whose start fails at the given tries, as when the machine has no process to give."""
    tries = iter(range(1_000))

    def launch(log: int) -> subprocess.Popen[bytes]:
        if next(tries) in times:
            raise BlockingIOError("Resource temporarily unavailable")
        return start(log)

    return Unit("web", launch, lambda _process: True)


def test_a_child_that_cannot_be_forked_is_tried_again(supervisor: Supervisor, eventually: Eventually) -> None:
    supervisor.add([short_of_processes(shell("sleep 1000"), [1])], 10)
    first = supervisor.pids()["web"]
    os.kill(first, signal.SIGKILL)

    def is_replaced() -> bool:
        supervisor.turn(pause=0.01)
        return supervisor.pids().get("web", first) != first

    eventually(is_replaced)


def test_a_roll_that_cannot_fork_leaves_the_running_one_alone(supervisor: Supervisor) -> None:
    supervisor.add([short_of_processes(shell("sleep 1000"), [1])], 10)
    before = supervisor.pids()
    assert not supervisor.roll(["web"], ready_seconds=5.0)
    assert supervisor.pids() == before


def test_a_request_to_stop_ends_old_and_new_alike(supervisor: Supervisor, folder: Path) -> None:
    old: list[int] = []

    def is_ready(process: subprocess.Popen[bytes]) -> bool:
        if old and process.pid not in old:
            old.append(process.pid)
            supervisor._ask_to_stop(signal.SIGTERM, None)
            return False
        return True

    supervisor.add([Unit("web", shell("sleep 1000"), is_ready)], 10)
    old.append(supervisor.pids()["web"])
    with pytest.raises(Stopped):
        supervisor.roll(["web"])
    assert all(map(is_alive, old))
    supervisor.stop(ALL_AT_ONCE, 5.0)
    assert len(old) == 2
    assert not any(map(is_alive, old))


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
