"""Entries of one call of a stream or queue: as many together as their number and their size allow, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from connectors.base import Built, Payload
from connectors.batching import JsonObject
from connectors.destinations._objects import line_of
from connectors.http import ItemOutcome, RequestSpec


class Entry(NamedTuple):
    """What stands for a payload, and how many bytes the vendor counts for it."""

    content: JsonObject
    size: int


class Room(NamedTuple):
    """What a call holds at most."""

    entries: int
    size: int


Make = Callable[[int, Payload], Entry | ItemOutcome]
Send = Callable[[list[JsonObject], tuple[int, ...]], RequestSpec]


def texts_of(value: object) -> dict[str, str]:
    """Give what stands beside a message as texts; nulls are left out."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): one if isinstance(one, str) else line_of(one) for name, one in value.items() if one is not None}


def pack(payloads: Sequence[Payload], make: Make, send: Send, room: Room) -> list[Built]:
    """Make an entry of each payload, or the outcome that decides it, and requests of the entries."""
    decided: list[Built] = []
    requests: list[Built] = []
    entries: list[JsonObject] = []
    covers: list[int] = []
    left = room.size
    for index, payload in enumerate(payloads):
        made = make(index, payload)
        if isinstance(made, ItemOutcome):
            decided.append(made)
            continue
        if entries and (made.size > left or len(entries) == room.entries):
            requests.append(send(entries, tuple(covers)))
            entries, covers, left = [], [], room.size
        entries.append(made.content)
        covers.append(index)
        left -= made.size
    if entries:
        requests.append(send(entries, tuple(covers)))
    return [*decided, *requests]
