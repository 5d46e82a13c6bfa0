"""An initialised cluster kept per user and copied for each test process, because copying is five times faster.

The template is made under a file lock, so that the processes of a parallel run make one between them. Its name holds
all that it depends on; a template of another PostgreSQL or another user is simply never looked at.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hub.launcher.binaries import postgres_version
from hub.launcher.postgres import Postgres

_FORMAT = 2


def copy_template(server: Postgres) -> None:
    """Fill the server's folder from this user's template, making the template first when there is none."""
    template = _cache_folder() / f"cluster-{postgres_version()}-{server.run_as.rung}-{server.run_as.uid}-{_FORMAT}"
    with _locked(template.with_name(f"{template.name}.lock")):
        if not template.exists():
            server.prepare()
            _copy(server.folder, template)
            return
    _copy(template, server.folder)
    server.prepare()


def _copy(origin: Path, target: Path) -> None:
    """Copy a cluster with its owner and modes; a copy that was broken off never bears the target's name."""
    draft = target.with_name(f"{target.name}.draft-{os.getpid()}")
    subprocess.run(["cp", "-a", origin, draft], check=True)  # noqa: S607 - the one on the PATH is meant
    draft.rename(target)


def _cache_folder() -> Path:
    """Return a folder that this user alone can write to, and that outlives the run where that is possible."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "headwater")
    with contextlib.suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    folder = Path(tempfile.gettempdir(), f"headwater-cache-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        return Path(tempfile.mkdtemp(prefix="headwater-cache-"))
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
