"""Amazon EventBridge: how many events go together, who they come from, and what the test call proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

BRIDGE = registry.get("amazon_eventbridge")
KEYS = {"region": "eu-central-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "fake-secret"}


def prepared(**settings: object) -> object:
    return BRIDGE.prepare(validate_settings(BRIDGE, {**KEYS, **settings}))


def build(payloads: list[Mapping[str, object]]) -> Sequence[Built]:
    return BRIDGE.action("put_event").build(payloads, prepared(), context_for([{} for _ in payloads]))


def event(kilobytes: int = 0, **more: object) -> dict[str, object]:
    return {"data": {"text": "x" * kilobytes * 1_024}, "detail_type": "Seen", **more}


def test_a_call_has_ten_events_at_most() -> None:
    assert [len(one.covers) for one in build([event()] * 21)] == [10, 10, 1]  # type: ignore[union-attr]


def test_a_call_has_256_kilobytes_at_most_with_all_that_is_said_of_an_event() -> None:
    refused, *built = build([event(150), event(150), event(256), event(100)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (2, "event_too_large")
    assert [one.covers for one in built] == [(0,), (1, 3)]  # type: ignore[union-attr]
    fits = 262_144 - len('{"text":""}') - len("headwater") - len("Seen")
    assert isinstance(build([{**event(), "data": {"text": "x" * fits}}])[0], RequestSpec)
    assert isinstance(build([{**event(), "data": {"text": "x" * (fits + 1)}}])[0], ItemOutcome)
    assert isinstance(build([{**event(time="2026-03-01T12:00:00Z"), "data": {"text": "x" * fits}}])[0], ItemOutcome)


@pytest.mark.parametrize(
    "settings", [{"source": "aws.s3"}, {"source": "a b"}, {"event_bus": "a b"}, {"event_bus": "ä"}]
)
def test_names_that_amazon_keeps_for_itself_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(**settings)
    assert set(raised.value.codes) == set(settings)


def test_the_bus_is_looked_up_for_a_test() -> None:
    assert BRIDGE.test is not None
    assert BRIDGE.interpret is not None
    request = BRIDGE.test(prepared(event_bus="orders"), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert dict(request.headers)["x-amz-target"] == "AWSEvents.DescribeEventBus"
    assert request.body == {"Name": "orders"}
    assert BRIDGE.interpret(request, Response(200, body=b"{}"))[0].outcome is Outcome.DELIVERED
    missing = Response(400, body=b'{"__type": "ResourceNotFoundException"}')
    assert BRIDGE.interpret(request, missing)[0].outcome is Outcome.DISABLED
