from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from hub.lib.gate import BlockedURL, Gate, is_own

CLOSED = Gate()
OPENED = Gate(allow_private=(ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"), ip_network("fc00::/7")))
EVERYTHING = Gate(allow_private=(ip_network("0.0.0.0/0"), ip_network("::/0")))

DENIED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:a9fe:a9fe::", "2002:808:808::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo"),
    *("fec0::1", "ff02::1", "::ffff:0:127.0.0.1"),
]
METADATA = ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fe80::1%lo"]


@pytest.mark.parametrize("ip", DENIED)
def test_an_address_that_is_not_public_is_refused(ip: str) -> None:
    assert CLOSED.refusal(ip, 443, "https") == "blocked_address"


@pytest.mark.parametrize("ip", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "2606:4700::1111"])
def test_a_public_address_is_allowed(ip: str) -> None:
    assert CLOSED.refusal(ip, 443, "https") is None


ELSEWHERE = ["168.63.129.16", "100.100.100.200", "fd00:ec2::23", "fd20:ce::254"]
NEVER = [*METADATA, *ELSEWHERE, "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"]


@pytest.mark.parametrize("ip", NEVER)
def test_no_setting_opens_link_local_and_metadata_addresses(ip: str) -> None:
    assert EVERYTHING.refusal(ip, 80, "http") == "blocked_address"


