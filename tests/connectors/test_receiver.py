"""The built-in receiver: called at this installation's own address, by a token that names its page."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors import registry
from connectors.base import BuildContext
from connectors.errors import SettingsError
from connectors.settings import validate_settings

RECEIVER = registry.get("receiver")
RECEIVE = RECEIVER.action("receive")


def context(count: int = 1) -> BuildContext:
    ids = [f"msg_{number}" for number in range(count)]
    return BuildContext(datetime(2026, 3, 1, tzinfo=UTC), ids, ids, public_url="http://127.0.0.1:8000")


def test_each_event_has_a_request_of_its_own() -> None:
    prepared = RECEIVER.prepare({"token": "token-1234"})
    built = RECEIVE.build([{"data": {"number": number}} for number in range(3)], prepared, context(3))
    assert [(one.covers, one.idempotency_key) for one in built] == [((number,), f"msg_{number}") for number in range(3)]


def test_the_token_is_made_when_none_is_given() -> None:
    first, second = (validate_settings(RECEIVER, {})["token"] for _ in range(2))
    assert first != second
    assert len(str(first)) >= 32


@pytest.mark.parametrize("token", ["short", "../../admin/", "a" * 65, "with space 1", "t%6fken-12"])
def test_a_token_cannot_lead_to_another_page(token: str) -> None:
    with pytest.raises(SettingsError):
        validate_settings(RECEIVER, {"token": token})


def test_a_test_goes_where_events_go() -> None:
    request = RECEIVER.test(RECEIVER.prepare({"token": "token-1234"}), context())
    assert request.url == "http://127.0.0.1:8000/demo/receiver/token-1234"
