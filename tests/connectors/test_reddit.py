"""Reddit: names of events, phones without extensions, events that are given back found again."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.reddit import event_type, phone
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

REDDIT = registry.get("reddit")
PIXEL = REDDIT.prepare(validate_settings(REDDIT, {"pixel_id": "t2_abc123", "conversion_token": "not-a-real-one"}))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Order Completed", {"tracking_type": "PURCHASE"}),
        ("sign_up", {"tracking_type": "SIGN_UP"}),
        ("Own", {"tracking_type": "CUSTOM", "custom_event_name": "Own"}),
    ],
)
def test_an_event_is_named_as_reddit_names_it(name: str, wanted: dict[str, str]) -> None:
    assert event_type(name) == wanted


@pytest.mark.parametrize("value", ["+1 500 555 0006 ext. 12", "+15005550006x12", "+15005550006 #3", "+15005550006"])
def test_a_phone_loses_its_extension(value: str) -> None:
    assert phone(value) == "+15005550006"


def test_a_token_is_proved_by_a_test_of_nothing() -> None:
    assert REDDIT.test is not None
    assert REDDIT.interpret is not None
    request = REDDIT.test(PIXEL, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.body == {"data": {"events": []}}
    assert REDDIT.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert REDDIT.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Order Completed", {"conversion_id", "item_count", "value", "currency"}),
        ("Lead", {"conversion_id", "value", "currency"}),
        ("Product Viewed", {"conversion_id"}),
    ],
)
def test_value_and_number_of_items_go_with_the_events_that_reddit_takes_them_with(name: str, wanted: set[str]) -> None:
    payload = {"event_name": name, "event_at": "2026-03-01T11:00:00.000Z", "email": "d" * 64}
    payload |= {"value": 5, "currency": "eur", "item_count": 2}
    (request,) = REDDIT.action("send_event").build([payload], PIXEL, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.body["data"]["events"][0]["metadata"].keys() == wanted  # type: ignore[index]