@pytest.mark.parametrize("ip", ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3", "fd00::1"])
def test_an_opened_range_may_be_called_on_any_port_without_tls(ip: str) -> None:
    gate = Gate(OPENED.allow_private, require_https=True)
    assert gate.refusal(ip, 5000, "http") is None


@pytest.mark.parametrize("ip", ["192.168.0.1", "::1", "172.16.0.1"])
def test_a_range_that_was_not_opened_stays_closed(ip: str) -> None:
    assert OPENED.refusal(ip, 443, "https") == "blocked_address"


def test_an_opened_tunnel_range_does_not_open_the_private_address_inside() -> None:
    gate = Gate(allow_private=(ip_network("64:ff9b::/96"),))
    assert gate.refusal("64:ff9b::808:808", 443, "https") is None
    assert gate.refusal("64:ff9b::a00:1", 443, "https") == "blocked_address"


@pytest.mark.parametrize(
    ("opened", "ip", "code"),
    [
        ("64:ff9b:1::/48", "64:ff9b:1:808:8:800::", None),
        ("64:ff9b:1::/48", "64:ff9b:1:a9fe:a9:fe00::", "blocked_address"),
        ("64:ff9b:1::/48", "64:ff9b:1::a9fe:a9fe", "blocked_address"),
        ("64:ff9b:1::/48", "64:ff9b:1:ffff::a00:1", "blocked_address"),
        ("2001::/32", "2001:0:808:808::f7f7:f7f7", None),
        ("2001::/32", "2001:0:808:808::5601:5601", "blocked_address"),
        ("2001::/32", "2001:0:a9fe:a9fe::f7f7:f7f7", "blocked_address"),
        ("2002::/16", "2002:808:808::1", None),
        ("2002::/16", "2002:7f00:1::1", "blocked_address"),
    ],
)
def test_an_opened_tunnel_is_judged_by_the_address_that_it_leads_to(opened: str, ip: str, code: str | None) -> None:
    assert Gate(allow_private=(ip_network(opened),)).refusal(ip, 443, "https") == code


class OwnAddress(socket.socket):
    """What the kernel does for an address of this machine: it becomes the source as well."""

    def connect(self, address: tuple[str, int]) -> None:
        self.asked = address

    def getsockname(self) -> tuple[str, int]:
        return self.asked


def test_this_machines_own_public_addresses_count_as_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", OwnAddress)
    assert CLOSED.refusal("8.8.8.8", 443, "https") == "blocked_address"
    assert Gate(allow_private=(ip_network("8.8.8.8/32"),)).refusal("8.8.8.8", 443, "https") is None


def test_the_kernel_tells_which_addresses_are_our_own() -> None:
    assert is_own(ip_address("127.0.0.1"))


def test_a_public_address_elsewhere_is_not_our_own() -> None:
    assert not is_own(ip_address("8.8.8.8"))


@pytest.mark.parametrize(
    ("port", "expected"), [(443, None), (80, None), (8080, None), (8443, None), (25, "blocked_port")]
)
def test_only_web_ports_of_public_addresses_are_open(port: int, expected: str | None) -> None:
    assert CLOSED.refusal("8.8.8.8", port, "https") == expected


def test_the_operator_adds_ports() -> None:
    assert Gate(extra_ports=frozenset({9000})).refusal("8.8.8.8", 9000, "https") is None


def test_https_can_be_required() -> None:
    assert Gate(require_https=True).refusal("8.8.8.8", 80, "http") == "https_required"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/Path?q=1", "https://example.com/Path?q=1"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("https://bücher.example/ä?ü=%20", "https://xn--bcher-kva.example/%C3%A4?%C3%BC=%20"),
        ("https://example.com./a/../b", "https://example.com/a/../b"),
        ("https://[2606:4700:0::1111]/", "https://[2606:4700::1111]/"),
        ("https://example.com/a%2Fb?x={y}", "https://example.com/a%2Fb?x={y}"),
    ],
)
def test_a_url_has_one_normal_form(url: str, normal: str) -> None:
    assert CLOSED.check_url(url) == normal
    assert CLOSED.check_url(normal) == normal


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/", "bad_scheme"),
        ("file:///etc/passwd", "bad_scheme"),
        ("gopher://example.com/", "bad_scheme"),
        ("//example.com/", "bad_scheme"),
        ("https://user:pass@example.com/", "userinfo"),
        ("https://example.com@127.0.0.1/", "userinfo"),
        ("https://example.com/#part", "fragment"),
        ("https://exam\tple.com/", "bad_character"),
        ("https://example.com/\r\nHost: x", "bad_character"),
        ("https://example.com\\@127.0.0.1/", "bad_character"),
        ("https://example.com/\ud800", "bad_character"),
        ("https:///path", "bad_host"),
        ("https://a..b/", "bad_host"),
        ("https://[::1", "bad_url"),
        ("https://example.com:99999/", "bad_url"),
        ("https://example.com:0/", "blocked_port"),
        ("https://example.com:22/", "blocked_port"),
        ("http://2130706433/", "bad_host"),
        ("http://0x7f.1/", "bad_host"),
        ("http://0177.0.0.1/", "bad_host"),
        ("http://127.1/", "bad_host"),
        ("http://[fe80::1%25lo]/", "bad_host"),
        ("http://127.0.0.1/", "blocked_address"),
        ("http://①②⑦.⓪.⓪.①/", "blocked_address"),
        ("http://１２７.０.０.１/", "blocked_address"),
        ("http://127。0。0。1/", "blocked_address"),
        ("http://0/", "bad_host"),
        ("http://1.1/", "bad_host"),
        ("http://0x7f000001/", "bad_host"),
        ("http://127.0.0.1./", "blocked_address"),
        ("http://127.0.0.0x1/", "bad_host"),
        ("http://[::127.0.0.1]/", "blocked_address"),
        ("http://[0:0:0:0:0:ffff:7f00:1]/", "blocked_address"),
        ("https://@example.com/", "userinfo"),
        ("https://example.com%00.evil.example/", "bad_host"),
        ("https://example.com%2f@127.0.0.1/", "userinfo"),
        ("https://example.com/\x7f", "bad_character"),
        ("https://example.com/\u2028", "bad_character"),
        ("https://exa mple.com/", "bad_character"),
        ("https://ex\u200bample.com\\/", "bad_character"),
        ("https://example.com#@127.0.0.1/", "fragment"),
        ("https://" + "a" * 64 + ".example/", "bad_host"),
        ("https://xn--.example/", "bad_host"),
        ("javascript:alert(1)", "bad_scheme"),
        ("https:example.com", "bad_host"),
        ("http://[::ffff:169.254.169.254]/", "blocked_address"),
        ("https://example.com/" + "a" * 8_000, "url_too_long"),
    ],
)
def test_a_url_that_cannot_be_called_says_why(url: str, code: str) -> None:
    with pytest.raises(BlockedURL) as caught:
        CLOSED.check_url(url)
    assert caught.value.code == code
    assert str(caught.value)


def test_while_a_range_is_open_a_names_port_waits_for_its_address() -> None:
    gate = Gate(OPENED.allow_private, require_https=True)
    assert gate.check_url("http://inside.example:5000/") == "http://inside.example:5000/"
    with pytest.raises(BlockedURL):
        gate.check_url("http://8.8.8.8:5000/")
