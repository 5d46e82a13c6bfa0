"""What worker processes are called, and which of this machine's are gone.

A name goes into leases and onto pages. It holds the process id, so that whoever starts next on the same machine can
tell whether its bearer still lives.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def machine() -> str:
    """This machine's name as workers carry it, with what tells it from another of the same name.

    A process id means something within one start of one kernel and one namespace of process ids only.
    """
    try:
        text = f"{BOOT.read_text(encoding='ascii').strip()}|{PID_NAMESPACE.stat().st_ino}"
    except OSError:  # not Linux: nobody is ever taken for dead
        text = os.urandom(8).hex()
    return f"{socket.gethostname()[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def own_name() -> str:
    """What this process is called."""
    return f"{machine()}:{os.getpid()}"


def is_gone(pid: str) -> bool:
    """Whether no process has this id; one that waits to be noticed by its parent makes no call either."""
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, ValueError):
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
