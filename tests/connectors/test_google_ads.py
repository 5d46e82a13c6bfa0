"""Google Ads: moments as it writes them, whole addresses alone, conversions that lack something."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Payload
from connectors.destinations._google_ads import identifiers, when
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

GOOGLE = registry.get("google_ads")
SETTINGS = {
    "customer_id": "123-456-7890",
    "developer_token": "not-a-real-developer-token",
    "client_id": "c-1",
    "client_secret": "not-a-real-secret",
}
NOW = "2026-03-01T12:00:00Z"


def test_a_moment_is_written_as_google_ads_writes_it() -> None:
    assert when("2026-03-01T12:00:00.123+01:00") == "2026-03-01 12:00:00+01:00"
    assert when("soon") == ""


def test_an_address_counts_only_when_it_is_whole() -> None:
    whole = {"first_name": "a", "last_name": "b", "country": "de", "postal_code": "1"}
    assert identifiers(whole)[0]["addressInfo"]["countryCode"] == "DE"  # type: ignore[index]
    assert identifiers({**whole, "postal_code": ""}) == []


@pytest.mark.parametrize(
    ("action", "settings", "payload", "reason"),
    [
        ("click_conversion", {}, {"happened_at": NOW, "gclid": "x"}, "no_action"),
        (
            "click_conversion",
            {"conversion_action": "555"},
            {"happened_at": "2025-01-01T00:00:00Z", "gclid": "x"},
            "too_old",
        ),
        (
            "click_conversion",
            {"conversion_action": "555"},
            {"happened_at": NOW, "gclid": "x", "currency": "XX"},
            "bad_currency",
        ),
        ("enhance_conversion", {"conversion_action": "555"}, {"happened_at": NOW, "order_id": "1"}, "no_identifier"),
        (
            "adjust_conversion",
            {"conversion_action": "555"},
            {"happened_at": NOW, "adjustment": "RETRACTION"},
            "no_conversion",
        ),
        (
            "adjust_conversion",
            {"conversion_action": "555"},
            {"happened_at": NOW, "adjustment": "RESTATEMENT", "order_id": "1"},
            "no_value",
        ),
    ],
)
def test_a_conversion_that_lacks_something_is_not_sent(
    action: str, settings: dict[str, object], payload: Payload, reason: str
) -> None:
    customer = GOOGLE.prepare(validate_settings(GOOGLE, {**SETTINGS, **settings}))
    (refused,) = GOOGLE.action(action).build([payload], customer, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[union-attr]


@pytest.mark.parametrize("spelled", ["conversion_adjustments", "conversionAdjustments"])
def test_an_adjustment_that_is_refused_is_found_however_its_field_is_spelled(spelled: str) -> None:
    assert GOOGLE.interpret is not None
    request = RequestSpec("POST", "x", covers=(0, 1), endpoint_label="uploadConversionAdjustments")
    error = {"message": "no", "location": {"fieldPathElements": [{"fieldName": spelled, "index": 1}]}}
    body = json.dumps({"partialFailureError": {"code": 3, "details": [{"errors": [error]}]}}).encode()
    outcomes = [one.outcome for one in GOOGLE.interpret(request, Response(200, body=body))]
    assert outcomes == [Outcome.DELIVERED, Outcome.REJECTED]
