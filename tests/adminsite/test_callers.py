"""Who is at the other end of a request."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from django.test import RequestFactory

from hub.adminsite.callers import address_of, request_id_of


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("nonsense", "10.0.0.1"),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours_counts(settings: Any, forwarded: str, address: str) -> None:
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})
    assert address_of(request) == address


def test_a_stranger_cannot_choose_an_address(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ()
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.1", headers={"X-Forwarded-For": "127.0.0.1"})
    assert address_of(request) == "203.0.113.1"


def test_a_request_keeps_its_id() -> None:
    request = RequestFactory().get("/")
    assert request_id_of(request) == request_id_of(request)
