"""How a child tells its supervisor that it does its work: it writes its process id to a file named by a variable.

The id makes an old file worthless, so nobody has to remove it. Outside a supervisor the variable is unset and
telling is a no-op, so a process need not know who started it.
"""

from __future__ import annotations

import os
from pathlib import Path

READY_FILE = "HEADWATER_READY_FILE"


def mark_ready() -> None:
    """Tell the supervisor, if there is one, that this process now does its work."""
    if path := os.environ.get(READY_FILE):
        draft = Path(f"{path}.{os.getpid()}")
        draft.write_text(str(os.getpid()))
        draft.replace(path)


def is_marked_ready(path: Path, pid: int) -> bool:
    """Tell whether this very process has said so."""
    try:
        return path.read_text() == str(pid)
    except FileNotFoundError:
        return False
