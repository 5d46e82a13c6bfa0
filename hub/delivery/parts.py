"""What a chunk carries: deliveries (one event here), their parts (one mapping each), and what a call is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload
from uuid import UUID

from connectors.http import RequestSpec
from connectors.records import SinkRequest
from hub.delivery.config import Rule
from hub.delivery.remote import RemoteJob
from hub.events.cursors import LogRow
from hub.lib import ids


@dataclass(slots=True)
class RetryRef:
    """The retry row that an event or part comes from. `siblings` are other rows of the event outside this chunk."""

    retry_id: int
    mapping_id: UUID | None
    attempts: int
    first_at: datetime
    siblings: int = 0
    has_dead: bool = False
    batch_key: str = ""
    job: RemoteJob | None = None


class Delivery:
    """One event of the chunk and how it stands."""

    __slots__ = (
        "code",
        "duration",
        "has_dead",
        "has_delivered",
        "has_pending",
        "has_retry",
        "is_settled",
        "is_started",
        "open_parts",
        "reason",
        "refs",
        "row",
        "undecided",
    )

    def __init__(self, row: LogRow, refs: Sequence[RetryRef] = ()) -> None:
        self.row = row
        self.refs = refs
        self.open_parts = 0
        self.undecided: list[Part] = []
        self.is_started = self.is_settled = False
        self.has_delivered = self.has_retry = self.has_pending = False
        self.has_dead = bool(refs) and any(ref.has_dead for ref in refs)
        self.reason = ""
        self.code = 0
        self.duration = 0.0


class Part:
    """One mapping's share of a delivery."""

    __slots__ = ("_delivery_id", "accepted", "delivery", "found", "is_isolated", "payload", "ref", "rule")

    def __init__(self, delivery: Delivery, rule: Rule, accepted: tuple[str, str], ref: RetryRef | None) -> None:
        self.delivery = delivery
        self.rule = rule
        self.accepted = accepted  # source id and time of acceptance, as delivery ids are made of them
        self.payload: object = None
        self.ref = ref
        self.is_isolated = False
        self.found: dict[str, object] | None = None  # by look-ups, once they are through
        self._delivery_id = ""

    @property
    def delivery_id(self) -> str:
        """The id that every attempt and replay of this event by this mapping carries."""
        if not self._delivery_id:
            source, received_at = self.accepted
            self._delivery_id = ids.delivery_id(self.rule.place, source, self.delivery.row.message_id, received_at)
        return self._delivery_id

    @property
    def name(self) -> str:
        """As lasting and unique as the delivery id, and cheaper; an event's place says which it is of its instant."""
        return f"{self.rule.place}|{self.delivery.row.seq}|{self.accepted[1]}"


class DeliveryIds(Sequence[str]):
    """The delivery ids of parts, worked out only when somebody asks for them."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [part.delivery_id for part in self._parts[place]]
        return self._parts[place].delivery_id


class Tag:
    """What a call carries, for the day its answer comes."""

    __slots__ = ("parts", "spec")
    keeps_batch = True  # whether parts that failed together are sent again together

    def __init__(self, parts: list[Part], spec: RequestSpec | SinkRequest) -> None:
        self.parts = parts
        self.spec = spec


def is_untouched(delivery: Delivery) -> bool:
    """Whether nothing of this event has been decided: it can wait at the cursor as if it had never been read."""
    has_row = delivery.has_retry or delivery.has_pending
    return not (delivery.is_settled or delivery.has_delivered or has_row or delivery.has_dead)


def is_open(delivery: Delivery) -> bool:
    """Whether something of this event was left to be tried as if for the first time."""
    return bool(delivery.undecided) or not delivery.is_settled
