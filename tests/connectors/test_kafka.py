"""Kafka: which topic an event goes to, and what may not be one."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.errors import SettingsError
from connectors.http import ItemOutcome
from connectors.records import KafkaRecord, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

KAFKA = registry.get("kafka")
TOPICS = {"topic": "rest", "type_topics": {"track": "events"}, "event_topics": {"Order Completed": "orders"}}


def build(payload: dict[str, object], **settings: object) -> object:
    cluster = KAFKA.prepare(validate_settings(KAFKA, {"brokers": "a.test:9093", **TOPICS, **settings}))
    (built,) = KAFKA.action("produce").build([{"value": {}, **payload}], cluster, context_for([{}]))
    return built


@pytest.mark.parametrize(
    ("payload", "topic"),
    [
        ({"topic": "own", "event": "Order Completed", "type": "track"}, "own"),
        ({"event": "Order Completed", "type": "track"}, "orders"),
        ({"event": "Signed Up", "type": "track"}, "events"),
        ({"type": "identify"}, "rest"),
    ],
)
def test_the_nearest_rule_chooses_the_topic(payload: dict[str, object], topic: str) -> None:
    built = build(payload)
    assert isinstance(built, SinkRequest)
    (record,) = built.records
    assert isinstance(record, KafkaRecord)
    assert record.topic == topic


@pytest.mark.parametrize("topic", ["", "..", "a b", "a/b", "x" * 250])
def test_what_can_be_no_topic_is_rejected(topic: str) -> None:
    built = build({"topic": topic}, topic="")
    assert isinstance(built, ItemOutcome)
    assert built.reason == "bad_topic"


def test_signing_in_needs_a_name_and_a_password() -> None:
    with pytest.raises(SettingsError) as refused:
        validate_settings(KAFKA, {"brokers": "a.test:9093", "sign_in": "PLAIN"})
    assert [problem.field for problem in refused.value.problems] == ["username", "password"]
    with pytest.raises(SettingsError) as refused:
        validate_settings(KAFKA, {"brokers": "a.test:9098", "sign_in": "AWS_MSK_IAM"})
    assert [problem.field for problem in refused.value.problems] == ["access_key_id", "secret_access_key", "region"]


def test_an_access_key_of_iam_reaches_the_driver() -> None:
    keys = {"access_key_id": "AKIDEXAMPLEKEY00", "secret_access_key": "not-a-real-key", "region": "eu-central-1"}
    built = build({}, sign_in="AWS_MSK_IAM", **keys)
    assert isinstance(built, SinkRequest)
    assert {**built.target, **keys} == built.target
