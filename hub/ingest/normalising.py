"""From a valid message to the event as it is kept and delivered, and its row in the log.

The event is the client's message with nulls at its top level gone, the envelope merged in, our clock beside the
client's and the fields of the server added. Nothing inside properties, traits or integrations is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from hub.events.spec import CLEANED, CLIENT_SIDE, NO_MESSAGE_ID, EventRow, row_of
from hub.ingest import moments, validation
from hub.ingest.codes import Discarded
from hub.ingest.decoding import REPLACEMENT, repaired
from hub.lib.ids import uuid7

Message = dict[str, Any]
DEPTH = 20
WIRE_VERSION = 2
SLACK = 8 * 1024
SINGLE_LIMIT = 32 * 1024 + SLACK
BATCH_LIMIT = 512 * 1024 + SLACK
CHANNELS = frozenset({"server", "browser", "mobile"})
MOBILE_LIBRARIES = (
    "analytics-android", "analytics-ios", "analytics-swift", "analytics-kotlin", "analytics-csharp",
    "analytics-react-native", "@segment/analytics-react-native", "analytics-flutter", "analytics_flutter",
)  # fmt: skip
# Fields that become columns of the log, whose separators these two characters are.
COLUMN_FIELDS = ("event", "name", "userId", "anonymousId", "messageId")
SEPARATORS = str.maketrans({"\x1e": REPLACEMENT, "\x1f": REPLACEMENT})


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is true of every message of one request."""

    received_at: datetime
    source_id: str
    source_kind: str = "server"
    is_client_side: bool = False
    ip: str | None = None
    user_agent: str | None = None
    received_text: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "received_text", moments.written(self.received_at))


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a batch says once for all its messages, or a single route by its path."""

    call: str | None = None
    context: Message = field(default_factory=dict)
    integrations: Message = field(default_factory=dict)
    sent: object = None
    sent_at: datetime | None = None
    is_suspect: bool = False
    is_damaged: bool = False


def normalise(item: object, envelope: Envelope, arrival: Arrival) -> EventRow:
    """Build the row of one message, or raise Discarded."""
    if not isinstance(item, dict):
        raise Discarded("message_not_object")
    flags = CLEANED if envelope.is_damaged else 0
    if envelope.is_suspect:
        item, changed = made_safe(item)
        flags |= CLEANED if changed else 0
    has_null = None in item.values()
    message = {name: value for name, value in item.items() if value is not None} if has_null else item.copy()
    message["type"] = call = validation.call_of(message, envelope.call)
    validation.check(call, message)
    flags |= identify(message)
    flags |= add_context(message, envelope, arrival)
    add_integrations(message, envelope)
    flags |= add_times(message, envelope, arrival)
    message.pop("writeKey", None)
    message["version"] = WIRE_VERSION
    message["projectId"] = arrival.source_id
    return row_of(message, serialised(message, item), flags)


def made_safe(item: Message) -> tuple[Message, bool]:
    """Repair a message that may hold text or numbers that the log cannot; columns lose their separators too."""
    if depth_exceeds(item, DEPTH):
        raise Discarded("too_deep")
    message, changed = repaired(item)
    for name in COLUMN_FIELDS:
        value = message.get(name)
        if isinstance(value, str) and ("\x1e" in value or "\x1f" in value):
            message[name] = value.translate(SEPARATORS)
            changed = True
    return message, changed


def identify(message: Message) -> int:
    """Give the message an id unless it has one. Without the client's own, a repeated send cannot be told."""
    message_id = validation.message_id_of(message)
    message["messageId"] = message_id or f"server-{uuid7()}"
    return 0 if message_id else NO_MESSAGE_ID


def add_context(message: Message, envelope: Envelope, arrival: Arrival) -> int:
    """Merge the envelope's context, fill in the sender's address where that is ours to do, and name the channel."""
    context = validation.object_or_empty(message, "context", "context_not_object")
    if envelope.context:
        context = merged(envelope.context, context)
    library = context.get("library")
    name = library.get("name") if isinstance(library, dict) else None
    is_mobile = isinstance(name, str) and name.lower().startswith(MOBILE_LIBRARIES)
    is_client_side = arrival.is_client_side or is_mobile
    if arrival.ip and "ip" not in context and (is_client_side or context.get("direct") is True):
        context = {**context, "ip": arrival.ip}
    if arrival.user_agent and "userAgent" not in context:
        context = {**context, "userAgent": arrival.user_agent}
    if context or "context" in message:
        message["context"] = context
    if message.get("channel") not in CHANNELS:
        message["channel"] = channel(is_client_side, is_mobile or arrival.source_kind == "mobile")
    return CLIENT_SIDE if is_client_side else 0


def channel(is_client_side: bool, is_mobile: bool) -> str:
    if not is_client_side:
        return "server"
    return "mobile" if is_mobile else "browser"


def add_integrations(message: Message, envelope: Envelope) -> None:
    integrations = validation.object_or_empty(message, "integrations", "integrations_not_object")
    if envelope.integrations:
        integrations = merged(envelope.integrations, integrations)
    if integrations or "integrations" in message:
        message["integrations"] = integrations


def add_times(message: Message, envelope: Envelope, arrival: Arrival) -> int:
    """Set the four times. A client's time that cannot be read counts as not given."""
    claimed = message.pop("timestamp", None)
    sent = message.pop("sentAt", None)
    sent_at = moments.moment(sent) if sent is not None else None
    if sent_at is None:
        sent, sent_at = envelope.sent, envelope.sent_at
    original = moments.moment(claimed) if claimed is not None else None
    message["receivedAt"] = arrival.received_text
    if sent_at is not None:
        message["sentAt"] = moments.rewritten(sent, sent_at)
    if original is None:
        message["timestamp"] = message["originalTimestamp"] = arrival.received_text
        return 0 if claimed is None else CLEANED
    message["originalTimestamp"] = moments.rewritten(claimed, original)
    message["timestamp"] = moments.written(moments.corrected(original, sent_at, arrival.received_at))
    return 0


def merged(base: Message, own: Message) -> Message:
    """Both objects in one, deeply; where both say something the message's own word counts."""
    both = {**base, **own}
    for name in base.keys() & own.keys():
        if isinstance(base[name], dict) and isinstance(own[name], dict):
            both[name] = merged(base[name], own[name])
    return both


def serialised(message: Message, item: Message) -> bytes:
    """The event's JSON, unless it is too large or too deep. Both are looked at closely only where they can be."""
    try:
        body = orjson.dumps(message)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise Discarded("too_deep" if depth_exceeds(item, DEPTH) else "unsupported_value") from error
    if body.count(b"{") + body.count(b"[") > DEPTH and depth_exceeds(item, DEPTH):
        raise Discarded("too_deep")
    if len(body) > SINGLE_LIMIT and len(orjson.dumps(item)) > SINGLE_LIMIT:
        raise Discarded("payload_too_large")
    return body


def depth_exceeds(item: object, limit: int) -> bool:
    """Whether containers are nested more than `limit` deep below the message. Goes level by level, never recursing."""
    level: list[Any] = [item]
    for _ in range(limit + 1):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
