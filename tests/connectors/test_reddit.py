"""Reddit: names of events, phones without extensions, events that are given back found again."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.reddit import event_type, phone
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

REDDIT = registry.get("reddit")
ACCOUNT = REDDIT.prepare(
    validate_settings(REDDIT, {"ad_account_id": "t2_abc123", "conversion_token": "not-a-real-one"})
)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Order Completed", {"tracking_type": "Purchase"}),
        ("sign_up", {"tracking_type": "SignUp"}),
        ("Own", {"tracking_type": "Custom", "custom_event_name": "Own"}),
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
    request = REDDIT.test(ACCOUNT, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.body == {"test_mode": True, "events": []}
    assert REDDIT.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert REDDIT.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
