"""A product of the benchmark's own: started by `manage.py up` in a temporary folder, gone afterwards.

The process that measures needs Django set up on that product's database, and Django reads its settings once: so
the command starts the product first, and then itself again with the product's addresses in the environment.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hub.bench import children
from hub.launcher.product import LOOPBACK, PROJECT

VARIABLE = "HEADWATER_BENCH_PRODUCT"
FOREIGN = ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "SECRETS_KEYS")


class NoProduct(Exception):
    """A benchmark that measures a product was run without one."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A running product."""

    url: str
    pid: int
    pids: dict[str, int]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80


@contextmanager
def installed(workers: int = 1) -> Iterator[dict[str, str]]:
    """Run a product; gives the environment for a process that measures it."""
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        Path(folder).chmod(0o711)
        environment = clean_environment(os.environ)
        argv = [sys.executable, str(PROJECT / "manage.py"), "up", "--json", "--port", "0", "--data", f"{folder}/data"]
        argv += ["--workers", str(workers)]
        with children.running(argv, environment) as (told, pid):
            found = Installed(told["url"], pid, told["pids"])
            yield environment | {
                "DATABASE_URL": told["database_url"],
                "REDIS_URL": told["redis_url"],
                "PUBLIC_URL": told["url"],
                "ALLOW_PRIVATE_NETWORKS": LOOPBACK,
                VARIABLE: json.dumps(asdict(found)),
            }


def current() -> Installed:
    """The product that this process was started to measure."""
    if VARIABLE not in os.environ:
        raise NoProduct("This benchmark measures a running product, and none was started for it.")
    return Installed(**json.loads(os.environ[VARIABLE]))


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to another installation, and with secrets of its own."""
    foreign = {*FOREIGN, *(f"{name}_FILE" for name in FOREIGN)}
    kept = {name: value for name, value in environment.items() if name not in foreign}
    key_ring = "bench:" + base64.b64encode(secrets.token_bytes(32)).decode()
    return kept | {"SECRET_KEY": secrets.token_urlsafe(48), "SECRETS_KEYS": key_ring}
