"""The six call types, and how an accepted message becomes a row of the log.

Pure: a message goes in as it will be delivered, its row comes out. The columns beside the body are what look-ups and
routing need without reading JSON; everything else stays in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from struct import Struct
from typing import NamedTuple


class CallType(StrEnum):
    """The calls of the tracking API."""

    IDENTIFY = "identify"
    """Who somebody is."""
    TRACK = "track"
    """What somebody did."""
    PAGE = "page"
    """A page of a website was seen."""
    SCREEN = "screen"
    """A screen of an app was seen."""
    GROUP = "group"
    """Which account, company or team somebody belongs to."""
    ALIAS = "alias"
    """Two ids are the same person."""


CALL_TYPES = frozenset(str(call) for call in CallType)

# Bits of the column `flags`.
HAS_INTEGRATIONS = 1
CLEANED = 2
CLIENT_SIDE = 4
NO_MESSAGE_ID = 8

# The first eight bytes of a digest, as the signed integer that a column holds.
key_of = Struct(">q24x").unpack
NAMED_BY = {"track": "event", "page": "name", "screen": "name"}


class EventRow(NamedTuple):
    """One event as the log's columns hold it; `key` is what it is deduplicated by, as 32 hex characters."""

    key: str
    message_key: int
    user_key: int
    flags: int
    type: str
    event_name: str | None
    user_id: str | None
    anonymous_id: str | None
    message_id: str
    body: bytes


def row_of(message: Mapping[str, object], body: bytes, flags: int) -> EventRow:
    """Build the row of a final, valid message whose serialised form is `body`."""
    call = str(message["type"])
    user_id = text_or_none(message.get("userId"))
    anonymous_id = text_or_none(message.get("anonymousId"))
    message_id = str(message["messageId"])
    named_by = NAMED_BY.get(call)
    digest = sha256(message_id.encode()).digest()
    person = user_id if user_id is not None else anonymous_id or ""
    return EventRow(
        digest[:16].hex(),
        key_of(digest)[0],
        key_of(sha256(person.encode()).digest())[0],
        flags | routing_flag(message),
        call,
        text_or_none(message.get(named_by)) if named_by else None,
        user_id,
        anonymous_id,
        message_id,
        body,
    )


def routing_flag(message: Mapping[str, object]) -> int:
    """Tell whether routing must open the body: an `integrations` object or bundled destinations may forbid some."""
    if message.get("integrations"):
        return HAS_INTEGRATIONS
    metadata = message.get("_metadata")
    return HAS_INTEGRATIONS if isinstance(metadata, dict) and metadata.get("bundled") else 0


def text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
