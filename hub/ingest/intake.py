"""One request's messages, taken in: rows for the log, and which messages were refused and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from hub.events.log import Sample
from hub.events.spec import CALL_TYPES, EventRow
from hub.ingest import moments
from hub.ingest.codes import Discarded
from hub.ingest.decoding import Decoded, repaired_text
from hub.ingest.normalising import DEPTH, SEPARATORS, Arrival, Envelope, depth_exceeds, made_safe, normalise

MESSAGES = 2_500
SAMPLE_BYTES = 2_048
SAMPLE_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message that was refused; `index` is its place in the batch, or None when the batch as such was at fault."""

    index: int | None
    code: str
    item: object = None


@dataclass(slots=True)
class Intake:
    """What became of a request's messages before the log saw them."""

    rows: list[EventRow] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def refused_count(self) -> int:
        """How many messages were refused; a fault of the whole batch is none of them."""
        return sum(refusal.index is not None for refusal in self.refusals)


def messages_of(decoded: Decoded, call: str | None) -> tuple[Sequence[object], Envelope, str | None]:
    """Split a body into its messages and what its envelope says of them; the third value is a fault of the batch."""
    payload = decoded.payload
    if call is not None:
        return [payload], Envelope(call, is_suspect=decoded.suspect, is_damaged=decoded.damaged), None
    batch = payload.get("batch")
    envelope = Envelope(
        None,
        envelope_object(payload, "context", decoded.suspect),
        envelope_object(payload, "integrations", decoded.suspect),
        payload.get("sentAt"),
        moments.moment(payload.get("sentAt")),
        decoded.suspect,
        decoded.damaged,
    )
    if batch is not None and not isinstance(batch, list):
        return [], envelope, "batch_not_array"
    return batch or [], envelope, None if batch else "empty_batch"


def envelope_object(payload: dict[str, Any], name: str, is_suspect: bool) -> dict[str, Any]:
    """An object of the envelope. One that is no object, or nested too deep, is nobody's message: it is left out."""
    value = payload.get(name)
    if not isinstance(value, dict) or depth_exceeds(value, DEPTH):
        return {}
    return made_safe(value)[0] if is_suspect else value


def take_in(messages: Sequence[object], envelope: Envelope, arrival: Arrival, fault: str | None = None) -> Intake:
    """Normalise each message; keep the good ones and note the others."""
    intake = Intake()
    if fault is not None:
        intake.refusals.append(Refusal(None, fault))
    for index, item in enumerate(messages[:MESSAGES]):
        try:
            intake.rows.append(normalise(item, envelope, arrival))
        except Discarded as refused:
            intake.refusals.append(Refusal(index, refused.code, item))
    for index in range(MESSAGES, len(messages)):
        intake.refusals.append(Refusal(index, "too_many_messages"))
    return intake


def refuse_all(messages: Sequence[object], code: str) -> Intake:
    """Refuse every message for a reason that lies in the source or workspace."""
    return Intake(refusals=[Refusal(index, code, item) for index, item in enumerate(messages)])


def samples(refusals: Sequence[Refusal], allowed: Callable[[], bool]) -> list[Sample]:
    """Samples of the refused messages for as long as `allowed` says yes."""
    kept: list[Sample] = []
    for refusal in refusals:
        if not allowed():
            break
        kept.append(sample(refusal))
    return kept


def sample(refusal: Refusal) -> Sample:
    """One refused message as it is shown: cut short, without its write key."""
    item = refusal.item if isinstance(refusal.item, dict) else {}
    call = item.get("type")
    return Sample(
        refusal.code,
        call if isinstance(call, str) and call in CALL_TYPES else None,
        short_text(item.get("event", item.get("name"))),
        short_text(item.get("messageId")),
        json_text(refusal.item),
    )


def short_text(value: object) -> str | None:
    return repaired_text(value[:SAMPLE_NAME_LENGTH]).translate(SEPARATORS) if isinstance(value, str) else None


def json_text(item: object) -> str:
    """The item's JSON, at most 2 KB. Escapes stand for what PostgreSQL does not take as text."""
    if isinstance(item, dict):
        item = {name: value for name, value in item.items() if name != "writeKey"}
    try:
        text = orjson.dumps(item)
    except (TypeError, orjson.JSONEncodeError):
        text = escaped_text(item)
    return text[:SAMPLE_BYTES].decode(errors="ignore")


def escaped_text(item: object) -> bytes:
    try:
        return json.dumps(item, default=lambda _value: None, skipkeys=True).encode()
    except (ValueError, RecursionError):
        return b""
