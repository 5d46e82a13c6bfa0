"""Kafka: messages produced by librdkafka, acknowledged by all replicas, each once within a session.

Keys of the target: brokers (`host:port`, several with commas), tls, ca_certificate, client_certificate, client_key,
sign_in (`none`, `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `AWS_MSK_IAM`), username, password, access_key_id,
secret_access_key, region, compression, max_message_bytes.

librdkafka opens its connections itself, so the gate stands before them: the brokers of the settings are judged before
there is a client, in clear they are dialled by the judged address, and the brokers that a cluster names are judged
before anything is produced, then every minute. Only brokers that are needed are connected to, so that a name that a
cluster has just made up is not yet one.
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.http import ItemOutcome, Outcome, SendError
from connectors.records import KafkaRecord, SinkRequest
from hub.delivery.sinks import SinkError, Target, lets_us_in, network, records_of
from hub.delivery.sinks.dialling import UNUSABLE_CERTIFICATE, Way, hosts_of, judged, number, text
from hub.lib import clock, net, sigv4
from hub.lib.net import Gate
from hub.lib.sigv4 import Keys

DEFAULT_PORT = 9092
CLUSTER_SECONDS = 60.0
UNKNOWN_TOPIC_MS = 5_000
POLL_SECONDS = 0.05
# Amazon's IAM takes the place of a user name and a password: the token is a URL signed for as long as this.
MSK_IAM, MSK_SERVICE, MSK_SECONDS = "AWS_MSK_IAM", "kafka-cluster", 900
NOT_LET_IN = "The brokers refuse the credentials; enter them again."
# Silent: librdkafka's lines name brokers, and are written by threads of its own.
logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())
logger.propagate = False

REJECTED: dict[int, tuple[str, str]] = {
    KafkaError.MSG_SIZE_TOO_LARGE: ("too_large", "The message is larger than the brokers take."),
    KafkaError.RECORD_LIST_TOO_LARGE: ("too_large", "The message is larger than the brokers take."),
    KafkaError.INVALID_RECORD: (
        "invalid_record",
        "The brokers refuse the record: it lacks a key, or a policy forbids it.",
    ),
    KafkaError.INVALID_MSG: ("invalid_record", "The brokers refuse the message."),
    KafkaError.INVALID_TIMESTAMP: ("invalid_record", "The brokers refuse the message's time."),
    KafkaError.TOPIC_EXCEPTION: ("bad_topic", "This cannot be the name of a topic; check the mapping."),
    KafkaError._UNKNOWN_PARTITION: ("bad_partition", "The topic has no partition of this number."),
    KafkaError._INVALID_ARG: ("bad_topic", "This cannot be the name of a topic; check the mapping."),
    KafkaError.POLICY_VIOLATION: ("policy_violation", "A policy of the brokers forbids the message."),
}
DISABLED: dict[int, tuple[str, str]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: ("forbidden", "The user may not write to this topic."),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: ("forbidden", "The user may not write to this cluster."),
    KafkaError.UNKNOWN_TOPIC_OR_PART: ("no_topic", "There is no topic of this name; make it, and switch on again."),
    KafkaError._UNKNOWN_TOPIC: ("no_topic", "There is no topic of this name; make it, and switch on again."),
}
REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.ILLEGAL_SASL_STATE})


class KafkaSink:
    """One producer. Its callbacks come in the thread that polls it, which is the one that writes."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self._gate = gate
        self._is_tls = bool(target.get("tls", True))
        self._failures: list[int] = []
        self._is_broken = False
        try:
            self._producer = Producer(self._configuration(target, seconds), logger=logger)
        except KafkaException as error:
            raise SinkError(Outcome.DISABLED, "bad_certificate", UNUSABLE_CERTIFICATE) from error
        self._seen_at = 0.0
        self._see_cluster(seconds)

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        if not request.records or monotonic() - self._seen_at > CLUSTER_SECONDS:
            self._see_cluster(request.timeout_s)
        if not request.records:
            return lets_us_in(request)
        until = monotonic() + request.timeout_s
        outcomes: dict[int, ItemOutcome] = {}
        for index, record in records_of(request, KafkaRecord):
            self._produce(index, record, outcomes, until)
        if self._producer.flush(max(0.0, until - monotonic())):
            self._is_broken = True  # what librdkafka still holds goes with it
            self._producer.purge()
            self._producer.flush(POLL_SECONDS)
        late = network(SendError.TIMEOUT)
        missing = ItemOutcome(0, late.outcome, 0, late.reason, str(late))
        return [outcomes.get(index) or _at(missing, index) for index in request.covers]

    def is_fresh(self) -> bool:
        return not self._is_broken

    def close(self) -> None:
        self._producer.purge()
        self._producer.poll(0)

    def _produce(self, index: int, record: KafkaRecord, outcomes: dict[int, ItemOutcome], until: float) -> None:
        """Hand one message to librdkafka, which may have to send others first."""
        options: dict[str, Any] = {"partition": record.partition} if record.partition is not None else {}
        told = partial(self._note, index, outcomes)
        while monotonic() < until:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=list(record.headers), on_delivery=told, **options
                )
                return
            except BufferError:
                self._producer.poll(POLL_SECONDS)
            except KafkaException as error:
                told(error.args[0], None)
                return

    def _note(
        self, index: int, outcomes: dict[int, ItemOutcome], error: KafkaError | None, message: Message | None
    ) -> None:
        outcomes[index] = ItemOutcome(index, Outcome.DELIVERED) if error is None else self._judge(index, error)

    def _judge(self, index: int, error: KafkaError) -> ItemOutcome:
        code = error.code()
        if error.fatal():
            self._is_broken = True
        if code in REJECTED:
            return ItemOutcome(index, Outcome.REJECTED, 0, *REJECTED[code])
        if code in DISABLED:
            return ItemOutcome(index, Outcome.DISABLED, 0, *DISABLED[code])
        if code in REFUSED or REFUSED.intersection(self._failures):
            return ItemOutcome(index, Outcome.UNAUTHORIZED, 0, "unauthorized", NOT_LET_IN)
        is_late = code in (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT)
        reason = "timeout" if is_late else "server_error"
        return ItemOutcome(index, Outcome.RETRY, 0, reason, f"The brokers have not taken it ({error.name()}).")

    # Connecting

    def _configuration(self, target: Target, seconds: float) -> dict[str, Any]:
        sign_in = text(target, "sign_in", "none")
        milliseconds = int(seconds * 1000)
        found: dict[str, Any] = {
            "bootstrap.servers": ",".join(self._bootstrap(text(target, "brokers"))),
            "security.protocol": f"{'SASL_' if sign_in != 'none' else ''}{'SSL' if self._is_tls else 'PLAINTEXT'}",
            "client.id": "headwater",
            "enable.idempotence": True,
            "linger.ms": 50,
            "compression.type": text(target, "compression", "lz4"),
            "message.max.bytes": number(target, "max_message_bytes", 1_000_000),
            "message.timeout.ms": milliseconds,
            "request.timeout.ms": max(1_000, milliseconds // 2),
            "socket.timeout.ms": max(1_000, milliseconds),
            "socket.connection.setup.timeout.ms": max(1_000, min(milliseconds, net.CONNECT_TIMEOUT_MS)),
            "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_MS,
            "enable.sparse.connections": True,
            "error_cb": lambda error: self._failures.append(error.code()),
            **signing_in(target, sign_in),
        }
        if self._is_tls:
            authority = text(target, "ca_certificate")
            found |= {"ssl.ca.pem": authority} if authority else {"ssl.ca.location": net.ca_bundle() or "probe"}
            found["ssl.endpoint.identification.algorithm"] = "https"
        if self._is_tls and text(target, "client_certificate"):
            found["ssl.certificate.pem"] = text(target, "client_certificate")
            found["ssl.key.pem"] = text(target, "client_key")
        return found

    def _bootstrap(self, listed: str) -> Iterable[str]:
        """Where to begin: in clear by the judged address, with TLS by the name that the certificate is for."""
        for host, port in hosts_of(listed, DEFAULT_PORT):
            (_, address), *_ = judged(Way(self._gate, "kafka", host, port, self._is_tls))
            shown = host if self._is_tls else str(address[0])
            yield f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"

    def _see_cluster(self, seconds: float) -> None:
        """Ask who the brokers are, and judge each; makes no topic. SinkError when nobody answers."""
        self._failures.clear()
        try:
            cluster = self._producer.list_topics(timeout=max(0.1, seconds))
        except KafkaException as error:
            self._producer.poll(0)
            self._is_broken = True
            raise self._unconnected(error.args[0].code()) from error
        for broker in cluster.brokers.values():
            judged(Way(self._gate, "kafka", broker.host, broker.port, self._is_tls))
        self._seen_at = monotonic()

    def _unconnected(self, code: int) -> SinkError:
        seen = {code, *self._failures}
        if REFUSED & seen:
            return SinkError(Outcome.UNAUTHORIZED, "unauthorized", NOT_LET_IN)
        if KafkaError._SSL in seen:
            return network(SendError.TLS)
        is_late = code in (KafkaError._TIMED_OUT, KafkaError._MSG_TIMED_OUT) and KafkaError._TRANSPORT not in seen
        return network(SendError.TIMEOUT if is_late else SendError.CONNECT)


def signing_in(target: Target, sign_in: str) -> Mapping[str, Any]:
    """How librdkafka signs in; it asks for a new token by itself, in a thread of its own, before one ends."""
    if sign_in == "none":
        return {}
    if sign_in != MSK_IAM:
        user = {"sasl.username": text(target, "username"), "sasl.password": text(target, "password")}
        return {"sasl.mechanisms": sign_in, **user}
    keys, region = Keys(text(target, "access_key_id"), text(target, "secret_access_key")), text(target, "region")
    return {"sasl.mechanisms": "OAUTHBEARER", "oauth_cb": lambda _: msk_token(keys, region, clock.now())}


def msk_token(keys: Keys, region: str, now: datetime) -> tuple[str, float]:
    """The token that brokers of Amazon MSK take, and the epoch second at which it ends."""
    url = f"https://kafka.{region}.amazonaws.com/?Action={MSK_SERVICE}:Connect"
    signed = sigv4.presign(keys, region, MSK_SERVICE, url, now, MSK_SECONDS) + "&User-Agent=headwater"
    return urlsafe_b64encode(signed.encode()).decode().rstrip("="), now.timestamp() + MSK_SECONDS


def _at(item: ItemOutcome, index: int) -> ItemOutcome:
    return ItemOutcome(index, item.outcome, item.status, item.reason, item.message)


def open_sink(target: Target, gate: Gate, timeout_s: float) -> KafkaSink:
    """Connect, sign in, and see that every broker may be called."""
    return KafkaSink(target, gate, timeout_s)
