"""MQTT: every event published to a topic of a broker.

**What you need.** The address of a broker that speaks MQTT 5 or 3.1.1, by TCP or by WebSocket, and what it asks for: a
user name and password, or a client certificate. TLS is on unless you switch it off, which works only for brokers in
networks that the operator of this installation has opened. The installation needs its extra “mqtt”.

**What each call becomes.** A message to a topic made of a pattern, by default
`cdp/{workspace}/{source}/{type}/{user}`; in the values that go into it, `+`, `#`, `/`, `%` and control characters are
percent-encoded. The payload is the event as JSON unless the mapping says otherwise. By MQTT 5, message id, kind of call
and content type go along as properties, and an expiry where you set one.

**Limits.** The broker's: clouds often take 128 KB, no broker more than 256 MB.

**What errors mean.** Each message is waited for (quality of service 1 unless you choose another). A message that is too
large or has a topic that the broker does not take is rejected; refused credentials pause the destination; a quota that
is used up makes everything wait. Nobody reading a topic is no error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote

from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Built,
    Connector,
    Field,
    Payload,
    Preset,
    Settings,
)
from connectors.batching import refuse
from connectors.destinations import _records as records
from connectors.fields import EVENT
from connectors.records import MqttMessage, SinkRequest

PATTERN = "cdp/{workspace}/{source}/{type}/{user}"
PLACE = re.compile(r"\{(workspace|source|type|event|user)\}")
# What has a meaning in a topic, or is forbidden there.
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f+#/%\ud800-\udfff]")
NOBODY = "-"
LONGEST_TOPIC = 65_535
LARGEST_PAYLOAD = 268_435_455
KEYS = (
    *("host", "port", "transport", "path", "version", "client_id", "username", "password", "tls", "ca_certificate"),
    *("client_certificate", "client_key"),
)
QOS: Mapping[str, Literal[0, 1, 2]] = {"0": 0, "1": 1, "2": 2}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where messages go, and how."""

    target: Mapping[str, object] = field(repr=False)
    pattern: str
    workspace: str
    source: str
    qos: Literal[0, 1, 2]
    retain: bool
    expiry_s: int | None


def prepare(settings: Settings) -> Broker:
    """Work out the target once."""
    expiry = settings.get("expiry")
    return Broker(
        {"tls": True, **records.chosen(settings, *KEYS)},
        str(settings.get("topic") or PATTERN),
        str(settings.get("workspace") or "default"),
        str(settings.get("source") or "default"),
        QOS.get(str(settings.get("qos")), 1),
        settings.get("retain") is True,
        expiry if isinstance(expiry, int) and expiry > 0 else None,
    )


def encoded(value: object) -> str:
    """Write a value as one level of a topic."""
    text = str(value)
    return UNSAFE.sub(lambda found: quote(found.group(), safe="", errors="replace"), text) or NOBODY


def topic_of(payload: Payload, broker: Broker) -> str:
    """Fill the pattern; what an event does not have is a dash."""
    known = {
        "workspace": payload.get("workspace") or broker.workspace,
        "source": payload.get("source") or broker.source,
        "type": payload.get("type") or NOBODY,
        "event": payload.get("event") or NOBODY,
        "user": payload.get("key") or NOBODY,
    }
    return PLACE.sub(lambda found: encoded(known[found.group(1)]), broker.pattern)


def build(payloads: Sequence[Payload], broker: Broker, context: BuildContext) -> list[Built]:
    """Make a message of each payload."""
    made, covers, built = [], [], list[Built]()
    for index, payload in enumerate(payloads):
        topic, content = topic_of(payload, broker), records.json_text(payload["value"]).encode()
        if len(topic.encode()) > LONGEST_TOPIC or len(content) > LARGEST_PAYLOAD:
            built.append(refuse(index, "too_large", "Topic or message is larger than MQTT allows."))
            continue
        named = tuple(pair for pair in records.headers(payload, context, index) if pair[0] != "content-type")
        made.append(MqttMessage(topic, content, broker.qos, broker.retain, named, records.JSON_TYPE, broker.expiry_s))
        covers.append(index)
    if made:
        sends_once = broker.qos == 2
        built.append(
            SinkRequest(
                "mqtt", broker.target, tuple(made), tuple(covers), 15.0, "publish", is_idempotent=not sends_once
            )
        )
    return built


def build_test(broker: Broker, context: BuildContext) -> SinkRequest:
    """Sign in, and publish nothing."""
    return SinkRequest("mqtt", broker.target, (), timeout_s=15.0, endpoint_label="test")


PUBLISH = Action(
    key="publish",
    title="Publish a message",
    description="Publish the event to a topic.",
    default_trigger=ALL_CALLS,
    fields=(
        records.VALUE,
        records.KEY,
        records.TYPE,
        Field("event", "Event", default=EVENT, maximum=1_000),
        replace(records.SOURCE, default=None),  # the settings have a name for it
        records.WORKSPACE,
    ),
    build=build,
    batch=BatchRule(max_items=100, max_bytes=4_000_000),
)

connector = Connector(
    slug="mqtt",
    name="MQTT",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Publishes events to an MQTT broker.",
    docs_url="https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html",
    settings=(
        *records.host(8883, "mqtt.acme.test"),
        Field(
            "version", "Version", default="5", choices=(("5", "MQTT 5"), ("3.1.1", "MQTT 3.1.1")), clears_secrets=True
        ),
        Field(
            "transport",
            "Transport",
            default="tcp",
            choices=(("tcp", "TCP"), ("websockets", "WebSocket")),
            clears_secrets=True,
        ),
        Field("path", "Path", description="Of the WebSocket.", default="/mqtt", pattern=r"/[!-~]*", maximum=500),
        Field("client_id", "Client id", description="Empty for one that is made each time.", maximum=200),
        Field("username", "User name", maximum=500),
        records.PASSWORD,
        records.TLS,
        records.CA_CERTIFICATE,
        records.CLIENT_CERTIFICATE,
        records.CLIENT_KEY,
        Field(
            "topic",
            "Topic",
            description="A pattern with {workspace}, {source}, {type}, {event} and {user}.",
            required=True,
            default=PATTERN,
            pattern=r"[^+#\x00-\x1f]+",
            maximum=1_000,
        ),
        Field("workspace", "Workspace", description="What stands for it in the topic.", default="default", maximum=200),
        Field("source", "Source", description="What stands for it in the topic.", default="default", maximum=200),
        Field(
            "qos",
            "Quality of service",
            default="1",
            choices=(("0", "0: not waited for"), ("1", "1: at least once"), ("2", "2: exactly once")),
        ),
        Field("retain", "Retain", "boolean", "The broker keeps the last message of each topic.", default=False),
        Field(
            "expiry", "Expiry", "integer", "Seconds, by MQTT 5; 0 for none.", default=0, minimum=0, maximum=2**32 - 1
        ),
    ),
    actions=(PUBLISH,),
    presets=(Preset("All events", "publish", ALL_CALLS, PUBLISH.default_mapping),),
    prepare=prepare,
    test=build_test,
    kind="sink",
    allows_custom_host=True,
    extra="mqtt",
)
