"""What tells two versions of something apart, place by place. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hub.expressions.errors import pointer

MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs, as a JSON pointer; what was added has no `before`, what was removed no `after`."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: object = None
    after: object = None


def differences(before: object, after: object, path: str = "") -> list[Difference]:
    """Every place that differs, in the order of the places; lists are compared item by item."""
    if before is MISSING:
        return [Difference(path, "added", after=after)]
    if after is MISSING:
        return [Difference(path, "removed", before=before)]
    old, new = _members(before), _members(after)
    if old is None or new is None or isinstance(before, Mapping) != isinstance(after, Mapping):
        return [] if _is_same(before, after) else [Difference(path, "changed", before, after)]
    return [
        found
        for key in [*old, *(key for key in new if key not in old)]
        for found in differences(old.get(key, MISSING), new.get(key, MISSING), pointer(path, key))
    ]


def _members(value: object) -> Mapping[str | int, object] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return dict(enumerate(value))
    return None


def _is_same(before: object, after: object) -> bool:
    """Equal in JSON, where true is not 1."""
    return isinstance(before, bool) == isinstance(after, bool) and before == after
