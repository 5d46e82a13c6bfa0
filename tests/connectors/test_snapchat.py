"""Snapchat: names of events, apps and pixels apart, a token proved by a validation of nothing."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.snapchat import event_name
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SNAPCHAT = registry.get("snapchat")
PIXEL = "0a1b2c3d-0000-4000-8000-000000000001"
PLACE = SNAPCHAT.prepare(validate_settings(SNAPCHAT, {"pixel_id": PIXEL, "access_token": "not-a-real-token"}))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Order Completed", "PURCHASE"), ("custom_event_3", "CUSTOM_EVENT_3"), ("List View", "LIST_VIEW"), ("Own", None)],
)
def test_an_event_is_named_as_snapchat_names_it(name: str, wanted: str | None) -> None:
    assert event_name(name) == wanted


def test_an_event_of_an_app_needs_the_app() -> None:
    payload = {
        "event_name": "LOGIN",
        "event_time": "2026-03-01T12:00:00Z",
        "email": ["x"],
        "action_source": "MOBILE_APP",
    }
    (refused,) = SNAPCHAT.action("send_event").build([payload], PLACE, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "place_missing")  # type: ignore[union-attr]


def test_a_token_is_proved_by_a_validation_of_nothing() -> None:
    assert SNAPCHAT.test is not None
    assert SNAPCHAT.interpret is not None
    request = SNAPCHAT.test(PLACE, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert f"/v3/{PIXEL}/events/validate?" in request.url
    assert SNAPCHAT.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert SNAPCHAT.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
