"""Amazon Data Firehose: how many records go together, and what the test call proves."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built
from connectors.errors import PayloadError, SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.payloads import shape_of
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

FIREHOSE = registry.get("amazon_firehose")
PUT = FIREHOSE.action("put_record")
KEYS = {"region": "eu-central-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "fake-secret"}
MEBIBYTE = 1024 * 1024


def prepared(**settings: object) -> object:
    return FIREHOSE.prepare(validate_settings(FIREHOSE, {**KEYS, "stream": "events", **settings}))


def build(payloads: list[Mapping[str, object]], **settings: object) -> Sequence[Built]:
    return PUT.build(payloads, prepared(**settings), context_for([{} for _ in payloads]))


def record(size: int = 100) -> dict[str, object]:
    """A record whose data have so many bytes, its line feed among them."""
    return {"data": {"text": "x" * (size - len('{"text":""}\n'))}}


def test_a_call_has_five_hundred_records_at_most() -> None:
    assert [len(one.covers) for one in build([record()] * 1_001)] == [500, 500, 1]  # type: ignore[union-attr]


def test_a_record_has_a_thousand_kibibytes_before_it_is_encoded() -> None:
    refused, taken = build([record(1_000 * 1024), record(1_000 * 1024 + 1)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (1, "record_too_large")
    assert isinstance(taken, RequestSpec)
    assert len(base64.b64decode(taken.body["Records"][0]["Data"])) == 1_000 * 1024  # type: ignore[index]


def test_a_call_has_four_mebibytes_at_most_as_it_is_sent() -> None:
    built = build([record(7_000)] * 1_000)
    assert [index for one in built for index in one.covers] == list(range(1_000))  # type: ignore[union-attr]
    sizes = [len(json.dumps(one.body, separators=(",", ":"))) for one in built]  # type: ignore[union-attr]
    assert max(sizes) <= 4 * MEBIBYTE < max(sizes) + 10_000


@pytest.mark.parametrize("stream", ["a b", "a/b", "x" * 65, "ä"])
def test_a_name_that_no_stream_can_have_is_refused(stream: str) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(stream=stream)
    assert set(raised.value.codes) == {"stream"}
    with pytest.raises(PayloadError):
        shape_of(PUT)({"data": {"a": 1}, "stream": stream})


def test_the_stream_is_looked_up_for_a_test() -> None:
    assert FIREHOSE.test is not None
    assert FIREHOSE.interpret is not None
    request = FIREHOSE.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert dict(request.headers)["x-amz-target"] == "Firehose_20150804.DescribeDeliveryStream"
    assert request.body == {"DeliveryStreamName": "events"}
    assert FIREHOSE.interpret(request, Response(200, body=b"{}"))[0].outcome is Outcome.DELIVERED
    missing = Response(400, body=b'{"__type": "ResourceNotFoundException", "message": "Firehose events not found."}')
    assert FIREHOSE.interpret(request, missing)[0].outcome is Outcome.DISABLED
