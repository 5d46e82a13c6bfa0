"""Meta: what it needs of an event on a website, in a store, of a purchase; digests alone leave."""

from __future__ import annotations

import json

from connectors import registry
from connectors.http import Outcome, RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import all_fixtures, context_for

META = registry.get("meta_conversions")
PIXEL = META.prepare(validate_settings(META, {"pixel_id": "1234567890", "access_token": "not-a-real-token"}))
SEND = META.action("send_event")
OLD = {"event_name": "Visit", "event_time": "2026-02-01T12:00:00Z", "external_id": ["x"]}


def test_a_visit_to_a_store_may_be_older_than_one_of_a_website() -> None:
    payloads = [{**OLD, "action_source": "website", "user_agent": "x"}, {**OLD, "action_source": "physical_store"}]
    refused, request = SEND.build(payloads, PIXEL, context_for([{}] * 2))
    assert (refused.index, refused.reason) == (0, "too_old")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    assert request.covers == (1,)


def test_the_click_id_of_the_browser_wins_over_that_of_the_address() -> None:
    payload = {**OLD, "action_source": "physical_store", "fbc": "fb.1.2.x", "fbclid": "y"}
    (request,) = SEND.build([payload], PIXEL, context_for([{}]))
    assert request.body["data"][0]["user_data"]["fbc"] == "fb.1.2.x"  # type: ignore[union-attr, index]


def test_an_event_of_nobody_is_refused() -> None:
    (refused,) = SEND.build(
        [{"event_name": "x", "event_time": "2026-03-01T12:00:00Z", "action_source": "app"}], PIXEL, context_for([{}])
    )
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "no_identifier")  # type: ignore[union-attr]


def test_no_address_leaves_in_clear() -> None:
    fixture = json.dumps([one.content["requests"] for one in all_fixtures() if one.slug == META.slug])
    assert "acme.test" not in fixture
    assert "5550006" not in fixture
