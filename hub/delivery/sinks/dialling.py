"""Connections that sinks open: to the address that the gate has judged and to no other, with TLS that is verified.

Drivers that can be handed a socket get one from `dial`; those that connect themselves get addresses from `judged`.
A `Leash` cuts a connection at a set moment, for a receiver that sends a byte now and then outlasts every timeout that
a driver has.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import cast

from connectors.http import Outcome, SendError
from hub.delivery.sinks import SinkError, Target, network
from hub.lib import net
from hub.lib.gate import BlockedURL, normal_host
from hub.lib.net import Gate

CONNECT_SECONDS = net.CONNECT_TIMEOUT_MS / 1000
# Where the protocols live; a public server elsewhere needs its port opened by the operator, as any other receiver does.
PORTS: Mapping[str, frozenset[int]] = {
    "smtp": frozenset({465, 587, 2465, 2525, 2587}),
    "postgres": frozenset({5432, 5433, 6432, 6543}),
    "redis": frozenset({6379, 6380, 26379}),
    "kafka": frozenset({*range(9092, 9099), 9194, 9196, 9198}),
    "mqtt": frozenset({443, 1883, 8883, 8884}),
}
# A leash tells better than a driver that the time was over, so that it comes first.
LEASH_FIRST = 1.0
UNUSABLE_CERTIFICATE = "A certificate or key in the settings cannot be read; it has to be in PEM."
Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


@dataclass(frozen=True, slots=True)
class Way:
    """One server of a protocol; `is_plain_closed` where text in clear may go to private networks alone."""

    gate: Gate
    protocol: str
    host: str
    port: int
    is_tls: bool
    is_plain_closed: bool = False


def judged(way: Way) -> list[Place]:
    """The addresses of a server that may be connected to; SinkError when there are none."""
    try:
        host = normal_host(way.host)
        found = socket.getaddrinfo(host, way.port, type=socket.SOCK_STREAM)
    except BlockedURL as error:
        way.gate.on_refusal(error.code)
        raise network(SendError.BLOCKED) from error
    except (OSError, UnicodeError) as error:
        raise network(SendError.DNS) from error
    policy = replace(
        way.gate,
        extra_ports=way.gate.extra_ports | PORTS[way.protocol],
        require_https=way.gate.require_https or way.is_plain_closed,
    )
    allowed: list[Place] = []
    for family, _, _, _, address in found:
        refusal = policy.refusal(str(address[0]), way.port, "https" if way.is_tls else "http")
        if refusal is None:
            allowed.append((family, cast(tuple[str, int], address)))
        else:
            way.gate.on_refusal(refusal)
    if not allowed:
        raise network(SendError.BLOCKED)
    return allowed


def dial(way: Way, seconds: float) -> socket.socket:
    """A connection to the first judged address that takes one; each wait on it may take `seconds`."""
    failure = SendError.CONNECT
    until = monotonic() + min(seconds, CONNECT_SECONDS)
    for family, address in judged(way):
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(max(0.01, until - monotonic()))
            opened.connect(address)
            opened.settimeout(seconds + LEASH_FIRST)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            opened.close()
            failure = SendError.TIMEOUT if isinstance(error, TimeoutError) else SendError.CONNECT
        else:
            return opened
    raise network(failure)


def secure(opened: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """TLS on an open connection, the certificate checked for the name."""
    try:
        return context.wrap_socket(opened, server_hostname=host)
    except OSError as error:
        opened.close()
        raise network(tls_failure(error)) from error


def tls_failure(error: OSError) -> SendError:
    """What a failed handshake means: only a judged certificate stops a destination."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return SendError.TLS
    return SendError.TIMEOUT if isinstance(error, TimeoutError) else SendError.CONNECT


def tls_context(target: Target) -> ssl.SSLContext:
    """Trusts `ca_certificate` alone, where the target has one, else what the system trusts; shows a certificate of
    ours where there is `client_certificate` and `client_key`."""
    authority = text(target, "ca_certificate")
    certificate, key = text(target, "client_certificate"), text(target, "client_key")
    try:
        context = ssl.create_default_context(cafile=None if authority else net.ca_bundle(), cadata=authority or None)
        if certificate:
            with as_file(f"{certificate}\n{key}\n") as path:
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise SinkError(Outcome.DISABLED, "bad_certificate", UNUSABLE_CERTIFICATE) from error
    return context


@contextmanager
def as_file(content: str) -> Iterator[str]:
    """A file that only this user can read, for as long as a library needs one."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(content)
        file.flush()
        yield file.name


def text(target: Target, key: str, default: str = "") -> str:
    """A word of the target."""
    return str(target.get(key) or default)


def number(target: Target, key: str, default: int) -> int:
    """A whole number of the target."""
    return int(str(target.get(key) or default))


def hosts_of(listed: str, default_port: int) -> Iterator[tuple[str, int]]:
    """The `host:port` pairs of a list; without a port, the protocol's own."""
    for each in filter(None, map(str.strip, listed.split(","))):
        host, separator, port = each.rpartition(":")
        if separator and port.isdigit() and (":" not in host or host.startswith("[")):
            yield host.strip("[]"), int(port)
        else:
            yield each.strip("[]"), default_port


def is_quiet(fileno: int) -> bool:
    """Whether an idle connection has nothing to read: one that has was closed from the other side."""
    poll = select.poll()
    try:
        poll.register(fileno, select.POLLIN)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False


class Leash:
    """Holds connections and cuts them when the time of a write is over, whatever their driver waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, socket.socket] = {}
        self.is_cut = False

    def hold(self, fileno: int, name: str = "") -> None:
        """Hold a connection; it takes the place of an earlier one of the name."""
        with self._lock:
            before, self._held[name] = self._held.get(name), socket.socket(fileno=os.dup(fileno))
        if before is not None:
            before.close()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut what is held, now or later, when the work inside takes longer."""
        timer = threading.Timer(max(0.01, seconds), self._cut)
        timer.daemon = True
        self.is_cut = False
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def failure(self, otherwise: SendError) -> SendError:
        """Why a connection has ended: the time was over, or what the driver saw."""
        return SendError.TIMEOUT if self.is_cut else otherwise

    def release(self) -> None:
        """Let go of what is held; the driver closes it."""
        with self._lock:
            held, self._held = self._held, {}
        for each in held.values():
            each.close()

    def _cut(self) -> None:
        with self._lock:
            self.is_cut = True
            for each in self._held.values():
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
