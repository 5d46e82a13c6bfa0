"""The operator's policy reaches the gate of deliveries, and what it refuses is counted."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pytest_django import Settings

from hub.delivery import outbound
from hub.delivery.sender import Sender
from hub.lib.net import call
from hub.observability import metrics
from tests.delivery.works import Chunk
from tests.receivers import Receiver


def refused() -> float:
    return metrics.ssrf_blocked._value.get()


def test_without_settings_only_https_on_web_ports_of_public_addresses_is_open(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = ()
    gate = outbound.gate()
    assert gate.refusal("8.8.8.8", 443, "https") is None
    assert gate.refusal("8.8.8.8", 80, "http") == "https_required"
    assert gate.refusal("8.8.8.8", 9000, "https") == "blocked_port"
    assert gate.refusal("127.0.0.1", 443, "https") == "blocked_address"


def test_the_operator_opens_ranges_ports_and_plain_http(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = (ip_network("10.0.0.0/8"),)
    settings.OUTBOUND_PORTS = frozenset({9000})
    settings.ALLOW_PLAIN_HTTP = True
    gate = outbound.gate()
    assert gate.refusal("8.8.8.8", 9000, "http") is None
    assert gate.refusal("10.0.0.1", 5432, "http") is None
    assert gate.refusal("169.254.169.254", 80, "http") == "blocked_address"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_refused_call_is_counted_whether_its_text_or_its_address_gave_it_away(settings: Settings, host: str) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = (ip_network("10.0.0.0/8"),)
    with Receiver() as receiver:
        before = refused()
        assert call(outbound.gate(), "GET", receiver.url("/ok", host)).error == "blocked"
        assert refused() > before
        assert receiver.connections == 0


def test_what_the_sender_is_refused_is_counted_too(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = (ip_network("10.0.0.0/8"),)
    sender = Sender(outbound.gate())
    with Receiver() as receiver:
        before = refused()
        chunk = Chunk(sender.lane("pipeline"), [receiver.url("/ok", "localhost")])
        sender.submit(chunk)
        assert chunk.done.wait(10)
        assert (chunk.words(), refused() > before) == (["blocked"], True)
    sender.shutdown(0.0)
