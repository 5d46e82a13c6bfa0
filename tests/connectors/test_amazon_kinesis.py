"""Amazon Kinesis: how many records go together, and what the test call proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

KINESIS = registry.get("amazon_kinesis")
KEYS = {"region": "eu-central-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "fake-secret"}


def prepared(**settings: object) -> object:
    return KINESIS.prepare(validate_settings(KINESIS, {**KEYS, "stream": "events", **settings}))


def build(payloads: list[Mapping[str, object]]) -> Sequence[Built]:
    return KINESIS.action("put_record").build(payloads, prepared(), context_for([{} for _ in payloads]))


def record(kilobytes: int = 0) -> dict[str, object]:
    return {"data": {"text": "x" * kilobytes * 1_000}, "partition_key": "ada"}


def test_a_call_has_five_hundred_records_at_most() -> None:
    assert [len(one.covers) for one in build([record()] * 1_001)] == [500, 500, 1]  # type: ignore[union-attr]


def test_a_call_has_five_megabytes_at_most_and_a_record_a_mebibyte() -> None:
    refused, *built = build([*[record(900)] * 6, record(1_049), record(400)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (6, "record_too_large")
    assert [one.covers for one in built] == [(0, 1, 2, 3, 4), (5, 7)]  # type: ignore[union-attr]


@pytest.mark.parametrize("stream", ["a b", "a/b", "x" * 129, "arn:", "ä"])
def test_a_name_that_no_stream_can_have_is_refused(stream: str) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(stream=stream)
    assert set(raised.value.codes) == {"stream"}


def test_the_stream_is_looked_up_for_a_test() -> None:
    assert KINESIS.test is not None
    assert KINESIS.interpret is not None
    request = KINESIS.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert dict(request.headers)["x-amz-target"] == "Kinesis_20131202.DescribeStreamSummary"
    assert request.body == {"StreamName": "events"}
    assert KINESIS.interpret(request, Response(200, body=b"{}"))[0].outcome is Outcome.DELIVERED
    missing = Response(400, body=b'{"__type": "ResourceNotFoundException", "message": "Stream events not found."}')
    assert KINESIS.interpret(request, missing)[0].outcome is Outcome.DISABLED
