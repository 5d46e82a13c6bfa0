"""Ties the life of a child process to its parent's, so that a killed supervisor leaves nothing behind.

Linux sends a chosen signal to a child when the thread that forked it ends (`PR_SET_PDEATHSIG`). The wish is lost
whenever a process changes its user or capabilities, so it is always voiced last, just before the program starts.
Elsewhere the calls do nothing and children end by the ordinary stop only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def follow_parent(death_signal: signal.Signals, parent: int) -> None:
    """Receive `death_signal` when the parent process ends; at once when it already has."""
    if sys.platform == "linux" and _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), death_signal)
