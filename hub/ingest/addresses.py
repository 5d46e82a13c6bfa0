"""Which address a request came from, and which sites a source may be used on."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """The sender's address: the peer's, or the last one in `X-Forwarded-For` that no proxy of ours wrote of itself."""
    address = plain(peer)
    if not trusted or not forwarded_for:
        return address
    for hop in (address, *(plain(part) for part in reversed(forwarded_for.split(",")))):
        if hop is None:
            return address
        address = hop
        if not is_trusted(hop, trusted):
            break
    return address


@lru_cache(maxsize=8192)
def plain(text: str) -> str | None:
    """An address without port, zone or IPv4-in-IPv6 dress; None when it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    address = ip_address(text)
    return any(address in network for network in trusted if network.version == address.version)


def origin_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Whether a site may send. Nothing listed means everybody; `*` stands for any part of a host name."""
    if not allowed or not origin:
        return True
    origin = origin.lower().rstrip("/")
    return any(fnmatchcase(origin, pattern.lower().rstrip("/").replace("[", "[[]")) for pattern in allowed)
