"""What all sources do alike when they make messages: stable ids, moments, names of events, properties that fit.

A message may hold 32 KB, and vendors send objects of any size: what is too long in one is left out and named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.inbound import BadPayload, InboundRequest, Message
from connectors.moments import moment_of, text_of

LONGEST_ID = 99
LARGEST_PROPERTIES = 24_000
LONGEST_TEXT = 8_000
DEEPEST = 12
PLAIN_ID = re.compile(r"[\x21-\x7e]+")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
Object = Mapping[str, Any]


def message_id(vendor: str, *parts: object) -> str:
    """Name a message by the vendor's own ids, the same whenever the vendor sends it again."""
    text = ":".join([vendor, *(str(part) for part in parts)])
    if len(text) <= LONGEST_ID and PLAIN_ID.fullmatch(text):
        return text
    return f"{vendor}:{digest(text)}"


def digest(*texts: str) -> str:
    """Give SHA-256 of texts, for what has no name of its own or too long a one."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def track(
    event: str,
    identifier: str,
    *,
    user_id: object = None,
    anonymous_id: object = None,
    at: object = None,
    properties: Object | None = None,
    context: Object | None = None,
) -> Message:
    """Make a track message. Of the two ids the user's counts; a message needs one, so there is a last resort."""
    message: Message = {"type": "track", "event": event, "messageId": identifier}
    user, anonymous = text_or_none(user_id), text_or_none(anonymous_id)
    if user is not None:
        message["userId"] = user
    if anonymous is not None or user is None:
        message["anonymousId"] = anonymous or identifier
    moment = moment_of(at) if at is not None else None
    if moment is not None:
        message["timestamp"] = text_of(moment)
    message["properties"] = fitting(properties or {})
    if context:
        message["context"] = dict(context)
    return message


def text_or_none(value: object) -> str | None:
    """Give an id as text: numbers are written out, anything but text and numbers is none."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def external_ids(*found: tuple[str, object]) -> dict[str, object]:
    """Give the context that names a person by ids of other systems, as (type, id)."""
    listed = [
        {"id": text, "type": kind, "collection": "users", "encoding": "none"}
        for kind, value in found
        if (text := text_or_none(value))
    ]
    return {"externalIds": listed} if listed else {}


def event_name(*words: object) -> str:
    """Write the vendor's name of an event as people read it: `invoice.payment_failed` is `Invoice Payment Failed`."""
    found = [part for word in words for part in WORDS.findall(str(word))]
    return " ".join(part if part.isupper() and len(part) > 1 else part.capitalize() for part in found) or "Event"


def json_object(request: InboundRequest) -> dict[str, Any]:
    """Give the body, which must be a JSON object."""
    if not isinstance(request.json, dict):
        raise BadPayload("The body is not a JSON object.")
    return request.json


def json_list(request: InboundRequest) -> list[Any]:
    """Give the body, which must be a list of JSON values."""
    if not isinstance(request.json, list):
        raise BadPayload("The body is not a JSON list.")
    return request.json


def member(value: object, *path: str) -> Any:
    """Walk into objects; None where the way ends."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Give the objects of a list, whatever else it is or holds."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, dict))


def present(values: Object) -> dict[str, Any]:
    """Leave out what is not there."""
    return {key: value for key, value in values.items() if value is not None and value != ""}


def parse_json(text: object) -> Any:
    """Read JSON inside of a field; None where it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def fitting(properties: Object) -> dict[str, Any]:
    """Give properties that a message can hold, the largest made smaller; which ones is told in `left_out`."""
    trimmed = {str(key): _trimmed(value, DEEPEST) for key, value in properties.items()}
    sizes = {key: _size_of(value) for key, value in trimmed.items()}
    excess = sum(sizes.values()) - LARGEST_PROPERTIES
    left_out: list[str] = []
    for key in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if excess <= 0:
            break
        kept = _smaller(trimmed.pop(key), sizes[key] - excess)
        excess -= sizes[key]
        if kept is not None:
            trimmed[key] = kept
            excess += _size_of(kept)
        left_out.append(key)
    return {**trimmed, "left_out": left_out} if left_out else trimmed


def _size_of(value: Any) -> int:
    return len(json.dumps(value, default=str))


def _smaller(value: Any, room: int) -> Any:
    """Give what of an object's own members fits; None where nothing can be kept."""
    if not isinstance(value, dict) or room <= 0:
        return None
    kept: dict[str, Any] = {}
    for key, item in sorted(value.items(), key=lambda pair: _size_of(pair[1])):
        room -= _size_of(item) + len(key) + 6
        if room < 0:
            break
        kept[key] = item
    return kept or None


def _trimmed(value: Any, depth: int) -> Any:
    """Cut long texts and what is nested deeper than a message may be."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {str(key): _trimmed(item, depth - 1) for key, item in value.items()} if depth else {}
    if isinstance(value, list | tuple):
        return [_trimmed(item, depth - 1) for item in value] if depth else []
    return value
