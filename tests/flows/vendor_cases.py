"""What stories about vendors share: destinations of a file, what fixtures want of them, and what vendors refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from connectors import registry
from tests.connectors.fixtures import Fixture
from tests.flows.vendors import Braze, Mixpanel, SendGrid, Vendor

JsonObject = dict[str, Any]
# These speak of the moment at which the fixtures are: one is over by now, the other takes its time from the clock.
OVER = ("sendgrid-too_far_ahead", "mixpanel-screen")
ALL = " or ".join(f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias"))


def key_of(source: str) -> str:
    return f"wk_test_{source}_acme"


def declared(slug: str, connector: str, settings: Mapping[str, Any], **mapping: Any) -> JsonObject:
    """A destination of the file, named as its source is."""
    wanted = {"name": "The mapping", "trigger": ALL, **mapping}
    return {"slug": slug, "connector": connector, "name": slug, "settings": {**settings}, "sources": [slug],
            "enabled": True, "mappings": [wanted]}  # fmt: skip


def asked_of(vendor: Vendor) -> list[tuple[str, str, Any]]:
    return [(call.method, call.path, call.body) for call in vendor.taken]


def has_id(event: Mapping[str, Any]) -> bool:
    return "userId" in event or "anonymousId" in event


def calls_of(fixture: Fixture) -> list[tuple[str, str, Any]]:
    told: list[JsonObject] = [each for each in fixture.content["requests"] if "method" in each]  # type: ignore[attr-defined]
    return [(each["method"], "?".join(filter(None, urlsplit(each["url"])[2:4])), each["body"]) for each in told]


def books_of(fixture: Fixture) -> dict[str, int]:
    """What its events come to; those of nobody are refused at the front door already."""
    known = [has_id(event) for event in fixture.events]
    found = {"eligible": sum(known)}
    for told in fixture.content["requests"]:  # type: ignore[attr-defined]
        if "index" in told and not known[told["index"]]:
            continue
        key = {"rejected": "dead", "filtered": "filtered"}.get(told.get("outcome"), "delivered")
        found[key] = found.get(key, 0) + len(told.get("covers", [0]))
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """One vendor and what is mapped for it: events in one call up to `per_call`, `guilty` one that it does not take."""

    connector: str
    kind: type[Vendor]
    credential: str
    settings: JsonObject
    action: str
    fields: JsonObject
    per_call: int
    guilty: JsonObject
    too_large: int  # a limit that `larger` events are above
    wait: str  # the header that says how long


CASES = (
    Case(
        "mixpanel", Mixpanel, "Basic ZmFrZS1wcm9qZWN0LXRva2VuOg==", {"project_token": "fake-project-token"}, "track",
        registry.get("mixpanel").action("track").default_mapping, 1_000, {"properties": {"price": "free"}}, 2,
        "Retry-After: 300",
    ),
    Case(
        "braze", Braze, "Bearer not-a-real-braze-key", {"api_key": "not-a-real-braze-key"}, "track_event",
        registry.get("braze").action("track_event").default_mapping, 75, {"properties": {"price": "free"}}, 2,
        "X-RateLimit-Reset: 300",
    ),
    Case(
        "sendgrid", SendGrid, "Bearer SG.not-a-real-key",
        {"api_key": "SG.not-a-real-key", "from_email": "shop@acme.test"}, "send_email",
        {"to": [{"email": "ada@acme.test"}], "subject": "Hello", "text": {"@path": "$.properties.text"}}, 1,
        {"properties": {"text": "spam"}}, 40, "X-RateLimit-Reset: 300",
    ),
)  # fmt: skip
