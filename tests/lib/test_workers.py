"""What worker processes are called, and which of them are gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hub.lib import workers


def dead_pid() -> int:
    """The id of a process that has ended and been noticed."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_process_that_runs_is_not_gone_and_one_that_ended_is() -> None:
    assert not workers.is_gone(str(os.getpid()))
    assert workers.is_gone(str(dead_pid()))


def test_a_process_that_only_waits_to_be_noticed_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert workers.is_gone(str(ended.pid))


@pytest.mark.parametrize("text", ["", "x", "1 2"])
def test_what_is_no_process_id_is_nobody_who_died(text: str) -> None:
    assert not workers.is_gone(text)


def test_a_name_holds_the_machine_and_the_process() -> None:
    assert workers.own_name() == f"{workers.machine()}:{os.getpid()}"
