"""A real MQTT broker, mosquitto, where the machine has one."""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAM = (
    os.environ.get("HEADWATER_MOSQUITTO") or shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
)
ITERATIONS = 101


class Mosquitto:
    """A broker on a loopback port; further lines go into its configuration."""

    def __init__(self, folder: Path, *lines: str, passwords: dict[str, str] | None = None) -> None:
        self.port = free_port()
        config = [
            f"user {getpass.getuser()}",
            "log_type none",
            "persistence false",
            f"listener {self.port} 127.0.0.1",
            *lines,
        ]
        if passwords:
            path = folder / "passwords"
            path.write_text("".join(f"{name}:{hashed(word)}\n" for name, word in passwords.items()))
            path.chmod(0o600)
            config += [f"password_file {path}", "allow_anonymous false"]
        else:
            config.append("allow_anonymous true")
        (folder / "mosquitto.conf").write_text("\n".join(config) + "\n")
        self._command = [str(PROGRAM), "-c", str(folder / "mosquitto.conf")]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mosquitto:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


def hashed(password: str) -> str:
    """A password as mosquitto_passwd writes it."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
