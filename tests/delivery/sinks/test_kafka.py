"""The Kafka driver against librdkafka's own mock of a cluster."""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.http import ItemOutcome, Outcome, Scope
from connectors.records import KafkaRecord, SinkRequest
from hub.delivery.outbound import gate
from hub.delivery.sinks.running import Runner
from hub.lib.sigv4 import Keys
from tests.certificates import own_certificate, server_context
from tests.delivery.sinks.conftest import Write
from tests.relays import Relay, to_port

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra “kafka” is not installed")
kafka = pytest.importorskip("hub.delivery.sinks.kafka")
KafkaError = confluent_kafka.KafkaError


class Cluster:
    """Brokers inside this process."""

    def __init__(self) -> None:
        self._owner = confluent_kafka.Producer(
            {"bootstrap.servers": "-", "test.mock.num.brokers": 1}, logger=kafka.logger
        )
        (broker,) = self._owner.list_topics(timeout=10).brokers.values()
        self.port: int = broker.port

    def messages(self, topic: str, count: int) -> list[tuple[bytes | None, bytes, dict[str, bytes]]]:
        """What stands in a topic, once there are so many."""
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": f"127.0.0.1:{self.port}", "group.id": topic},
            logger=kafka.logger,
        )
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        beginning = confluent_kafka.OFFSET_BEGINNING
        consumer.assign([confluent_kafka.TopicPartition(topic, place, beginning) for place in partitions])
        found: list[Any] = []
        for _ in range(200):
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append((message.key(), message.value(), dict(message.headers() or [])))
            if len(found) == count:
                break
        consumer.close()
        return found


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def relay(cluster: Cluster) -> Iterator[Relay]:
    with Relay(to_port(cluster.port)) as running:
        yield running


def request(port: int, *records: KafkaRecord, timeout_s: float = 15.0, **target: Any) -> SinkRequest:
    where = {"brokers": f"127.0.0.1:{port}", "tls": False, **target}
    return SinkRequest("kafka", where, records, tuple(range(len(records))) or (0,), timeout_s, "produce")


def words(outcomes: list[ItemOutcome]) -> list[tuple[str, str]]:
    return [(one.outcome.value, one.reason) for one in outcomes]


def test_messages_arrive_with_key_and_headers_in_order(cluster: Cluster, write: Write) -> None:
    sent = [KafkaRecord("orders", f"{n}".encode(), b"ada", (("message-id", b"m"),)) for n in range(50)]
    assert words(write(request(cluster.port, *sent))) == [("delivered", "")] * 50
    found = cluster.messages("orders", 50)
    assert [value for _, value, _ in found] == [f"{n}".encode() for n in range(50)]
    assert found[0] == (b"ada", b"0", {"message-id": b"m"})


def test_one_message_too_large_is_rejected_and_the_others_arrive(cluster: Cluster, write: Write) -> None:
    sent = [KafkaRecord("large", b"small"), KafkaRecord("large", b"x" * 5_000), KafkaRecord("large", b"last")]
    outcomes = write(request(cluster.port, *sent, max_message_bytes=2_000))
    assert words(outcomes) == [("delivered", ""), ("rejected", "too_large"), ("delivered", "")]
    assert len(cluster.messages("large", 2)) == 2


def test_a_partition_that_is_not_there_is_the_events_own_fault(cluster: Cluster, write: Write) -> None:
    outcomes = write(request(cluster.port, KafkaRecord("parts", b"1"), KafkaRecord("parts", b"2", partition=999)))
    assert words(outcomes) == [("delivered", ""), ("rejected", "bad_partition")]


def test_a_test_makes_no_topic(cluster: Cluster, write: Write) -> None:
    before = set(cluster._owner.list_topics(timeout=10).topics)
    assert words(write(request(cluster.port))) == [("delivered", "")]
    assert set(cluster._owner.list_topics(timeout=10).topics) == before


def test_brokers_that_are_gone_are_waited_for(relay: Relay, runner: Runner) -> None:
    relay.stop()
    (outcome,), answer = runner.write(request(relay.port, KafkaRecord("t", b"1"), timeout_s=1.0))
    assert (outcome.outcome, outcome.scope) == (Outcome.RETRY, Scope.DESTINATION)
    assert outcome.reason in ("connect", "timeout")
    assert not answer.sent


def test_brokers_that_say_nothing_are_left(relay: Relay, runner: Runner) -> None:
    relay.flows.clear()
    (outcome,), _ = runner.write(request(relay.port, KafkaRecord("t", b"1"), timeout_s=1.0))
    assert outcome.outcome is Outcome.RETRY


def test_a_broker_that_the_cluster_names_passes_the_gate_too(cluster: Cluster, runner: Runner, settings: Any) -> None:
    """The first one may be called; the one that it answers with may not."""
    settings.ALLOW_PRIVATE_NETWORKS = (ip_network("127.0.0.2/32"),)
    with Relay(to_port(cluster.port), address="127.0.0.2") as relay:
        sent = request(relay.port, KafkaRecord("secret", b"1"), brokers=f"127.0.0.2:{relay.port}")
        (outcome,), answer = runner.write(sent)
    assert (outcome.outcome, outcome.reason) == (Outcome.DISABLED, "config_error")
    assert answer.error == "blocked"


