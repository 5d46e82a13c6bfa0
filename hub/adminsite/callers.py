"""Who is at the other end of a request: the address, as far as our proxies can be believed, and the request's id."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

from hub.lib.ids import uuid7


def address_of(request: HttpRequest) -> str | None:
    """The caller's address: the peer's, or the last hop in `X-Forwarded-For` that is no proxy of ours."""
    hops = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    address = _valid(str(request.META.get("REMOTE_ADDR", "")))
    while address is not None and hops and _is_trusted(address):
        earlier = _valid(hops.pop())
        if earlier is None:
            break
        address = earlier
    return address


def request_id_of(request: HttpRequest) -> str:
    """The id that a proxy gave the request, else one of our own; the same for the whole request."""
    known = request.META.get("headwater.request_id")
    if known is None:
        known = request.headers.get("X-Request-ID", "")[:100] or uuid7().hex
        request.META["headwater.request_id"] = known
    return str(known)


def _valid(text: str) -> str | None:
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _is_trusted(address: str) -> bool:
    parsed = ip_address(address)
    return any(parsed in network for network in settings.TRUSTED_PROXIES if network.version == parsed.version)
