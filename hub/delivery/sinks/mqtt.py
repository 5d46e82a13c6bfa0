"""MQTT: messages published to a broker, by version 3.1.1 or 5, over TCP or WebSocket, each waited for.

Keys of the target: host, port, transport (`tcp`, `websockets`), path, tls, ca_certificate, client_certificate,
client_key, version (`3.1.1`, `5`), client_id, username, password. paho-mqtt is driven in the writing thread: none of
its own threads, no reconnecting behind our back. When a broker ends the connection over one of several messages, they
are published again one by one, so that only the guilty one pays.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from connectors.http import ItemOutcome, Outcome, SendError
from connectors.records import MqttMessage, SinkRequest
from hub.delivery.sinks import SinkError, Target, lets_us_in, network, records_of
from hub.delivery.sinks.dialling import Leash, Way, dial, is_quiet, number, secure, text, tls_context
from hub.lib.net import Gate

KEEP_ALIVE_SECONDS = 300
LOOP_SECONDS = 0.2
NOT_LET_IN = frozenset({134, 135})
TOO_LARGE, QUOTA = 149, 151
REJECTED = {
    130: ("protocol_error", "The broker calls the message malformed."),
    144: ("bad_topic", "The broker does not take this topic; check the mapping."),
    149: ("too_large", "The message is larger than the broker takes."),
    153: ("bad_payload", "The broker finds the payload to be in another form than it says."),
    154: ("no_retain", "The broker keeps no messages; switch retaining off."),
    155: ("no_qos", "The broker does not offer this quality of service."),
}
REFUSED = "The broker refuses the credentials, or what they are to be used for."
Pending = tuple[int, MqttMessage]


class Client(paho.Client):
    """paho's client on a connection that was dialled for it."""

    def __init__(self, way: Way, seconds: float, leash: Leash, **options: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, **options)
        self._way = way
        self._seconds = seconds
        self._leash = leash

    def _create_socket_connection(self) -> Any:
        opened = dial(self._way, self._seconds)
        self._leash.hold(opened.fileno())
        return opened

    def _ssl_wrap_socket(self, tcp_sock: Any) -> ssl.SSLSocket:
        if self._ssl_context is None:
            raise ValueError("TLS without a context")
        return secure(tcp_sock, self._ssl_context, self._way.host)


