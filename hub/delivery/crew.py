"""The worker processes of this machine: what they are called, and the leases of those that died.

A lease of a dead worker runs out by itself. On the same machine nobody needs to wait for that: a process that is gone
makes no call any more, so whoever starts next may end its leases at once.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from psycopg import Connection

from hub.lib.postgres import Row
from hub.observability import log

BOOT = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")
OWNERS = """
SELECT DISTINCT owner FROM delivery_pipeline WHERE lease_until > now() AND starts_with(owner, %s)
"""
END = """
UPDATE delivery_pipeline SET lease_until = now(), next_run_at = now() WHERE owner = ANY(%s) AND lease_until > now()
"""
logger = log.get(__name__)


def machine() -> str:
    """This machine's name as workers carry it, with what tells it from another of the same name.

    A process id means something within one start of one kernel and one namespace of process ids only.
    """
    try:
        text = f"{BOOT.read_text(encoding='ascii').strip()}|{PID_NAMESPACE.stat().st_ino}"
    except OSError:  # not Linux: nobody is ever taken for dead
        text = os.urandom(8).hex()
    return f"{socket.gethostname()[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def name_of(pid: int) -> str:
    """What the worker with this process id is called."""
    return f"{machine()}:{pid}"


def end_leases_of_dead(connection: Connection[Row]) -> int:
    """End the leases of workers of this machine that are gone; how many there were."""
    prefix = f"{machine()}:"
    owners = [str(row[0]) for row in connection.execute(OWNERS, [prefix]).fetchall()]
    dead = [owner for owner in owners if is_gone(owner.removeprefix(prefix))]
    if not dead:
        return 0
    count = connection.execute(END, [dead]).rowcount
    logger.warning("leases_of_dead_ended", workers=dead, count=count)
    return count


def is_gone(pid: str) -> bool:
    """Whether no process has this id; one that waits to be noticed by its parent makes no call either."""
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, ValueError):
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
