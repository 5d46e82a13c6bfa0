"""Nested objects made flat: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""

from __future__ import annotations

from collections.abc import Sequence

from .coercion import MISSING, JsonObject
from .errors import UnmappableEventError
from .limits import MAX_VALUE_TEXT, check_value


def flatten(value: object, prefix: str = "", separator: str = ".", omit_arrays: bool = False) -> JsonObject:
    """Flatten objects, and lists by index unless told to leave them whole.

    Empty objects and lists disappear; a scalar stands under the prefix alone.
    """
    check_value(value, "")
    flat: JsonObject = {}
    length = 0
    stack: list[tuple[str, object]] = [(prefix, value)]
    while stack:
        name, item = stack.pop()
        members = _members(item, omit_arrays)
        if members is not None:
            stack.extend((f"{name}{separator}{key}" if name else str(key), member) for key, member in members)
        elif item is not MISSING:
            flat[name] = item
        # Every leaf repeats the keys above it, so a long key over many leaves multiplies.
        length += len(name) + len(separator)
        if length > MAX_VALUE_TEXT:
            message = f"the flattened names have more than {MAX_VALUE_TEXT} characters"
            raise UnmappableEventError.of("value_too_large", message)
    return flat


def _members(value: object, omit_arrays: bool) -> Sequence[tuple[object, object]] | None:
    """List the members of a container from the last to the first, so that the stack gives them in order."""
    if isinstance(value, dict):
        return list(value.items())[::-1]
    if isinstance(value, list) and not omit_arrays:
        return list(enumerate(value))[::-1]
    return None
