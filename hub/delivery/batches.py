"""Which parts share a call: those of one mapping with equal batch keys, up to a number and a size, in their order.

A batch that was sent and must be repeated is made up of the same parts again, whatever the limits are by then: its
idempotency key stands for just these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from hub.delivery.config import Rule
from hub.delivery.parts import Part

Key = tuple[str, str, bytes]


@dataclass(slots=True)
class Group:
    """Parts that will share a call, and about how many bytes they have."""

    parts: list[Part] = field(default_factory=list)
    size: int = 0


class Bounds(Protocol):
    """How many events, and how many bytes of them, a call of a mapping may hold; 0 bytes for any size."""

    def items_per_call(self, rule: Rule) -> int: ...

    def bytes_per_call(self, rule: Rule) -> int: ...


class Filling:
    """The batches of one chunk that wait for more."""

    def __init__(self, run: Bounds) -> None:
        self._run = run
        self._groups: defaultdict[Key, Group] = defaultdict(Group)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, part: Part) -> Iterator[list[Part]]:
        """Put a part to others of its kind; gives the batches that are full now, one or two."""
        rule, frozen = part.rule, batch_key_of(part)
        key = (rule.place, frozen, _batch_values(part))
        group = self._groups[key]
        if frozen:
            group.parts.append(part)
            return
        limit = self._run.bytes_per_call(rule)
        size = _size(part.payload) if limit else 0
        if group.parts and limit and group.size + size > limit:
            yield group.parts
            group = self._groups[key] = Group()
        group.parts.append(part)
        group.size += size
        if len(group.parts) >= self._run.items_per_call(rule):
            del self._groups[key]
            yield group.parts

    def flush(self) -> Iterator[list[Part]]:
        """All that wait, as they are."""
        while self._groups:
            yield self._groups.pop(next(iter(self._groups))).parts

    def is_over_limit(self, parts: list[Part], body: bytes | None) -> bool:
        """Whether a request turned out larger than its parts let expect, so that it must be made anew of fewer."""
        limit = self._run.bytes_per_call(parts[0].rule)
        return len(parts) > 1 and 0 < limit < len(body or b"") and not batch_key_of(parts[0])


def batch_key_of(part: Part) -> str:
    """The batch that the part was sent in and waits with; empty for none."""
    return part.ref.batch_key if part.ref is not None else ""


def _batch_values(part: Part) -> bytes:
    """What must be equal within a batch, in a form that can be compared."""
    rule = part.rule.action.batch
    if rule is None or not rule.keys or not isinstance(part.payload, Mapping):
        return b""
    return orjson.dumps([part.payload.get(key) for key in rule.keys], default=str)


def _size(payload: object) -> int:
    return len(orjson.dumps(payload, default=str, option=orjson.OPT_NON_STR_KEYS)) + 1
