"""MQTT: topics into which no event can write a level of its own."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.destinations.mqtt import encoded
from connectors.errors import SettingsError
from connectors.records import MqttMessage, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

MQTT = registry.get("mqtt")


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("ada", "ada"),
        ("a+b#c/d", "a%2Bb%23c%2Fd"),
        ("a\0b\n", "a%00b%0A"),
        ("100%", "100%25"),
        ("Grüße", "Grüße"),
        ("", "-"),
    ],
)
def test_a_value_stays_one_level(value: str, level: str) -> None:
    assert encoded(value) == level


def test_what_an_event_lacks_is_a_dash() -> None:
    broker = MQTT.prepare(validate_settings(MQTT, {"host": "mqtt.acme.test"}))
    (request,) = MQTT.action("publish").build([{"value": {}, "type": "track"}], broker, context_for([{}]))
    assert isinstance(request, SinkRequest)
    (message,) = request.records
    assert isinstance(message, MqttMessage)
    assert message.topic == "cdp/default/default/track/-"


@pytest.mark.parametrize("topic", ["cdp/+/x", "cdp/#", "a\nb"])
def test_a_pattern_has_no_wildcards(topic: str) -> None:
    with pytest.raises(SettingsError):
        validate_settings(MQTT, {"host": "mqtt.acme.test", "topic": topic})


@pytest.mark.parametrize(("qos", "is_repeatable"), [("0", True), ("1", True), ("2", False)])
def test_what_is_to_arrive_exactly_once_is_not_repeated(qos: str, is_repeatable: bool) -> None:
    broker = MQTT.prepare(validate_settings(MQTT, {"host": "mqtt.acme.test", "qos": qos}))
    (request,) = MQTT.action("publish").build([{"value": {}}], broker, context_for([{}]))
    assert isinstance(request, SinkRequest)
    assert request.is_repeatable is is_repeatable
