"""Chooses the user that the embedded servers run as, because PostgreSQL refuses to run as root.

The ladder, first rung that works on this machine: (1) not root: run directly; (2) root, and the programs and the
folder can be reached by user `nobody`: switch to that user; (3) root with either under a closed home: a user
namespace in which root's own id reads as `nobody`, so that files stay reachable while the server sees no root;
(4) namespaces forbidden: copy the programs to a readable folder and switch to `nobody` there. Each rung is tried by
running `postgres --version` on it, since modes alone do not tell what a container forbids.
"""

from __future__ import annotations

import ctypes
import enum
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hub.launcher.binaries import Binaries, copy_binaries
from hub.launcher.errors import LaunchError, UnreachableFolder
from hub.launcher.parenthood import follow_parent

_CLONE_NEWUSER = 0x10000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_PLAIN_USERS = ("nobody", "daemon", "bin")


class Rung(enum.StrEnum):
    """How the servers stop being root."""

    DIRECT = "direct"
    USER = "user"
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class RunAs:
    """One rung: knows who owns the servers' files and how to start a program."""

    rung: Rung
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """Return the user and group that own the servers' files, seen from outside."""
        return (self.uid, self.gid) if self.rung is Rung.USER else (os.geteuid(), os.getegid())

    def make_folder(self, path: Path) -> None:
        """Create a folder that only the servers' user may enter; hand over one that another rung has made."""
        path.mkdir(mode=0o700, exist_ok=True)
        if path.stat().st_uid != self.owner[0]:
            for folder, _folders, files in os.walk(path):
                os.chown(folder, *self.owner)
                for name in files:
                    os.chown(Path(folder, name), *self.owner, follow_symlinks=False)
        path.chmod(0o700)

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        death_signal: signal.Signals = signal.SIGKILL,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path = Path("/"),
        reach: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own, tied to this process; it must be able to enter `reach`."""
        parent = os.getpid()
        switched = self.rung is Rung.USER

        def become_child() -> None:
            if self.rung is Rung.NAMESPACE:
                _enter_namespace(self.uid, self.gid)
            if reach is not None:
                os.stat(reach / ".")
            follow_parent(death_signal, parent)

        return subprocess.Popen(
            [str(part) for part in argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment or BARE_ENVIRONMENT,
            cwd=folder,
            process_group=0,
            preexec_fn=become_child,  # imports nothing, takes no lock
            user=self.uid if switched else None,
            group=self.gid if switched else None,
            extra_groups=[] if switched else None,
        )


BARE_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def choose(binaries: Binaries, folder: Path) -> tuple[RunAs, Binaries]:
    """Return the first rung that can run the programs and enter `folder`, with the programs to use on it."""
    if os.geteuid() != 0:
        return RunAs(Rung.DIRECT, os.geteuid(), os.getegid()), binaries
    uid, gid = _plain_user()
    as_user, in_namespace = RunAs(Rung.USER, uid, gid), RunAs(Rung.NAMESPACE, uid, gid)
    for run_as in (as_user, in_namespace):
        if _works(run_as, binaries, folder):
            return run_as, binaries
    return as_user, _copied(as_user, binaries, folder)


def _copied(as_user: RunAs, binaries: Binaries, folder: Path) -> Binaries:
    try:
        copied = copy_binaries(binaries)
    except OSError as error:
        raise LaunchError(
            f"PostgreSQL cannot run as root, and its programs cannot be copied to a readable folder ({error}): "
            "start as another user."
        ) from error
    if not _works(as_user, copied, folder):
        raise UnreachableFolder(
            f"PostgreSQL cannot run as root, and user `nobody` cannot enter {folder}: "
            "give a folder that it can reach, such as --data /var/lib/headwater, or start as another user."
        )
    return copied


def _works(run_as: RunAs, binaries: Binaries, folder: Path) -> bool:
    """Tell whether the rung can run both programs and enter the folder, by doing so."""
    return all(_runs(run_as, [program, "--version"], folder) for program in (binaries.postgres, binaries.valkey))


def _runs(run_as: RunAs, argv: Sequence[str | Path], folder: Path) -> bool:
    try:
        process = run_as.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, reach=folder)
    except (OSError, subprocess.SubprocessError):
        return False
    return process.wait() == 0


def _plain_user() -> tuple[int, int]:
    """Find an ordinary user with a passwd entry, which initdb insists on."""
    for name in _PLAIN_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise LaunchError("PostgreSQL cannot run as root, and /etc/passwd has no user `nobody`: add it.")


def _enter_namespace(uid: int, gid: int) -> None:
    """Move this process into a user namespace where its own user and group read as `uid` and `gid`.

    `unshare --map-user` makes the same calls; making them here keeps the process id and lets the wish to follow the
    parent be voiced afterwards.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are forbidden")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")
