"""What a chunk carries: deliveries (one event here), their parts (one mapping each), and what a call is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connectors.http import RequestSpec
from hub.delivery.config import Rule
from hub.events.cursors import LogRow


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


class Delivery:
    """One event of the chunk and how it stands."""

    __slots__ = (
        "code",
        "duration",
        "has_dead",
        "has_delivered",
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
        self.has_delivered = self.has_retry = False
        self.has_dead = any(ref.has_dead for ref in refs)
        self.reason = ""
        self.code = 0
        self.duration = 0.0


class Part:
    """One mapping's share of a delivery."""

    __slots__ = ("delivery", "delivery_id", "is_isolated", "payload", "ref", "rule")

    def __init__(self, delivery: Delivery, rule: Rule, delivery_id: str, payload: object, ref: RetryRef | None) -> None:
        self.delivery = delivery
        self.rule = rule
        self.delivery_id = delivery_id
        self.payload = payload
        self.ref = ref
        self.is_isolated = False


class Tag:
    """What a call carries, for the day its answer comes."""

    __slots__ = ("parts", "spec")

    def __init__(self, parts: list[Part], spec: RequestSpec) -> None:
        self.parts = parts
        self.spec = spec


def is_untouched(delivery: Delivery) -> bool:
    """Whether nothing of this event has been decided: it can wait at the cursor as if it had never been read."""
    return not (delivery.is_settled or delivery.has_delivered or delivery.has_retry or delivery.has_dead)


def is_open(delivery: Delivery) -> bool:
    """Whether something of this event was left to be tried as if for the first time."""
    return bool(delivery.undecided) or not delivery.is_settled
