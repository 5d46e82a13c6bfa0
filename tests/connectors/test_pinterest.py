"""Pinterest: names of events, a token proved by a test of nothing."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.pinterest import event_name
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

PINTEREST = registry.get("pinterest")
SETTINGS = {"ad_account_id": "549755885175", "conversion_token": "not-a-real-token"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Order Completed", "checkout"), ("Watch Video", "watch_video"), ("lead", "lead"), ("Something Own", "custom")],
)
def test_an_event_is_named_as_pinterest_names_it(name: str, wanted: str) -> None:
    assert event_name(name) == wanted


def test_a_token_is_proved_by_a_test_of_nothing() -> None:
    assert PINTEREST.test is not None
    assert PINTEREST.interpret is not None
    request = PINTEREST.test(PINTEREST.prepare(validate_settings(PINTEREST, SETTINGS)), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.url.endswith("/events?test=true")
    assert PINTEREST.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert PINTEREST.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
