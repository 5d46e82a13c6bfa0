"""The embedded PostgreSQL server: makes its folder once, starts it, and knows when it is ready and when it is gone.

A folder is filled under another name and renamed when complete, so a crash half-way leaves nothing that looks like a
cluster. A folder made by another major version is never touched. The server listens on a Unix socket only, in a
folder that nobody else may enter, which is why it needs no password.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from hub.launcher.binaries import Binaries, postgres_major
from hub.launcher.errors import LaunchError
from hub.launcher.runas import BARE_ENVIRONMENT, RunAs

_NAME = "headwater"
_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107
_INITDB_FLAGS = (
    f"-U{_NAME}",
    "-Atrust",
    "-EUTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
# Small and quick to copy.
_THROWAWAY_FLAGS = ("--no-sync", "--no-data-checksums", "--wal-segsize=1")
DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "idle_in_transaction_session_timeout": "10s",
}
_ALWAYS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A failing statement's parameters are customers' personal data.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster: `folder` holds its data, `socket_folder` its socket."""

    folder: Path
    socket_folder: Path
    run_as: RunAs
    binaries: Binaries
    options: Mapping[str, str]

    name = "postgres"
    stop_signal = signal.SIGINT
    last_signal = signal.SIGQUIT

    @property
    def url(self) -> str:
        return f"postgresql://{_NAME}@/{_NAME}?host={quote(str(self.socket_folder))}"

    @property
    def mark(self) -> str:
        """Return the name by which each process of this cluster can be told from any other's."""
        return f"{_NAME}-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:10]}"

    def prepare(self) -> None:
        """Make the folders and the cluster in them, unless a usable one is there."""
        for draft in self.folder.parent.glob(f"{self.folder.name}.draft-*"):
            shutil.rmtree(draft)
        if not _holds_cluster(self.folder):
            self._initialise()
        self.run_as.make_folder(self.folder)
        self.run_as.make_folder(self.socket_folder)

    def may_start(self) -> bool:
        """Tell whether nothing of an earlier run is left; ask what a killed postmaster left behind to end."""
        left = dict(_processes_of(self.mark, self.folder))
        if not left:
            self._forget_reused_pid()
            return True
        if not any(left.values()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
        return False

    def postmaster(self) -> int | None:
        """Return the process id of a running postmaster of this folder, if there is one."""
        return next((pid for pid, is_postmaster in _processes_of(self.mark, self.folder) if is_postmaster), None)

    def start(self, log: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start the server. SIGQUIT at the parent's death stops it at once; the log of changes makes that safe."""
        settings = {
            **_ALWAYS,
            **self.options,
            "unix_socket_directories": str(self.socket_folder),
            "cluster_name": self.mark,
        }
        arguments = [part for name, setting in settings.items() for part in ("-c", f"{name}={setting}")]
        return self.run_as.start(
            [self.binaries.postgres, "-D", self.folder, *arguments],
            death_signal=signal.SIGQUIT,
            stdout=log,
            stderr=log,
            environment=BARE_ENVIRONMENT | _KEEP_MEMORY,
        )

    def is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether this very process accepts connections, from the status line that it keeps in its folder."""
        lines = _pid_file_lines(self.folder)
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    def _initialise(self) -> None:
        """Make the cluster under another name and rename it when it is complete."""
        draft = Path(tempfile.mkdtemp(prefix=f"{self.folder.name}.draft-", dir=self.folder.parent))
        self.run_as.make_folder(draft)
        extra = () if self.options.get("fsync", "on") == "on" else _THROWAWAY_FLAGS
        self._run([self.binaries.initdb, "-D", draft, *_INITDB_FLAGS, *extra])
        self._run([self.binaries.postgres, "--single", "-D", draft, "postgres"], f'CREATE DATABASE "{_NAME}"\n')
        with contextlib.suppress(FileNotFoundError):
            self.folder.rmdir()
        draft.rename(self.folder)
        _sync_folder(self.folder.parent)

    def _run(self, argv: Sequence[str | Path], text: str = "") -> None:
        process = self.run_as.start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _nothing = process.communicate(text.encode())
        if process.returncode != 0:
            last_line = output.decode(errors="replace").strip().splitlines()[-1:]
            raise LaunchError(f"PostgreSQL could not make its folder {self.folder}: {' '.join(last_line)}")

    def _forget_reused_pid(self) -> None:
        """Remove a pid file whose number now belongs to a stranger, which PostgreSQL would take for itself."""
        lines = _pid_file_lines(self.folder)
        if lines and lines[0].isdigit() and Path("/proc", lines[0]).exists():
            (self.folder / "postmaster.pid").unlink()


# A backend that writes batches asks for the same memory at every statement; handing it back in between was a fifth of
# its work.
_KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "1048576",
}
_SHORT_FOLDER = "/tmp"  # noqa: S108 - the folder made in it is checked to be ours


def choose_socket_folder(preferred: Path) -> Path:
    """Return `preferred`, or a short folder named after it when the socket's path would exceed the kernel's limit."""
    if len(os.fsencode(preferred / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH:
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:10]
    # The system's own temporary folder: the one that the environment names may be as deep as what is avoided here.
    folder = Path(_SHORT_FOLDER, f"{_NAME}-{os.geteuid()}-{digest}")
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise LaunchError(f"The folder {folder} belongs to another user: remove it, or set --data to a shorter path.")
    return folder / "s"


def _holds_cluster(folder: Path) -> bool:
    """Tell whether the folder holds a cluster of our major version; refuse anything else that is in it."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    version_file = folder / "PG_VERSION"
    if not version_file.is_file():
        raise LaunchError(f"The folder {folder} is neither empty nor a PostgreSQL cluster: move it away.")
    found, ours = version_file.read_text().strip(), postgres_major()
    if found != ours:
        raise LaunchError(
            f"The folder {folder} holds data of PostgreSQL {found}, and this version brings {ours}: start the previous "
            "version, write a copy with `pg_dump --format=custom --file=headwater.dump`, move the folder away, start "
            "this version, and load it with `pg_restore --clean --if-exists --dbname=DATABASE_URL headwater.dump`."
        )
    return True


def _processes_of(mark: str, folder: Path) -> Iterator[tuple[int, bool]]:
    """Yield (pid, is postmaster) of each process of the cluster; command lines are readable across users."""
    postmaster, child = f"-D\0{folder}\0".encode(), f"postgres: {mark}: ".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if postmaster in command and b"cluster_name=" in command:
            yield int(entry.name), True
        elif command.startswith(child):
            yield int(entry.name), False


def _pid_file_lines(folder: Path) -> list[str]:
    try:
        return (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