def test_a_certificate_is_checked(cluster: Cluster, tmp_path: Path, write: Write) -> None:
    mine = own_certificate(tmp_path)
    with Relay(to_port(cluster.port), server_context(mine)) as relay:
        trusted = request(relay.port, tls=True, ca_certificate=mine.read_text(), timeout_s=5.0)
        assert words(write(trusted)) == [("delivered", "")]
        assert words(write(request(relay.port, tls=True, timeout_s=3.0))) == [("disabled", "tls_error")]
    other = own_certificate(tmp_path, "127.0.0.2")
    with Relay(to_port(cluster.port), server_context(other)) as relay:
        named_otherwise = request(relay.port, tls=True, ca_certificate=other.read_text(), timeout_s=3.0)
        assert words(write(named_otherwise)) == [("disabled", "tls_error")]
        broken = request(relay.port, tls=True, client_certificate="nonsense", client_key="nonsense")
        assert words(write(broken)) == [("disabled", "bad_certificate")]


API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
UNSUPPORTED_VERSION, SASL_AUTHENTICATION_FAILED = 35, 58


class Doorman(socketserver.StreamRequestHandler):
    """A broker that offers OAUTHBEARER alone, keeps the tokens that it is shown, and lets nobody in."""

    def handle(self) -> None:
        while head := self.rfile.read(4):
            (size,) = struct.unpack(">i", head)
            body = self.rfile.read(size)
            key, version, correlation, client_length = struct.unpack(">hhih", body[:10])
            answer = self.answer(key, version, body[10 + max(0, client_length) :])
            self.wfile.write(struct.pack(">ii", 4 + len(answer), correlation) + answer)

    def answer(self, key: int, version: int, body: bytes) -> bytes:
        if key == API_VERSIONS:
            known = ((API_VERSIONS, 0), (SASL_HANDSHAKE, 1), (SASL_AUTHENTICATE, 0))
            listed = b"".join(struct.pack(">hhh", each, 0, highest) for each, highest in known)
            return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(known)) + listed
        if key == SASL_HANDSHAKE:
            return struct.pack(">hih", 0, 1, 11) + b"OAUTHBEARER"
        assert key == SASL_AUTHENTICATE
        self.server.shown.append(body[4:])  # type: ignore[attr-defined]
        return struct.pack(">hhi", SASL_AUTHENTICATION_FAILED, -1, 0)


@pytest.fixture
def doorman() -> Iterator[socketserver.ThreadingTCPServer]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Doorman)
    server.daemon_threads = True
    server.shown = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


IAM = {"sign_in": "AWS_MSK_IAM", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "s", "region": "eu-central-1"}


def test_a_broker_of_amazons_is_shown_a_signed_url_and_its_refusal_pauses(doorman: Any, write: Write) -> None:
    sent = request(doorman.server_address[1], KafkaRecord("t", b"1"), timeout_s=5.0, **IAM)
    assert words(write(sent)) == [("unauthorized", "unauthorized")]
    token = doorman.shown[0].partition(b"auth=Bearer ")[2].partition(b"\x01")[0]
    url = urlsplit(base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4)).decode())
    query = parse_qs(url.query)
    assert url.netloc == "kafka.eu-central-1.amazonaws.com"
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")


def test_a_token_of_amazons_says_when_it_ends_and_has_no_padding() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    token, ends_at = kafka.msk_token(Keys("AKIDEXAMPLE", "s"), "us-east-1", now)
    assert ends_at == now.timestamp() + 900
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    signed, _, after = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("&X-Amz-Signature=")
    assert signed.endswith("&X-Amz-Date=20260301T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host")
    assert after[64:] == "&User-Agent=headwater"  # which the signature does not cover


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, ("rejected", "too_large")),
        (KafkaError.INVALID_RECORD, ("rejected", "invalid_record")),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ("disabled", "forbidden")),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ("disabled", "no_topic")),
        (KafkaError._UNKNOWN_TOPIC, ("disabled", "no_topic")),
        (KafkaError.SASL_AUTHENTICATION_FAILED, ("unauthorized", "unauthorized")),
        (KafkaError._AUTHENTICATION, ("unauthorized", "unauthorized")),
        (KafkaError.NOT_LEADER_FOR_PARTITION, ("retry", "server_error")),
        (KafkaError._MSG_TIMED_OUT, ("retry", "timeout")),
        (KafkaError.NETWORK_EXCEPTION, ("retry", "server_error")),
        (KafkaError.NOT_ENOUGH_REPLICAS, ("retry", "server_error")),
    ],
)
def test_each_error_has_its_meaning(cluster: Cluster, runner: Runner, code: int, outcome: tuple[str, str]) -> None:
    sink = kafka.open_sink({"brokers": f"127.0.0.1:{cluster.port}", "tls": False}, gate(), 10.0)
    item = sink._judge(0, KafkaError(code))
    sink.close()
    assert (item.outcome.value, item.reason) == outcome
