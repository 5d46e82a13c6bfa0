"""Vendors at the address of a webhook source: their calls, and what became of these."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from connectors import registry
from connectors.settings import validate_settings
from connectors.signatures import SecretUrl
from hub.ingest import runtime
from tenants.keys import SourceRef
from tests.connectors.sources.calls import Call, Fixture, all_fixtures, sign
from tests.ingest.doors import Door, Reply
from tests.ingest.running import WEBHOOK_KEY, Ingest

FIXTURES = all_fixtures()
NAMED = {one.name: one for one in FIXTURES}
FIRST = [next(one for one in FIXTURES if one.slug == slug) for slug in dict.fromkeys(one.slug for one in FIXTURES)]
SIGNED = [one for one in FIRST if not isinstance(registry.get_source(one.slug).scheme(one.settings), SecretUrl)]
PATH = f"/v1/webhooks/{WEBHOOK_KEY}"
# Where the vendor calls, which is not where a proxy then asks us.
PUBLIC_URL = "https://hub.acme.test"
URL = PUBLIC_URL + PATH
every_fixture = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda one: one.name)
every_source = pytest.mark.parametrize("fixture", FIRST, ids=lambda one: one.slug)
every_signed = pytest.mark.parametrize("fixture", SIGNED, ids=lambda one: one.slug)


def set_up(ingest: Ingest, fixture: Fixture, **changes: Any) -> SourceRef:
    connector = registry.get_source(fixture.slug)
    return ingest.webhook(fixture.slug, validate_settings(connector, fixture.settings), **changes)


def send(door: Door, call: Call, path: str = PATH) -> Reply:
    headers = {"host": "127.0.0.1:9999", **call.headers}
    return door.send(call.method, path, call.body, headers, call.query)


def refused(ingest: Ingest, source: SourceRef) -> list[str]:
    """Codes of the samples, which are stored after the answer: closing ingest waits for them."""
    runtime.close()
    return [code for code, _ in ingest.samples(source)]


def counted(fixture: Fixture, result: str) -> float:
    labels = {"connector": fixture.slug, "result": result}
    return REGISTRY.get_sample_value("inbound_calls_total", labels) or 0.0


def resigned(fixture: Fixture, **changes: Any) -> Call:
    """The vendor's call with other content, signed as the vendor would sign it."""
    return sign(fixture, replace(fixture.call(URL), **changes), time.time())
