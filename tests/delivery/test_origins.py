"""Which hosts a destination's requests may go to, and the many ways in which a URL may pretend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors import registry
from connectors.base import Connector
from hub.delivery.origins import origin_of, origins_of

PUBLIC = "http://127.0.0.1:8000"


def vendor(**changes: Any) -> Connector:
    return replace(
        registry.get("receiver"), is_local=False, base_urls={"eu": "https://api.eu.vendor.test/v1"}, **changes
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://api.eu.vendor.test/v1/events",
        "https://API.EU.vendor.test/other?x=1",
        "https://api.eu.vendor.test:443/v1",
        "https://api.eu.vendor.test",
        "https://api.eu.vendor.test?x=/..",
        "https://api.eu.vendor.test./v1",
    ],
)
def test_the_vendors_own_host_may_be_called(url: str) -> None:
    assert origins_of(vendor(), {}, PUBLIC).allow(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.eu.vendor.test/v1",
        "https://api.eu.vendor.test:8443/v1",
        "https://vendor.test/v1",
        "https://evil.test/api.eu.vendor.test",
        "https://api.eu.vendor.test.evil.test/",
        "https://api.eu.vendor.test@evil.test/",
        "https://api.eu.vendor.test:443@evil.test/",
        "https://api.eu.vendor.test\\@evil.test/",
        "https://api.eu.vendor.test\\.evil.test/",
        "https://api.eu.vendor.test%2f@evil.test/",
        "https:///api.eu.vendor.test/",
        "//api.eu.vendor.test/",
        "https://api.eu.vendor.test\t.evil.test/",
        "ftp://api.eu.vendor.test/",
        "",
    ],
)
def test_another_host_may_not_however_it_is_written(url: str) -> None:
    origins = origins_of(vendor(), {}, PUBLIC)
    assert not origins.allow(url)
    assert not origins.allow(url)


def test_the_owners_own_address_may_be_called_beside_the_vendors() -> None:
    origins = origins_of(vendor(), {"api_url": "http://127.0.0.1:9000/proxy"}, PUBLIC)
    assert origins.allow("http://127.0.0.1:9000/proxy/v1/events")
    assert origins.allow("https://api.eu.vendor.test/v1")
    assert not origins.allow("http://127.0.0.1:9001/proxy/v1/events")


def test_a_star_is_one_label() -> None:
    origins = origins_of(vendor(), {}, PUBLIC)
    many = origins_of(replace(vendor(), base_urls={"": "https://*.api-us1.vendor.test"}), {}, PUBLIC)
    assert many.allow("https://acme.api-us1.vendor.test/api/3")
    assert not many.allow("https://api-us1.vendor.test/")
    assert not many.allow("https://a.b.api-us1.vendor.test/")
    assert not many.allow("https://evil.test/x.api-us1.vendor.test/")
    assert not origins.allow("https://acme.api-us1.vendor.test/api/3")


def test_an_owner_who_names_the_host_is_bound_by_the_gate_alone() -> None:
    assert origins_of(vendor(allows_custom_host=True), {}, PUBLIC).allow("https://anything.test/")


def test_what_is_local_goes_to_this_installation_and_nowhere_else() -> None:
    origins = origins_of(registry.get("receiver"), {}, PUBLIC)
    assert origins.allow(f"{PUBLIC}/demo/receiver/x")
    assert not origins.allow("http://127.0.0.1:8001/demo/receiver/x")


def test_an_origin_is_written_in_one_way() -> None:
    assert origin_of("HTTPS://Vendor.Test/x") == "https://vendor.test:443"
    assert origin_of("http://[2001:db8::1]:80/x") == "http://[2001:db8::1]:80"
