"""Amazon SQS: how many messages go together, what attributes may be, and what the test call proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SQS = registry.get("amazon_sqs")
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/events"
KEYS = {"region": "eu-central-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "fake-secret"}


def prepared(**settings: object) -> object:
    return SQS.prepare(validate_settings(SQS, {**KEYS, "queue_url": QUEUE, **settings}))


def build(payloads: list[Mapping[str, object]], **settings: object) -> Sequence[Built]:
    return SQS.action("send").build(payloads, prepared(**settings), context_for([{} for _ in payloads]))


def text_of(kilobytes: int) -> dict[str, object]:
    return {"data": {"text": "x" * kilobytes * 1_024}}


def test_a_call_has_ten_messages_at_most() -> None:
    built = build([text_of(0)] * 23)
    assert [one.covers for one in built] == [  # type: ignore[union-attr]
        tuple(range(10)),
        tuple(range(10, 20)),
        tuple(range(20, 23)),
    ]
    entries = built[1].body["Entries"]  # type: ignore[union-attr, index]
    assert [one["Id"] for one in entries] == [str(place) for place in range(10)]


def test_a_call_has_a_mebibyte_at_most() -> None:
    refused, *built = build([text_of(600), text_of(600), text_of(1_024), text_of(400)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (2, "message_too_large")
    assert [one.covers for one in built] == [(0,), (1, 3)]  # type: ignore[union-attr]


def test_attributes_count_as_the_message_does() -> None:
    (refused,) = build([{**text_of(1_023), "attributes": {"note": "n" * 2_000}}])
    assert isinstance(refused, ItemOutcome)
    assert refused.reason == "message_too_large"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({f"a{number}": 1 for number in range(11)}, "too_many_attributes"),
        ({"AWS.x": 1}, "bad_attribute"),
        ({"a..b": 1}, "bad_attribute"),
        ({".a": 1}, "bad_attribute"),
        ({"a.": 1}, "bad_attribute"),
        ({"a b": 1}, "bad_attribute"),
        ({"": 1}, "bad_attribute"),
    ],
)
def test_attributes_that_sqs_refuses_cost_their_message_only(attributes: object, reason: str) -> None:
    refused, request = build([{**text_of(0), "attributes": attributes}, text_of(0)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.outcome, refused.reason) == (0, Outcome.REJECTED, reason)
    assert isinstance(request, RequestSpec)
    assert request.covers == (1,)


def test_attributes_are_texts_and_empty_ones_are_left_out() -> None:
    (request,) = build(
        [{**text_of(0), "attributes": {"n": 5, "o": {"a": [1]}, "e": "", "z": None, "c": "a\x00b\uffff"}}]
    )
    (entry,) = request.body["Entries"]  # type: ignore[union-attr, index]
    texts = {name: one["StringValue"] for name, one in entry["MessageAttributes"].items()}
    assert texts == {"n": "5", "o": '{"a":[1]}', "c": "a\ufffdb\ufffd"}


def test_the_queue_is_looked_up_for_a_test() -> None:
    assert SQS.test is not None
    assert SQS.interpret is not None
    request = SQS.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert dict(request.headers)["x-amz-target"] == "AmazonSQS.GetQueueAttributes"
    assert request.body == {"QueueUrl": QUEUE, "AttributeNames": ["QueueArn"]}
    denied = Response(403, body=b'{"__type": "com.amazon.coral.service#AccessDeniedException"}')
    outcomes = [SQS.interpret(request, answer)[0] for answer in (Response(200, body=b"{}"), denied)]
    assert [(one.outcome, one.warnings) for one in outcomes] == [
        (Outcome.DELIVERED, ()),
        (Outcome.DELIVERED, ("only_writes",)),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"queue_url": "events"},
        {"region": "eu-central-1.evil.example/"},
        {"access_key_id": "short"},
        {"role_arn": "writer"},
        {"secret_access_key": ""},
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(**settings)
    assert set(raised.value.codes) == set(settings)
