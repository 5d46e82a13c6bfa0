"""When a delivered message says the same as the one that was sent, by the rules of Segment's library tester. Pure.

What a server or an SDK may add or change is left out on both sides, and so is a top-level object that is empty; all
the rest must be deeply equal, in JSON's types as well as in value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Message = Mapping[str, Any]
IGNORED = frozenset({
    "messageId", "timestamp", "receivedAt", "sentAt", "originalTimestamp", "channel", "version", "projectId",
    "writeKey", "_metadata",
})  # fmt: skip
# Where each call type holds the id by which a test recognises its message.
MARKED_IN = {
    "track": "properties", "page": "properties", "screen": "properties", "identify": "traits", "group": "traits",
    "alias": "context",
}  # fmt: skip


def essence(message: Message) -> dict[str, Any]:
    """The part of a message that must arrive as it was sent."""
    kept = {name: value for name, value in message.items() if name not in IGNORED}
    context = kept.get("context")
    if isinstance(context, Mapping):
        kept["context"] = {name: value for name, value in context.items() if name != "library"}
    return {name: value for name, value in kept.items() if value != {}}


def mark(message: Message) -> str:
    """The id that a test has put into a message."""
    return str(message[MARKED_IN[message["type"]]]["id"])


def differences(sent: Message, delivered: Message) -> list[str]:
    """Where the two differ, as paths; none when they say the same."""
    return list(_differences("$", essence(sent), essence(delivered)))


def _differences(path: str, one: object, other: object) -> Iterable[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted(one.keys() | other.keys()):
            yield from _differences(f"{path}.{name}", one.get(name, MISSING), other.get(name, MISSING))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(f"{path}[{place}]", *pair)
    elif is_number(one) and is_number(other):
        yield from () if one == other else (path,)
    elif type(one) is not type(other) or one != other:
        yield path


def is_number(value: object) -> bool:
    """JSON knows one kind of number: 1 and 1.0 are the same. A boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


MISSING = object()
