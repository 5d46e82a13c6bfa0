"""The MQTT driver against a real broker."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.http import ItemOutcome, Outcome, Scope
from connectors.records import MqttMessage, SinkRequest
from hub.delivery.sinks.running import Runner
from tests.certificates import own_certificate, server_context
from tests.delivery.sinks.conftest import Write
from tests.mosquittos import PROGRAM, Mosquitto
from tests.relays import Relay, to_port

paho = pytest.importorskip("paho.mqtt.client", reason="the extra “mqtt” is not installed")
mqtt = pytest.importorskip("hub.delivery.sinks.mqtt")
needs_broker = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


class Reader:
    """Somebody who reads every topic."""

    def __init__(self, port: int) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        ready: queue.Queue[int] = queue.Queue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda client, userdata, message: self.messages.put(message)
        self._client.on_connect = lambda client, *rest: client.subscribe("#", 2)
        self._client.on_subscribe = lambda *rest: ready.put(1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        ready.get(timeout=10)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def request(port: int, *messages: MqttMessage, timeout_s: float = 10.0, **target: Any) -> SinkRequest:
    where = {"host": "127.0.0.1", "port": port, "tls": False, **target}
    return SinkRequest("mqtt", where, messages, tuple(range(len(messages))) or (0,), timeout_s, "publish")


def words(outcomes: list[ItemOutcome]) -> list[tuple[str, str]]:
    return [(one.outcome.value, one.reason) for one in outcomes]


@needs_broker
@VERSIONS
def test_messages_arrive_in_order(broker: Mosquitto, write: Write, version: str) -> None:
    sent = [MqttMessage(f"cdp/{n}", f"{n}".encode(), (0, 1, 2)[n % 3]) for n in range(60)]  # type: ignore[arg-type]
    with Reader(broker.port) as reader:
        assert words(write(request(broker.port, *sent, version=version))) == [("delivered", "")] * 60
        found = [reader.messages.get(timeout=10) for _ in sent]
    assert sorted(int(message.payload) for message in found) == list(range(60))


@needs_broker
def test_by_version_five_properties_go_along(broker: Mosquitto, write: Write) -> None:
    message = MqttMessage("cdp/track", b"{}", 1, False, (("message-id", "m-1"),), "application/json", 60)
    with Reader(broker.port) as reader:
        write(request(broker.port, message))
        found = reader.messages.get(timeout=10).properties
    assert (found.UserProperty, found.ContentType) == ([("message-id", "m-1")], "application/json")
    assert 0 < found.MessageExpiryInterval <= 60


@needs_broker
def test_nobody_who_reads_is_no_error(broker: Mosquitto, write: Write) -> None:
    assert words(write(request(broker.port, MqttMessage("cdp/nobody", b"1")))) == [("delivered", "")]


@needs_broker
@pytest.mark.parametrize(
    ("version", "limit", "outcome"),
    [
        ("5", "message_size_limit 100", ("rejected", "protocol_error")),  # what mosquitto 2.0 calls it
        ("3.1.1", "max_packet_size 1000", ("retry", "incomplete")),  # the broker just hangs up
    ],
)
def test_the_message_that_is_too_large_pays_alone(
    tmp_path: Path, write: Write, version: str, limit: str, outcome: tuple[str, str]
) -> None:
    with Mosquitto(tmp_path, limit) as broker:
        sent = [MqttMessage("cdp/a", b"1"), MqttMessage("cdp/a", b"x" * 5_000), MqttMessage("cdp/a", b"2")]
        assert words(write(request(broker.port, *sent, version=version))) == [
            ("delivered", ""), outcome, ("delivered", ""),
        ]  # fmt: skip


@needs_broker
def test_a_message_larger_than_the_broker_says_is_not_even_sent(tmp_path: Path, write: Write) -> None:
    with Mosquitto(tmp_path, "max_packet_size 1000") as broker:
        sent = [MqttMessage("cdp/a", b"1"), MqttMessage("cdp/a", b"x" * 5_000)]
        assert words(write(request(broker.port, *sent))) == [("delivered", ""), ("rejected", "too_large")]


@needs_broker
@VERSIONS
def test_a_wrong_password_pauses(tmp_path: Path, write: Write, version: str) -> None:
    with Mosquitto(tmp_path, passwords={"shop": "a-good-password"}) as broker:
        good = request(broker.port, version=version, username="shop", password="a-good-password")
        assert words(write(good)) == [("delivered", "")]
        bad = request(broker.port, version=version, username="shop", password="a-bad-password")
        assert words(write(bad)) == [("unauthorized", "unauthorized")]


@needs_broker
def test_a_topic_that_may_not_be_written_pauses(tmp_path: Path, write: Write) -> None:
    access = tmp_path / "access"
    access.write_text("topic readwrite open/#\n")
    access.chmod(0o600)
    with Mosquitto(tmp_path, f"acl_file {access}") as broker:
        outcomes = write(request(broker.port, MqttMessage("open/1", b"1"), MqttMessage("shut/1", b"2")))
    assert words(outcomes) == [("delivered", ""), ("unauthorized", "unauthorized")]


@needs_broker
def test_a_certificate_is_checked(broker: Mosquitto, tmp_path: Path, write: Write) -> None:
    mine = own_certificate(tmp_path)
    with Relay(to_port(broker.port), server_context(mine)) as relay:
        trusted = request(relay.port, MqttMessage("a", b"1"), tls=True, ca_certificate=mine.read_text())
        assert words(write(trusted)) == [("delivered", "")]
        assert words(write(request(relay.port, MqttMessage("a", b"1"), tls=True))) == [("disabled", "tls_error")]


@needs_broker
def test_a_connection_that_broke_while_idle_is_made_anew(broker: Mosquitto, write: Write) -> None:
    with Relay(to_port(broker.port)) as relay:
        write(request(relay.port, MqttMessage("a", b"1")))
        relay.cut()
        relay.await_quiet()
        assert words(write(request(relay.port, MqttMessage("a", b"2")))) == [("delivered", "")]
        assert relay.connection_count == 2


@needs_broker
def test_a_broker_that_does_not_answer_is_left(broker: Mosquitto, runner: Runner) -> None:
    with Relay(to_port(broker.port)) as relay:
        relay.flows.clear()
        (outcome,), _ = runner.write(request(relay.port, MqttMessage("a", b"1"), timeout_s=0.5))
        assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "timeout", Scope.DESTINATION)
        relay.flows.set()
        runner.write(request(relay.port, MqttMessage("a", b"1")))
        relay.flows.clear()
        (outcome,), _ = runner.write(request(relay.port, MqttMessage("a", b"1"), timeout_s=0.5))
        assert (outcome.outcome, outcome.reason) == (Outcome.RETRY, "timeout")


def test_a_broker_that_is_gone_is_waited_for(runner: Runner) -> None:
    with Relay(to_port(1)) as relay:
        relay.stop()
        (outcome,), answer = runner.write(request(relay.port, MqttMessage("a", b"1")))
    assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "connect", Scope.DESTINATION)
    assert not answer.sent


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, ("delivered", "")),
        (16, ("delivered", "")),
        (134, ("unauthorized", "unauthorized")),
        (135, ("unauthorized", "unauthorized")),
        (144, ("rejected", "bad_topic")),
        (149, ("rejected", "too_large")),
        (151, ("throttled", "quota")),
        (128, ("retry", "server_error")),
        (136, ("retry", "server_error")),
    ],
)
def test_each_reason_code_has_its_meaning(code: int, outcome: tuple[str, str]) -> None:
    item = mqtt.judge(0, code)
    assert (item.outcome.value, item.reason) == outcome
