"""Names that resolve to what may not be reached: judged at each connection, whatever was known before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import pycurl
import pytest

from hub.lib import net
from hub.lib.net import Answer, Gate, Wire, call
from tests.receivers import Receiver

# A gate that finds fault with addresses alone, so that the receiver's port is not what is refused.
LOOPBACK = (ip_network("127.0.0.0/8"),)
NAME = "rebinding.example"


@dataclass
class Refusals:
    """What a gate has refused, for as long as a test runs."""

    codes: list[str] = field(default_factory=list)

    def gate(self, port: int, **policy: object) -> Gate:
        return replace(Gate(extra_ports=frozenset({port}), on_refusal=self.codes.append), **policy)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def resolve(wire: Wire, port: int, *addresses: str) -> None:
    """From now on the name has these addresses, as after an answer of its name server."""
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    wire.easy.setopt(pycurl.RESOLVE, [f"-{NAME}:{port}", f"{NAME}:{port}:{shown}"])


def ask(wire: Wire, port: int) -> Answer:
    refused = wire.load("POST", f"http://{NAME}:{port}/ok", (), b"{}", 2_000)
    assert refused is None, "the name itself is above suspicion"
    code = 0
    try:
        wire.easy.perform()
    except pycurl.error as error:
        code = error.args[0]
    return wire.answer(code)


def test_a_name_that_points_inside_when_it_is_called_is_refused_before_a_byte(receiver: Receiver) -> None:
    refusals = Refusals()
    wire = Wire(refusals.gate(receiver.port))
    resolve(wire, receiver.port, "127.0.0.1")
    answer = ask(wire, receiver.port)
    assert (answer.error, answer.status, answer.sent) == ("blocked", 0, False)
    assert (receiver.connections, refusals.codes) == (0, ["blocked_address"])
    wire.close()


def test_a_name_that_moves_inside_between_two_calls_is_refused_at_its_next_connection(receiver: Receiver) -> None:
    refusals = Refusals()
    opened = refusals.gate(receiver.port, allow_private=(ip_network("127.0.0.1/32"),))
    wire = Wire(opened)
    resolve(wire, receiver.port, "127.0.0.1")
    assert ask(wire, receiver.port).status == 200
    resolve(wire, receiver.port, "127.0.0.2")
    wire.easy.setopt(pycurl.FRESH_CONNECT, 1)
    assert ask(wire, receiver.port).error == "blocked"
    assert refusals.codes == ["blocked_address"]
    wire.close()


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "10.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
        *("::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fec0::1", "fe80::1"),
        *("fd00:ec2::254", "ff02::1", "3fff::1", "100::1", "224.0.0.1", "255.255.255.255", "192.0.0.8"),
    ],
)
def test_no_disguise_of_an_inner_address_is_connected_to(receiver: Receiver, address: str) -> None:
    refusals = Refusals()
    wire = Wire(refusals.gate(receiver.port))
    resolve(wire, receiver.port, address)
    answer = ask(wire, receiver.port)
    assert (answer.error, answer.sent, refusals.codes) == ("blocked", False, ["blocked_address"])
    wire.close()


def test_of_several_addresses_the_forbidden_ones_are_passed_over(receiver: Receiver) -> None:
    refusals = Refusals()
    wire = Wire(refusals.gate(receiver.port, allow_private=(ip_network("127.0.0.1/32"),)))
    resolve(wire, receiver.port, "10.0.0.1", "127.0.0.2", "127.0.0.1")
    assert ask(wire, receiver.port).status == 200
    assert refusals.codes == ["blocked_address"] * 2
    wire.close()


def test_a_name_whose_addresses_are_all_forbidden_is_blocked_and_not_merely_unreachable(receiver: Receiver) -> None:
    wire = Wire(Gate(extra_ports=frozenset({receiver.port})))
    resolve(wire, receiver.port, "10.0.0.1", "::1", "169.254.169.254")
    assert ask(wire, receiver.port).error == "blocked"
    wire.close()


def test_a_public_address_without_tls_is_refused_at_connect_where_https_is_required(receiver: Receiver) -> None:
    refusals = Refusals()
    wire = Wire(refusals.gate(receiver.port, allow_private=(ip_network("10.0.0.0/8"),), require_https=True))
    resolve(wire, receiver.port, "8.8.8.8")
    assert ask(wire, receiver.port).error == "blocked"
    assert refusals.codes == ["https_required"]
    wire.close()


def test_a_public_address_on_another_port_is_refused_at_connect() -> None:
    refusals: list[str] = []
    wire = Wire(Gate(allow_private=(ip_network("10.0.0.0/8"),), on_refusal=refusals.append))
    resolve(wire, 5432, "8.8.8.8")
    assert ask(wire, 5432).error == "blocked"
    assert refusals == ["blocked_port"]
    wire.close()


def test_a_connection_that_is_kept_does_not_outlive_its_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However busy it is: so a changed name or a changed policy acts within that time."""
    monkeypatch.setattr(net, "CONNECTION_SECONDS", 1)
    answers = set()

    def judge(_code: str) -> None:
        answers.add("refused")

    open_gate = Gate(allow_private=LOOPBACK, on_refusal=judge)
    wire = Wire(open_gate)
    resolve(wire, receiver.port, "127.0.0.1")
    assert ask(wire, receiver.port).status == 200
    wire._gate = Gate(extra_ports=frozenset({receiver.port}), on_refusal=judge)
    assert until(lambda: ask(wire, receiver.port).error == "blocked")
    assert (receiver.connections, answers) == (1, {"refused"})
    wire.close()


def until(condition: Callable[[], bool]) -> bool:
    return any(condition() for _ in range(1_000_000))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_kind_of_redirect_is_followed(receiver: Receiver, status: int) -> None:
    path = receiver.script_redirect(status, "http://169.254.169.254/latest/meta-data/")
    answer = call(Gate(allow_private=LOOPBACK), "POST", path, (), b"{}")
    assert (answer.status, answer.error) == (status, None)
    assert answer.header("location") == "http://169.254.169.254/latest/meta-data/"
    assert (len(receiver.requests), receiver.connections) == (1, 1)


def test_an_offer_of_another_address_for_the_next_calls_is_not_taken(receiver: Receiver) -> None:
    """Alt-Svc and HSTS would move later calls of the same handle elsewhere."""
    wire = Wire(Gate(allow_private=LOOPBACK))
    for _ in range(2):
        wire.load("POST", receiver.url("/moving"), (), b"{}", 2_000)
        wire.easy.perform()
        assert wire.answer(0).status == 200
    assert (len(receiver.requests), receiver.connections) == (2, 1)
    wire.close()
