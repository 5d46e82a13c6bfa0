"""The embedded Valkey server: holds hints and counters only, so it keeps nothing on disk.

It listens on one loopback port, because the clients of Celery and redis-py spell Unix sockets differently, and wants
a password, because every user of the machine can reach loopback. The settings travel by standard input and are
not seen in the process list.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hub.launcher.binaries import Binaries
from hub.launcher.errors import LaunchError
from hub.launcher.runas import RunAs

_HOST = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections, so that a restart finds it free again.
_PORTS = range(20_000, 32_000)
_ASK_TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Valkey:
    """One server: its folder is only a place to stand in."""

    folder: Path
    run_as: RunAs
    binaries: Binaries
    port: int
    password: str

    name = "redis"
    stop_signal = signal.SIGTERM
    last_signal = signal.SIGKILL

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{_HOST}:{self.port}/0"

    def prepare(self) -> None:
        self.run_as.make_folder(self.folder)

    def may_start(self) -> bool:
        return True

    def start(self, log: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """Start the server with its settings on standard input."""
        reading_end, writing_end = os.pipe()
        os.write(writing_end, self._settings().encode())
        os.close(writing_end)
        try:
            return self.run_as.start([self.binaries.valkey, "-"], stdin=reading_end, stdout=log, stderr=log)
        finally:
            os.close(reading_end)

    def _settings(self) -> str:
        return "\n".join(
            (
                f"bind {_HOST}",
                f"port {self.port}",
                f"requirepass {self.password}",
                f'dir "{self.folder}"',
                "daemonize no",
                'save ""',
                "appendonly no",
                "maxmemory 256mb",
                "maxmemory-policy noeviction",
                "loglevel warning",
            )
        )

    def is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether the server of this process answers with our password."""
        if process.poll() is not None:
            return False
        try:
            with socket.create_connection((_HOST, self.port), timeout=_ASK_TIMEOUT_SECONDS) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return connection.makefile("rb").read(12) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


def choose_port() -> int:
    """Return a loopback port that nobody listens on."""
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise LaunchError(
        "No loopback port between 20000 and 32000 is free for Valkey: set REDIS_URL to a server of yours."
    )


def make_password() -> str:
    return secrets.token_urlsafe(24)
