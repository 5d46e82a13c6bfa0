from __future__ import annotations

import os
import subprocess
import sys

from hub.bench.processes import cpu_seconds, descendants, name_of, pss_mb, used_by

GONE = 2**22 + 1


def test_a_child_belongs_to_the_tree_and_adds_to_its_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert {os.getpid(), child.pid} <= set(descendants(os.getpid()))
        assert used_by(os.getpid()).pss_mb > pss_mb(os.getpid()) > 1
        child.communicate(b"\n")


def test_time_spent_is_time_counted() -> None:
    before = os.times()
    assert cpu_seconds(os.getpid()) >= before.user + before.system - 0.1


def test_a_process_that_is_gone_takes_nothing() -> None:
    assert (pss_mb(GONE), cpu_seconds(GONE), name_of(GONE)) == (0.0, 0.0, "")
    assert used_by(GONE).pss_mb == 0.0
