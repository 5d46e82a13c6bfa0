"""Runs the whole product in one process tree: embedded servers where none are named, then web, worker and scheduler.

The order is: claim port and folder, start the servers, migrate, start the product's processes, announce, and keep all
of it running until a signal asks for the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.launcher.address import claim_address
from hub.launcher.embedded import Service, embed
from hub.launcher.errors import EXIT_CODE, LaunchError, UnreachableFolder
from hub.launcher.installation import Installation, open_installation
from hub.launcher.product import DATA_FOLDER, LOOPBACK, Announcement, Product
from hub.launcher.supervisor import Stopped, Supervisor
from hub.lib.env import envsecret

STOP_SECONDS = 9.0
SYSTEM_FOLDER = Path("/var/lib/headwater")
_SERVICES_TIMEOUT_SECONDS = 60.0
_PRODUCT_TIMEOUT_SECONDS = 120.0
_NAME = "up"
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    host: str
    port: int
    data: Path
    demo: bool
    workers: int
    json: bool


def _port(text: str) -> int:
    """Read a port number; the kernel would take a larger one modulo its range."""
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: choose one from 0 to {_LAST_PORT}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, once for the management command and for the process that it becomes."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on, 0 for any (default %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA_FOLDER, help="folder for data (default %(default)s)")
    parser.add_argument("--demo", action="store_true", help="add a workspace with a source, a receiver and an admin")
    workers = "number of worker processes; of three or more the last is for slow receivers (default %(default)s)"
    parser.add_argument("--workers", type=_positive, default=1, help=workers)
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready, and nothing else")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of processes: choose at least 1")
    return int(text)


def to_argv(values: Mapping[str, object]) -> list[str]:
    """Spell parsed options as arguments again, with the folder absolute because the working folder changes."""
    flags = [f"--{name}" for name in ("demo", "json") if values[name]]
    pairs = [part for name in ("host", "port", "workers") for part in (f"--{name}", str(values[name]))]
    return [*pairs, "--data", str(Path(str(values["data"])).absolute()), *flags]


def parse(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="manage.py up")
    add_arguments(parser)
    return Options(**vars(parser.parse_args(argv)))


def main(argv: Sequence[str]) -> int:
    """Run until told to stop; return the exit code."""
    options = parse(argv)
    try:
        run(options)
    except LaunchError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CODE
    return 0


def run(options: Options) -> None:
    """Start everything, announce it, keep it running, stop it."""
    address = claim_address(options.host, options.port)
    installation, services = _prepare(options.data)
    product = Product(address, installation, services, workers=options.workers, demo=options.demo)
    supervisor = Supervisor(sys.stderr)
    supervisor.watch_signals()
    try:
        with contextlib.suppress(Stopped):
            _start(supervisor, product, options)
            supervisor.run_until_stopped(product.roll_order())
    finally:
        installation.withdraw_environment()
        supervisor.stop(product.stop_phases(), STOP_SECONDS)


def _prepare(folder: Path) -> tuple[Installation, Sequence[Service]]:
    """Take the folder and prepare servers in it; where only the default one cannot be used, take a system folder."""
    installation = open_installation(folder)
    postgres, valkey = not envsecret("DATABASE_URL"), not envsecret("REDIS_URL")
    if not postgres and not valkey:
        return installation, ()
    try:
        return installation, embed(installation.folder, postgres=postgres, valkey=valkey).services
    except UnreachableFolder:
        if folder != DATA_FOLDER:
            raise
    installation.lock.close()
    installation = open_installation(SYSTEM_FOLDER)
    sys.stderr.write(f"PostgreSQL cannot enter {folder}, so the data is kept in {SYSTEM_FOLDER}.\n")
    return installation, embed(installation.folder, postgres=postgres, valkey=valkey).services


def _start(supervisor: Supervisor, product: Product, options: Options) -> None:
    """Bring everything up in order and announce it."""
    supervisor.add(product.service_units(), _SERVICES_TIMEOUT_SECONDS)
    product.installation.tell_environment(product.environment())
    if product.opens_loopback:
        supervisor.log.say(_NAME, f"destinations may reach this machine: ALLOW_PRIVATE_NETWORKS={LOOPBACK}")
    _manage(supervisor, product, "migrate", "--noinput")
    demo = json.loads(_manage(supervisor, product, "demo_setup", "--json")) if options.demo else None
    supervisor.add(product.units(), _PRODUCT_TIMEOUT_SECONDS)
    announcement = product.announcement(supervisor.pids(), demo)
    sys.stdout.write(f"{json.dumps(announcement)}\n" if options.json else _friendly(announcement))
    sys.stdout.flush()


def _manage(supervisor: Supervisor, product: Product, name: str, *arguments: str) -> str:
    """Run one management command to its end and return the last line that it printed."""
    with tempfile.TemporaryFile() as output:
        code = supervisor.run_once(name, product.command(name, *arguments, output=output))
        output.seek(0)
        lines = output.read().decode().splitlines()
    if code != 0:
        raise LaunchError(f"`manage.py {name}` ended with code {code}: the lines above say why.")
    return lines[-1] if lines else ""


def _friendly(announcement: Announcement) -> str:
    """Say in a few lines where everything is, with a call to paste."""
    lines = ["", f"Headwater runs at {announcement['url']}", f"Admin:           {announcement['admin_url']}"]
    if demo := announcement.get("demo"):
        body = '{"userId": "ada", "event": "Order Completed", "properties": {"total": 42}}'
        lines += [
            f"Sign in as:      {demo['admin_email']}  {demo['admin_password']}",
            f"Write key:       {demo['write_key']}",
            *([f"Receiver:        {demo['receiver_url']}"] if "receiver_url" in demo else []),
            "Send an event:",
            f"  curl -u {demo['write_key']}: -H 'Content-Type: application/json' \\",
            f"    -d '{body}' {announcement['url']}/v1/track",
        ]
    return "\n".join([*lines, "Ctrl-C stops everything.", "", ""])
