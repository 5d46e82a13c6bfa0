"""Which addresses an outbound call may reach, so that a tenant's URL never becomes a request into our own network.

The judgement that counts is made on the resolved address at the moment its socket is opened (`Gate.refusal`): a text
such as `2130706433` or `127.1`, or a name that points outside today and inside tomorrow, says nothing. `Gate.check_url`
only keeps out what can be known from the text: it is for the form a person fills in, and it hands on one normal form,
so that no second parser can read the URL differently.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HTTP_PORTS = frozenset({80, 443, 8080, 8443})
URL_CHARACTERS = 8_000

# `ipaddress.is_global` calls NAT64, 6to4, multicast and deprecated ranges global, hence a list of our own.
DENIED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32"),
        *("2002::/16", "3fff::/20", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
# What no setting opens: cloud metadata lives on link-local addresses, and nothing else here can be a receiver.
NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
        *("100.100.100.200/32", "168.63.129.16/32"),  # metadata of clouds that keep it elsewhere
        *("::/128", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/64", "ff00::/8"),
    )
)
# An IPv4 address in its last 32 bits: IPv4-compatible, NAT64, and the translated form of RFC 2765.
CARRIERS: tuple[IPv6Network, ...] = tuple(IPv6Network(text) for text in ("::/96", "64:ff9b::/96", "::ffff:0:0:0/96"))

# NAT64 for one network's own use holds the IPv4 address behind its 48 bits, or last when a longer prefix was chosen.
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
LOCAL_NAT64_SUFFIX_BITS = 40

BAD_CHARACTER = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\]")
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*\Z")
NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)\Z")
# Every printable ASCII character, "%" included: what is escaped stays as it is, only the rest is escaped.
URL_SAFE = "!#$%&'()*+,/:;=?@[]~-._\"<>^`{|}"


class BlockedURL(ValueError):
    """A URL that is never called. `code` is for machines, the message for the person who typed it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Gate:
    """The operator's policy: private ranges opened, ports added, whether public receivers must speak TLS.

    `on_refusal` hears the code of each call that is refused, for whoever counts them.
    """

    allow_private: Sequence[Network] = ()
    extra_ports: frozenset[int] = frozenset()
    require_https: bool = False
    on_refusal: Callable[[str], None] = field(default=lambda _code: None, compare=False, repr=False)

    def refusal(self, ip: str, port: int, scheme: str) -> str | None:
        """Why a socket to this resolved address may not be opened, or None."""
        opened = False
        for address in disguises(ip):
            if within(address, NEVER):
                return "blocked_address"
            if within(address, DENIED) or is_own(address):
                if not within(address, self.allow_private):
                    return "blocked_address"
                opened = True
        if opened:
            return None
        return self._public_refusal(port, scheme)

    def check_url(self, url: str) -> str:
        """The one normal form of a URL, or BlockedURL.

        While private ranges are open, a name's port and scheme can only be judged with its address, at connect.
        """
        if len(url) > URL_CHARACTERS:
            raise BlockedURL("url_too_long", f"The URL is longer than {URL_CHARACTERS} characters.")
        if BAD_CHARACTER.search(url):
            raise BlockedURL("bad_character", "The URL holds a space, a control character or a backslash.")
        parts, port = split(url)
        scheme = parts.scheme.lower()
        if scheme not in ("http", "https"):
            raise BlockedURL("bad_scheme", "Only https and http URLs can be called.")
        if "@" in parts.netloc:
            raise BlockedURL("userinfo", "Put the user name and password in their own fields, not into the URL.")
        if "#" in url:
            raise BlockedURL("fragment", "The URL may not have a part after “#”.")
        host = normal_host(parts.hostname or "")
        default = 443 if scheme == "https" else 80
        self._check_reach(host, default if port is None else port, scheme)
        shown = f"[{host}]" if ":" in host else host
        if port not in (None, default):
            shown = f"{shown}:{port}"
        query = f"?{quote(parts.query, safe=URL_SAFE)}" if parts.query else ""
        return f"{scheme}://{shown}{quote(parts.path, safe=URL_SAFE) or '/'}{query}"

    def _public_refusal(self, port: int, scheme: str) -> str | None:
        if self.require_https and scheme != "https":
            return "https_required"
        return None if port in HTTP_PORTS or port in self.extra_ports else "blocked_port"

    def _check_reach(self, host: str, port: int, scheme: str) -> None:
        code = None
        if address_of(host) is not None:
            code = self.refusal(host, port, scheme)
        elif not self.allow_private:
            code = self._public_refusal(port, scheme)
        if code is not None:
            raise BlockedURL(code, MESSAGES[code])


MESSAGES = {
    "blocked_address": "This address is not reachable from here: private, local and reserved addresses are closed.",
    "blocked_port": "Only the ports 80, 443, 8080 and 8443, and those the operator has added, can be called.",
    "https_required": "Only https URLs can be called.",
}


def split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise BlockedURL("bad_url", "This is not a URL.") from error


def normal_host(text: str) -> str:
    """A host in lower-case ASCII. An address must be written in full: only an attacker types `127.1` or `0x7f.1`."""
    if ":" in text:
        address = address_of(text)
        if address is None or "%" in text:
            raise BlockedURL("bad_host", "The host is not a valid IPv6 address.")
        return str(address)
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise BlockedURL("bad_host", "The host name is not valid.") from error
    if not HOST.match(host):
        raise BlockedURL("bad_host", "The host name is not valid.")
    if NUMBER.match(host.rpartition(".")[2]) and address_of(host) is None:
        raise BlockedURL("bad_host", "Write an IPv4 address as four decimal numbers.")
    return host


def address_of(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def disguises(ip: str) -> list[Address]:
    """The address itself, and the IPv4 address it carries inside when it is one of the mapped or tunnelled forms."""
    address = ip_address(ip.partition("%")[0])
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in LOCAL_NAT64:
        return [address, local_nat64(address)]
    if address == IPv6Address("::1"):
        return [address]
    if within(address, CARRIERS):
        return [address, IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def local_nat64(address: IPv6Address) -> IPv4Address:
    """The IPv4 address inside, by RFC 6052: a prefix of 48 bits leaves zeros behind it, any longer one does not."""
    number = int(address)
    if number & (1 << LOCAL_NAT64_SUFFIX_BITS) - 1:
        return IPv4Address(number & 0xFFFFFFFF)
    return IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)


def within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def is_own(address: Address) -> bool:
    """Whether this machine itself answers there: the kernel then picks the address as its own source. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False
