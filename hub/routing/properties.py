"""Taking properties out of an event: always in a copy of those objects that change, never in the event itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from hub.routing.rules import Message

Keys = tuple[str, ...]
Reshape = Callable[[Message], Message]
Prune = Callable[[dict[str, object]], dict[str, object]]

# Without these nobody could tell what the event is; they identify no one.
ENVELOPE = frozenset({"type", "messageId"})
STEP = re.compile(r"(?:\\.|[^.\\])+", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def split(path: str) -> Keys:
    """A dotted path as keys; a backslash makes the dot after it part of a key. The whole event is no keys."""
    return tuple(ESCAPED.sub(r"\1", step) for step in STEP.findall(path))


def drop_properties(fields: Mapping[str, Collection[str]]) -> Reshape:
    """Remove the listed keys of each object; lists on the way are gone through item by item."""
    return _each([(split(root), _without(frozenset(keys))) for root, keys in fields.items()])


def allow_properties(fields: Mapping[str, Collection[str]]) -> Reshape:
    """Keep nothing but the listed keys of each object; objects that are not mentioned stay as they are."""
    return _each([(split(root), _only(frozenset(keys))) for root, keys in fields.items()])


def drop_paths(paths: Collection[str]) -> Reshape:
    """Remove what stands at each path."""
    keys = [split(path) for path in paths]
    return _each([(each[:-1], _without(frozenset(each[-1:]))) for each in keys if each])


def removed(before: object, after: object, path: str = "") -> list[str]:
    """The paths of what is gone from a copy; parts that both share are not looked at."""
    if before is after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[str] = []
        for key, value in before.items():
            place = f"{path}.{key}" if path else key
            found += removed(value, after[key], place) if key in after else [place]
        return found
    if isinstance(before, list) and isinstance(after, list):
        pairs = zip(before, after, strict=False)
        return [found for at, (old, new) in enumerate(pairs) for found in removed(old, new, f"{path}[{at}]")]
    return []


def _each(changes: list[tuple[Keys, Prune]]) -> Reshape:
    def reshape(message: Message) -> Message:
        for root, prune in changes:
            message = _at(message, root, prune if root else _sparing_envelope(prune))  # type: ignore[assignment]
        return message

    return reshape


def _sparing_envelope(prune: Prune) -> Prune:
    def spare(message: dict[str, object]) -> dict[str, object]:
        after = prune(message)
        lost = [key for key in message if key in ENVELOPE and key not in after]
        if not lost:
            return after
        kept = {key: value for key, value in message.items() if key in after or key in ENVELOPE}
        return message if len(kept) == len(message) else kept

    return spare


def _at(value: object, keys: Keys, prune: Prune) -> object:
    """The value with the object at these keys pruned; the very same value when nothing changes."""
    if isinstance(value, list):
        items = [_at(item, keys, prune) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    if not keys:
        return prune(value)
    if keys[0] not in value:
        return value
    inner = _at(value[keys[0]], keys[1:], prune)
    return value if inner is value[keys[0]] else {**value, keys[0]: inner}


def _without(keys: frozenset[str]) -> Prune:
    def prune(value: dict[str, object]) -> dict[str, object]:
        if keys.isdisjoint(value):
            return value
        return {key: one for key, one in value.items() if key not in keys}

    return prune


def _only(keys: frozenset[str]) -> Prune:
    def prune(value: dict[str, object]) -> dict[str, object]:
        if value.keys() <= keys:
            return value
        return {key: one for key, one in value.items() if key in keys}

    return prune
