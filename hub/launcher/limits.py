"""The limit on open files, which caps how many receivers a worker can talk to at once."""

from __future__ import annotations

import resource

from hub.launcher.errors import LaunchError

OPEN_FILES = 8192


def require_open_files(wanted: int = OPEN_FILES) -> None:
    """Raise this process's own limit as far as needed, or say how the administrator raises the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard) or soft >= wanted:
        return
    if hard < wanted:
        raise LaunchError(
            f"This process may open {hard} files and needs {wanted}: raise the limit with `ulimit -n {wanted}`, "
            "LimitNOFILE= of systemd, or --ulimit nofile of the container runtime."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
