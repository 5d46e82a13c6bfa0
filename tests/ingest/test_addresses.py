from __future__ import annotations

from ipaddress import ip_network

import pytest

from hub.ingest.addresses import client_address, origin_allowed

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "unknown, 10.2.2.2", "10.2.2.2"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("fd00::1", "2001:db8::2", "2001:db8::2"),
        ("::ffff:198.51.100.7", "", "198.51.100.7"),
        ("fe80::1%eth0", "", "fe80::1"),
        ("", "", None),
    ],
)
def test_only_what_our_own_proxies_say_is_believed(peer: str, forwarded_for: str, expected: str | None) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == expected


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert client_address("10.0.0.1", "203.0.113.9", ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("https://a.example", (), True),
        ("", ("https://a.example",), True),
        ("https://a.example", ("https://a.example/",), True),
        ("https://A.example", ("https://a.EXAMPLE",), True),
        ("http://a.example", ("https://a.example",), False),
        ("https://b.example", ("https://a.example",), False),
        ("https://x.a.example", ("https://*.a.example",), True),
        ("https://a.example", ("https://*.a.example",), False),
        ("https://a.example.evil", ("https://a.example",), False),
        ("null", ("https://a.example",), False),
        ("https://[::1]", ("https://[::1]",), True),
    ],
)
def test_a_source_is_used_on_the_sites_it_lists(origin: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert origin_allowed(origin, allowed) is expected