class MqttSink:
    """One connection to a broker."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._is_five = text(target, "version", "5") == "5"
        self._is_tls = bool(target.get("tls", True))
        self._way = Way(gate, "mqtt", text(target, "host"), number(target, "port", 8883), self._is_tls)
        self._leash = Leash()
        self._client: Client | None = None
        self._largest = 0
        self._is_used = False
        self._welcome: int | None = None
        self._farewell: int | None = None
        self._answers: dict[int, int] = {}
        self._connect()

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        if not request.records:
            if self._is_used:
                self._connect()  # a broker proves by letting us in anew that it still does
            return lets_us_in(request)
        self._is_used = True
        until = monotonic() + request.timeout_s
        pending = records_of(request, MqttMessage)
        outcomes: dict[int, ItemOutcome] = {}
        self._publish(pending, outcomes, until)
        alone = [each for each in pending if each[0] not in outcomes]
        for one in alone:
            if monotonic() < until and self._reconnect(outcomes, alone):
                self._publish([one], outcomes, until)
                if one[0] not in outcomes:
                    outcomes[one[0]] = self._lost(one[0])
        late = network(SendError.TIMEOUT)
        return [
            outcomes.get(index) or ItemOutcome(index, late.outcome, 0, late.reason, str(late))
            for index in request.covers
        ]

    def is_fresh(self) -> bool:
        client = self._client
        found = client.socket() if client is not None else None
        return found is not None and is_quiet(found.fileno())

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client._reset_sockets()
        self._leash.release()

    # Publishing

    def _publish(self, pending: Sequence[Pending], outcomes: dict[int, ItemOutcome], until: float) -> None:
        """Publish, and wait for the answers. What has none when the connection ends gets no outcome."""
        client = self._client
        if client is None:
            return
        waiting: dict[int, int] = {}
        self._answers.clear()
        for index, message in pending:
            if self._largest and len(message.payload) + len(message.topic) + 64 > self._largest:
                outcomes[index] = ItemOutcome(index, Outcome.REJECTED, 0, *REJECTED[TOO_LARGE])
                continue
            try:
                sent = client.publish(message.topic, message.payload, message.qos, message.retain, self._with(message))
            except ValueError:
                outcomes[index] = ItemOutcome(index, Outcome.REJECTED, 0, *REJECTED[144])
                continue
            if message.qos == 0 and sent.rc == paho.MQTT_ERR_SUCCESS:
                outcomes[index] = ItemOutcome(index, Outcome.DELIVERED)
            else:
                waiting[sent.mid] = index
        while waiting and self._farewell is None and monotonic() < until:
            client.loop(min(LOOP_SECONDS, max(0.0, until - monotonic())))
            for mid in [mid for mid in waiting if mid in self._answers]:
                index = waiting.pop(mid)
                outcomes[index] = judge(index, self._answers[mid])
        if waiting and self._farewell is None:
            self.close()  # answers that come later belong to nobody

    def _with(self, message: MqttMessage) -> Properties | None:
        if not self._is_five:
            return None
        found: Properties = cast(Any, Properties)(PacketTypes.PUBLISH)
        if message.properties:
            found.UserProperty = list(message.properties)
        if message.content_type:
            found.ContentType = message.content_type
        if message.expiry_s:
            found.MessageExpiryInterval = message.expiry_s
        return found

    def _lost(self, index: int) -> ItemOutcome:
        """The connection ended over this very message."""
        code = self._farewell
        if code in REJECTED or code in NOT_LET_IN or code == QUOTA:
            return judge(index, code)
        failed = network(self._leash.failure(SendError.INCOMPLETE), sent=True)
        return ItemOutcome(index, failed.outcome, 0, failed.reason, str(failed))

    def _reconnect(self, outcomes: dict[int, ItemOutcome], pending: Sequence[Pending]) -> bool:
        """Whether there is a connection; if not, what is still without an outcome shares that failure."""
        if self._client is not None and self._farewell is None:
            return True
        try:
            self._connect()
        except SinkError as failed:
            for index, _ in pending:
                outcomes.setdefault(index, ItemOutcome(index, failed.outcome, 0, failed.reason, str(failed)))
            return False
        return True

    # Connecting

    def _connect(self) -> None:
        """Connect and sign in, whatever there was before."""
        self.close()
        self._welcome = self._farewell = None
        self._client = client = self._new_client()
        until = monotonic() + self._seconds
        try:
            with self._leash.within(self._seconds):
                client.connect(self._way.host, self._way.port, KEEP_ALIVE_SECONDS)
                while self._welcome is None and self._farewell is None and monotonic() < until:
                    client.loop(LOOP_SECONDS)
        except (OSError, ValueError) as error:
            self.close()
            raise network(self._leash.failure(SendError.CONNECT)) from error
        except SinkError:
            self.close()
            raise
        if self._welcome != 0:
            code, is_late = self._welcome, monotonic() >= until
            self.close()
            raise refusal(code) if code else network(SendError.TIMEOUT if is_late else SendError.CONNECT)

    def _new_client(self) -> Client:
        target, is_web = self._target, text(self._target, "transport", "tcp") == "websockets"
        options: dict[str, Any] = {"protocol": paho.MQTTv5 if self._is_five else paho.MQTTv311}
        if not self._is_five:
            options["clean_session"] = True
        client = Client(
            self._way,
            self._seconds,
            self._leash,
            client_id=text(target, "client_id"),
            transport="websockets" if is_web else "tcp",
            **options,
        )
        if is_web:
            client.ws_set_options(text(target, "path", "/mqtt"))
        if text(target, "username"):
            client.username_pw_set(text(target, "username"), text(target, "password") or None)
        if self._is_tls:
            context: ssl.SSLContext = tls_context(target)
            client.tls_set_context(context)
        client.on_connect = self._welcomed
        client.on_disconnect = self._left
        client.on_publish = self._answered
        return client

    def _welcomed(self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        self._welcome = reason.value
        self._largest = int(getattr(properties, "MaximumPacketSize", 0) or 0)

    def _left(self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
        self._farewell = reason.value

    def _answered(self, client: Any, userdata: Any, mid: int, reason: ReasonCode, properties: Any) -> None:
        self._answers[mid] = reason.value


def judge(index: int, code: int | None) -> ItemOutcome:
    """What a reason code means for one message: below 128 the broker has it, with or without anybody who reads it."""
    if code is None or code < 128:
        return ItemOutcome(index, Outcome.DELIVERED)
    if code in REJECTED:
        return ItemOutcome(index, Outcome.REJECTED, 0, *REJECTED[code])
    if code in NOT_LET_IN:
        return ItemOutcome(index, Outcome.UNAUTHORIZED, 0, "unauthorized", f"{code}: {REFUSED}")
    if code == QUOTA:
        return ItemOutcome(index, Outcome.THROTTLED, 0, "quota", f"{code}: The broker's quota is used up.")
    return ItemOutcome(index, Outcome.RETRY, 0, "server_error", f"{code}: The broker has trouble of its own.")


def refusal(code: int) -> SinkError:
    """Why the broker does not let us in."""
    if code == 133:
        return SinkError(Outcome.DISABLED, "bad_client_id", f"{code}: The broker does not take this client id.")
    if code == 132:
        return SinkError(Outcome.DISABLED, "bad_version", f"{code}: The broker does not speak this version of MQTT.")
    item = judge(0, code)
    outcome = Outcome.RETRY if item.outcome is Outcome.REJECTED else item.outcome
    return SinkError(outcome, item.reason, item.message)


def open_sink(target: Target, gate: Gate, timeout_s: float) -> MqttSink:
    """Connect and sign in."""
    return MqttSink(target, gate, timeout_s)
