"""Connections of sinks pass the gate: the resolved address is judged, and the judged address is dialled."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from connectors.http import Outcome
from hub.delivery.sinks import SinkError
from hub.delivery.sinks.dialling import PORTS, Leash, Way, dial, is_quiet, judged
from hub.lib.net import Gate

LOOPBACK = ip_network("127.0.0.0/8")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def refused(way: Way) -> SinkError:
    with pytest.raises(SinkError) as error:
        judged(way)
    return error.value


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "localhost", "0.0.0.0", "fd00:ec2::254"]
)
def test_private_addresses_are_closed(host: str) -> None:
    codes: list[str] = []
    error = refused(Way(Gate(on_refusal=codes.append), "postgres", host, 5432, True))
    assert (error.outcome, error.reason, error.error) == (Outcome.DISABLED, "config_error", "blocked")
    assert set(codes) == {"blocked_address"}
    assert host not in str(error)


def test_link_local_stays_closed_whatever_is_opened() -> None:
    everything = Gate(allow_private=(ip_network("0.0.0.0/0"),))
    assert refused(Way(everything, "redis", "169.254.169.254", 6379, True)).error == "blocked"


@pytest.mark.parametrize("host", ["/var/run/postgresql", "@socket", "127.1", "0x7f.1", "2130706433", "a b", "x\0y", ""])
def test_what_only_an_attacker_writes_is_no_host(host: str) -> None:
    assert refused(Way(Gate(allow_private=(LOOPBACK,)), "postgres", host, 5432, True)).error == "blocked"


@pytest.mark.parametrize("protocol", PORTS)
def test_public_servers_are_reached_at_their_protocols_ports(protocol: str) -> None:
    for port in PORTS[protocol]:
        assert judged(Way(Gate(), protocol, "93.184.215.14", port, True))
    assert refused(Way(Gate(), protocol, "93.184.215.14", 22, True)).error == "blocked"
    assert judged(Way(Gate(extra_ports=frozenset({22})), protocol, "93.184.215.14", 22, True))


def test_in_clear_only_where_it_may() -> None:
    public, private = ("93.184.215.14", 6379), ("127.0.0.1", 6379)
    strict = Gate(allow_private=(LOOPBACK,), require_https=True)
    assert refused(Way(strict, "redis", *public, False)).error == "blocked"
    assert judged(Way(strict, "redis", *private, False))
    loose = Gate(allow_private=(LOOPBACK,))
    assert judged(Way(loose, "redis", *public, False))
    assert refused(Way(loose, "smtp", "93.184.215.14", 587, False, is_plain_closed=True)).error == "blocked"
    assert judged(Way(loose, "smtp", "127.0.0.1", 587, False, is_plain_closed=True))


def test_a_name_is_dialled_at_the_address_that_was_judged(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name points elsewhere the moment after: nobody asks for it again."""
    port, asked = listener.getsockname()[1], []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with dial(Way(Gate(allow_private=(LOOPBACK,)), "redis", "shop.test", port, True), 5.0) as opened:
        assert opened.getpeername() == ("127.0.0.1", port)
    assert asked == ["shop.test"]


def test_a_forbidden_address_among_others_is_never_dialled(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("10.0.0.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    way = Way(Gate(allow_private=(LOOPBACK,)), "redis", "shop.test", port, True)
    assert [address for _, address in judged(way)] == [("127.0.0.1", port)]


def test_a_name_that_is_not_found_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert refused(Way(Gate(), "redis", "nowhere.test", 6379, True)).reason == "dns"


def test_an_idle_connection_with_something_to_read_is_over() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        assert is_quiet(ours.fileno())
        theirs.close()
        assert not is_quiet(ours.fileno())
    assert not is_quiet(-1)


def test_a_leash_ends_a_wait_that_knows_no_end() -> None:
    ours, theirs = socket.socketpair()
    leash = Leash()
    leash.hold(ours.fileno())
    with ours, theirs, leash.within(0.05):
        assert ours.recv(1) == b""
    assert leash.is_cut
    leash.release()
