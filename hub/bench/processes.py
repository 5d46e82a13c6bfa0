"""How much memory and processor time a tree of processes takes, read from /proc.

Memory is the proportional set size: pages that processes share are divided between them, so the sum counts each once.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat after the name in parentheses.
PARENT, USER_TICKS, SYSTEM_TICKS = 1, 11, 12


@dataclass(frozen=True, slots=True)
class Used:
    """What a tree of processes takes at one moment; processor seconds are since each began."""

    pss_mb: float
    cpu_seconds: float
    count: int


def used_by(root: int) -> Used:
    """Add up a process and all its descendants."""
    tree = descendants(root)
    return Used(sum(map(pss_mb, tree)), sum(map(cpu_seconds, tree)), len(tree))


def descendants(root: int) -> list[int]:
    """A process and everything below it."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in PROC.iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))):
            children[int(fields[PARENT])].append(int(path.name))
    tree = [root]
    for pid in tree:
        tree.extend(children[pid])
    return tree


def pss_mb(pid: int) -> float:
    """A process's share of memory in MB; 0 when it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 when it has gone."""
    fields = _stat(pid)
    return (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND if fields else 0.0


def name_of(pid: int) -> str:
    """What a process is, in a few words."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").split()
        command = next((words[place + 1] for place, word in enumerate(words[:-1]) if word.endswith("manage.py")), "")
        return command or " ".join(words[:3])[:60].strip()
    return ""


def _stat(pid: int) -> list[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return []
