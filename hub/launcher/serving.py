"""Which processes listen at a port, as Linux tells it: the one way to know a new web server from the old one beside it.

Both hold the port while one replaces the other, so an answer says nothing about who gave it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"
_PROC = Path("/proc")


def serves(pid: int, port: int) -> bool:
    """Tell whether a process has children and all of them listen at a port; where nobody can say, it is believed."""
    if not (_PROC / "net" / "tcp").exists():
        return True
    children = list(_children(pid))
    listening = _listening(port)
    return bool(children) and all(not listening.isdisjoint(_sockets(child)) for child in children)


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from map(int, (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split())


def _listening(port: int) -> set[str]:
    """The sockets that listen at a port, by their inodes."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                _slot, local, _remote, state, *_counts, inode = line.split()[:10]
                if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                    found.add(inode)
    return found


def _sockets(pid: int) -> set[str]:
    """The sockets that a process has open, by their inodes."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                target = os.readlink(descriptor)
                if target.startswith("socket:["):
                    found.add(target[len("socket:[") : -1])
    return found
