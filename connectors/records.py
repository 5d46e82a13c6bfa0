"""What is written to a store or queue that speaks no HTTP: records as values, and the sink that takes them.

A connector builds a `SinkRequest`; the driver that delivery has for its protocol writes the records, in order, and says
what became of each. The driver knows the protocol's errors; which of them mean what is the same for every connector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["kafka", "postgres", "redis", "mqtt", "smtp"]


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """One message of a topic; without a partition the key decides."""

    topic: str
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class PostgresRow:
    """One row; with `unique` columns a row that is there already stays (or is brought up to date with `is_upsert`)."""

    table: tuple[str, str]  # schema and name
    values: Mapping[str, object]
    unique: tuple[str, ...] = ()
    is_upsert: bool = False


@dataclass(frozen=True, slots=True)
class PostgresDelete:
    """Deletes every row of which the column has one of the values."""

    table: tuple[str, str]
    column: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class RedisCommand:
    """One command with its arguments, the name first."""

    arguments: tuple[str | bytes | int | float, ...]


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """One message of a topic."""

    topic: str
    payload: bytes
    qos: Literal[0, 1, 2] = 1
    retain: bool = False
    properties: tuple[tuple[str, str], ...] = ()  # user properties of MQTT 5
    content_type: str = ""
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient: envelope and the finished message. Who gets a copy is told apart for that reason."""

    sender: str
    recipient: str
    message: bytes
    copies: tuple[str, ...] = ()


Record = KafkaRecord | PostgresRow | PostgresDelete | RedisCommand | MqttMessage | Mail


@dataclass(slots=True)  # not frozen, as RequestSpec is not
class SinkRequest:
    """One write. `target` says where to and as whom; no records: only prove that the target lets us in.

    Record n is that of the payload `covers[n]`. The keys of `target` are those that the protocol's driver documents.
    """

    protocol: Protocol
    target: Mapping[str, object] = field(repr=False)
    records: tuple[Record, ...] = field(default=(), repr=False)
    covers: tuple[int, ...] = (0,)
    timeout_s: float = 15.0
    endpoint_label: str = ""
    idempotency_key: str | None = None
    is_idempotent: bool = True

    @property
    def is_repeatable(self) -> bool:
        """Whether writing it twice does no harm."""
        return self.is_idempotent or self.idempotency_key is not None
