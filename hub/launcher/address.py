"""Where the web server listens, and the addresses that people and the supervisor use to reach it."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass

from hub.launcher.errors import LaunchError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to
_LET_GO_SECONDS = 2.0
_ASK_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of the web server."""

    host: str
    port: int

    @property
    def reachable_host(self) -> str:
        return _EVERYWHERE.get(self.host, self.host)

    @property
    def url(self) -> str:
        host = f"[{self.reachable_host}]" if ":" in self.reachable_host else self.reachable_host
        return f"http://{host}:{self.port}"

    def answers_ready(self) -> bool:
        """Ask `/ready`."""
        connection = http.client.HTTPConnection(self.reachable_host, self.port, timeout=_ASK_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def claim_address(host: str, port: int) -> Address:
    """Check that the port is free, waiting for one that is just being let go; port 0 takes any free one."""
    deadline = time.monotonic() + _LET_GO_SECONDS
    while True:
        try:
            return Address(host, _bind(host, port))
        except socket.gaierror as error:
            raise LaunchError(f"The host {host} is not known on this machine: choose another with --host.") from error
        except PermissionError as error:
            raise LaunchError(f"Port {port} needs rights that this user lacks: choose another with --port.") from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"Port {port} on {host} cannot be used ({error.strerror}): stop what listens there, "
                    "or choose another with --port."
                ) from error
        time.sleep(0.1)


def _bind(host: str, port: int) -> int:
    family, kind, protocol, _name, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(target)
        bound: int = probe.getsockname()[1]
        return bound
