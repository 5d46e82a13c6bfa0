"""Keeps a set of child processes running: starts, awaits, restarts and stops them, from one thread.

One thread on purpose: Linux ties a child's life to the thread that forked it, and a loop that sleeps until a child
ends, prints or a signal arrives costs nothing while all is well.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TextIO, TypeAlias

from hub.launcher.errors import LaunchError
from hub.launcher.logs import LogPump

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_PROVEN_AFTER_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05
_LAST_CHANCE_SECONDS = 1.0
_LEAST_STOP_SECONDS = 1.5
_ENDS_BEFORE_GIVING_UP = 4
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A closed terminal sends SIGHUP, which must go on to end what runs in it.
_ROLL_SIGNAL = signal.SIGUSR1
_ROLL_READY_SECONDS = 120.0
_ROLL_STOP_SECONDS = 30.0

Start: TypeAlias = Callable[[int], subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Unit:
    """What to keep running: how it starts, how it shows that it works, how it is asked to stop."""

    name: str
    start: Start
    is_ready: Callable[[subprocess.Popen[bytes]], bool]
    may_start: Callable[[], bool] = lambda: True
    stop_signal: signal.Signals = signal.SIGTERM
    last_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class StopPhase:
    """Units that stop together, and how long they may take."""

    names: frozenset[str]
    seconds: float


@dataclass(slots=True)
class Child:
    """One unit's present state. While it is replaced, `old` goes on until `process` is ready, and is `leaving` then."""

    unit: Unit
    process: subprocess.Popen[bytes] | None = None
    old: subprocess.Popen[bytes] | None = None
    leaving: subprocess.Popen[bytes] | None = None
    is_ready: bool = False
    started_at: float = 0.0
    start_at: float = 0.0
    ends: int = 0

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Everything of this unit that may still run."""
        return [process for process in (self.process, self.old, self.leaving) if process is not None]

    def return_to_old(self) -> bool:
        """Let the process that was to be replaced go on, if it still runs."""
        old, self.old = self.old, None
        if old is None or _has_ended(old):
            return False
        self.process, self.is_ready = old, True
        return True

    def plan_restart(self, now: float) -> float:
        """Count one more end and return the pause after it: doubling, and short again after a long run."""
        self.ends = 1 if now - self.started_at >= _PROVEN_AFTER_SECONDS else self.ends + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** (self.ends - 1), _LONGEST_PAUSE_SECONDS)
        self.start_at, self.is_ready = now + pause, False
        return pause


class Stopped(Exception):
    """The person or the system asked for the end while something was being awaited."""


class Supervisor:
    """Runs units and one-off programs under one roof; `stream` gets everything they print."""

    def __init__(self, stream: TextIO) -> None:
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, Child] = {}
        self._requests_to_stop = 0
        self._is_roll_wanted = False
        self.log = LogPump(self._selector, stream)

    def watch_signals(self) -> None:
        """Wake the loop on every signal; a second request to stop cuts the waiting short."""
        reading_end, writing_end = os.pipe()
        for end in (reading_end, writing_end):
            os.set_blocking(end, False)
        self._selector.register(reading_end, selectors.EVENT_READ, lambda: os.read(reading_end, 4096))
        signal.set_wakeup_fd(writing_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        signal.signal(_ROLL_SIGNAL, self._ask_to_roll)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup a closed terminal is no reason to stop
            signal.signal(signal.SIGHUP, self._ask_to_stop)

    def add(self, units: Sequence[Unit], timeout_seconds: float) -> None:
        """Start units together and return when all are ready."""
        added = {unit.name: Child(unit) for unit in units}
        self._children.update(added)
        deadline = time.monotonic() + timeout_seconds
        while waiting := [child for child in added.values() if not child.is_ready]:
            self.turn(pause=_LOOK_AGAIN_SECONDS)
            for child in waiting:
                if child.ends >= _ENDS_BEFORE_GIVING_UP:
                    raise LaunchError(f"{child.unit.name} keeps ending at its start: the lines above say why.")
                if time.monotonic() > deadline:
                    raise LaunchError(f"{child.unit.name} is not ready after {timeout_seconds:.0f} seconds.")

    def run_once(self, name: str, start: Start) -> int:
        """Run a program to its end beside the units and return its exit code."""
        process = self._launch(name, start)
        try:
            while not _has_ended(process):
                self.turn(pause=_LOOK_AGAIN_SECONDS)
        except BaseException:
            _signal_group(process, signal.SIGKILL)
            process.wait()
            raise
        return process.wait()

    def run_until_stopped(self, rolled: Sequence[str] = ()) -> None:
        """Keep the units running until a signal asks for the end; another has those of `rolled` replaced."""
        with contextlib.suppress(Stopped):
            while True:
                self.turn()
                if self._is_roll_wanted:
                    self._is_roll_wanted = False
                    self.roll(rolled)

    def roll(self, names: Sequence[str], ready_seconds: float = _ROLL_READY_SECONDS) -> bool:
        """Replace units one after the other: the old process is asked to stop once the new one does its work.

        When a new one does not come up, the old one goes on and so do the units after it: False.
        """
        for name in names:
            child = self._children[name]
            if child.process is None:  # it is about to start anew by itself
                continue
            self.log.say(name, "is being replaced")
            if not self._start_successor(child, time.monotonic() + ready_seconds):
                self.log.say(name, "goes on as it was, because the new process does not work")
                return False
            self._retire(child, time.monotonic() + _ROLL_STOP_SECONDS)
        return True

    def stop(self, phases: Sequence[StopPhase], total_seconds: float) -> None:
        """Stop phase after phase, leaving each later one its least; what no phase names stops with the last."""
        deadline = time.monotonic() + total_seconds
        named = frozenset[str]().union(*(phase.names for phase in phases))
        for number, phase in enumerate(phases, start=1):
            names = phase.names if number < len(phases) else phase.names | (self._children.keys() - named)
            left = deadline - time.monotonic() - _LEAST_STOP_SECONDS * (len(phases) - number)
            self._stop_together(
                [self._children[name] for name in names & self._children.keys()], min(phase.seconds, left)
            )
        self.log.drain()

    def pids(self) -> dict[str, int]:
        """Return the process id of each unit that runs at this moment."""
        return {name: child.process.pid for name, child in self._children.items() if child.process is not None}

    def _ask_to_roll(self, _number: int, _frame: FrameType | None) -> None:
        self._is_roll_wanted = True

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._requests_to_stop += 1

    def turn(self, pause: float | None = None) -> None:
        """Look after each unit, then sleep until something happens or the next look is due."""
        if self._requests_to_stop:
            raise Stopped
        now = time.monotonic()
        for child in self._children.values():
            self._look_after(child, now)
        if pause is None and any(not child.is_ready for child in self._children.values()):
            pause = _LOOK_AGAIN_SECONDS
        self._pump(pause)

    def _pump(self, pause: float | None) -> None:
        for key, _events in self._selector.select(pause):
            key.data()

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.start_at and child.unit.may_start():
                child.started_at = now
                try:
                    child.process = self._launch(child.unit.name, child.unit.start)
                except OSError as error:  # short of memory, processes or descriptors, which may pass
                    pause = child.plan_restart(now)
                    self.log.say(child.unit.name, f"cannot be started ({error}), is tried again in {pause:g} s")
        elif _has_ended(child.process):
            if child.return_to_old():
                return
            pause = child.plan_restart(now)
            code = child.process.poll()
            self.log.say(child.unit.name, f"ended with code {code}, starts again in {pause:g} s")
            child.process = None
        elif not child.is_ready:
            child.is_ready = child.unit.is_ready(child.process)

    def _start_successor(self, child: Child, deadline: float) -> bool:
        """Start a new process beside the running one and wait until it is ready; False leaves the running one alone."""
        try:
            successor = self._launch(child.unit.name, child.unit.start)
        except OSError as error:
            self.log.say(child.unit.name, f"cannot be started ({error})")
            return False
        running, child.process = child.process, successor
        child.old, child.is_ready, child.started_at = running, False, time.monotonic()
        while child.process is successor and not child.is_ready:
            self.turn(pause=_LOOK_AGAIN_SECONDS)
            if time.monotonic() > deadline and successor.returncode is None:
                _signal_group(successor, signal.SIGKILL)
        child.old, child.leaving = None, child.old
        return child.process is successor

    def _retire(self, child: Child, deadline: float) -> None:
        """End the replaced process in good order, looking after the other units meanwhile."""
        if child.leaving is not None and not _has_ended(child.leaving):
            child.leaving.send_signal(child.unit.stop_signal)
            while not _has_ended(child.leaving):
                if time.monotonic() > deadline:
                    _signal_group(child.leaving, signal.SIGKILL)
                self.turn(pause=_LOOK_AGAIN_SECONDS)
        child.leaving = None

    def _launch(self, name: str, start: Start) -> subprocess.Popen[bytes]:
        pipe = self.log.open(name)
        try:
            return start(pipe)
        finally:
            os.close(pipe)

    def _stop_together(self, children: Sequence[Child], seconds: float) -> None:
        """Ask politely, then insist, then kill."""
        processes = {process: child.unit for child in children for process in child.processes()}
        for process, unit in processes.items():
            process.send_signal(unit.stop_signal)
        self._await_ends(processes, seconds)
        for process, unit in processes.items():
            process.send_signal(unit.last_signal)
        self._await_ends(processes, _LAST_CHANCE_SECONDS)
        for process in processes:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for child in children:
            child.process = child.old = child.leaving = None
            child.is_ready = False

    def _await_ends(self, processes: Iterable[subprocess.Popen[bytes]], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not all(_has_ended(process) for process in processes):
            if time.monotonic() > deadline or self._requests_to_stop > 1:
                return
            self._pump(_LOOK_AGAIN_SECONDS)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has ended, and if so end what is left of its group, before its id can be reused."""
    if process.returncode is None and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        return False
    if process.returncode is None:
        _signal_group(process, signal.SIGKILL)
        process.wait()
    return True


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
