"""From a YAML file and calls of the tracking API to vendors, and how what they refuse ends.

What they get is compared with the fixtures, which were written from the vendors' documentation (`source` links it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from connectors import registry
from hub.delivery import services
from hub.delivery.models import RetryRow
from hub.lib import clock, postgres
from tenants.models import Destination
from tests.connectors.fixtures import Fixture, all_fixtures
from tests.delivery.logged import LOOPBACK
from tests.factories import TESTER
from tests.flows.house import House, message
from tests.flows.vendors import Braze, Intercom, Klaviyo, Mixpanel, SendGrid, Vendor
from tests.ingest.doors import FrontDoor
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
JsonObject = dict[str, Any]
ALL = " or ".join(f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def apply(house: House, tmp_path: Path) -> Callable[..., None]:
    """`manage.py apply` on a file with these destinations, each with its own source and mapping."""

    def run(*destinations: JsonObject) -> None:
        slugs = [source for each in destinations for source in each["sources"]]
        sources = [{"slug": slug, "name": slug, "kind": "server", "write_keys": [key_of(slug)]} for slug in slugs]
        file = {"workspaces": [{"slug": "acme", "name": "Acme", "sources": sources, "destinations": destinations}]}
        path = tmp_path / "hub.yaml"
        path.write_text(json.dumps(file))  # which is YAML too
        call_command("apply", str(path), stdout=StringIO())

    return run


def key_of(source: str) -> str:
    return f"wk_test_{source}_acme"


def declared(slug: str, connector: str, settings: Mapping[str, Any], **mapping: Any) -> JsonObject:
    """A destination of the file, named as its source is."""
    wanted = {"name": "The mapping", "trigger": ALL, **mapping}
    return {"slug": slug, "connector": connector, "name": slug, "settings": {**settings}, "sources": [slug],
            "enabled": True, "mappings": [wanted]}  # fmt: skip


def send(source: str, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Track by the front door."""
    body = json.dumps({"writeKey": key_of(source), "batch": list(events)}).encode()
    reply = FrontDoor().send("POST", "/v1/batch", body, {"Content-Type": "application/json"})
    assert (reply.status, reply.json) == (200, {"success": True})
    return [str(event["messageId"]) for event in events]


def asked_of(vendor: Vendor) -> list[tuple[str, str, Any]]:
    return [(call.method, call.path, call.body) for call in vendor.taken]


@pytest.mark.parametrize(("slug", "kind"), [("mixpanel", Mixpanel), ("braze", Braze), ("sendgrid", SendGrid)])
def test_a_vendor_gets_what_its_documentation_says(
    slug: str, kind: type[Vendor], house: House, receiver: Receiver, apply: Callable[..., None]
) -> None:
    fixtures = [one for one in all_fixtures() if one.slug == slug]
    vendors, wanted = {}, []
    for fixture in fixtures:
        name = fixture.path.stem.replace("_", "-")
        content: JsonObject = dict(fixture.content)
        headers = [told["headers"] for told in content["requests"] if "method" in told]
        credential = next((each["authorization"] for each in headers if "authorization" in each), "")
        vendors[name] = kind(receiver, credential, f"/{name}")
        settings = {**content["settings"], "api_url": vendors[name].url}
        fields = content.get("mapping") or fixture.action.default_mapping
        wanted.append(declared(name, slug, settings, action=fixture.action.key, fields=fields))
    apply(*wanted)
    for fixture, (name, vendor) in zip(fixtures, vendors.items(), strict=True):
        send(name, fixture.events)
        destination = Destination.unscoped.get(slug=name)
        house.turn(destination)
        assert sorted(asked_of(vendor), key=str) == sorted(calls_of(fixture), key=str), fixture.name
        assert vendor.refused == [], fixture.name
        assert house.books(destination) == books_of(fixture), fixture.name


def calls_of(fixture: Fixture) -> list[tuple[str, str, Any]]:
    told: list[JsonObject] = [each for each in fixture.content["requests"] if "method" in each]  # type: ignore[attr-defined]
    return [(each["method"], "?".join(filter(None, urlsplit(each["url"])[2:4])), each["body"]) for each in told]


def books_of(fixture: Fixture) -> dict[str, int]:
    found = {"eligible": len(fixture.events)}
    for told in fixture.content["requests"]:  # type: ignore[attr-defined]
        key = {"rejected": "dead", "filtered": "filtered"}.get(told.get("outcome"), "delivered")
        found[key] = found.get(key, 0) + len(told.get("covers", [0]))
    return found
