"""Looks at the machine's processes, for tests that must not leave any behind."""

from __future__ import annotations

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs; one that only waits to be noticed by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descendants(pid: int) -> list[int]:
    """Return a process and everything below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in descendants(int(child)))]
