"""Requests that carry many payloads: what can be sent goes together, answers that name the bad ones are taken apart.

Shared by the vendors that take an array of events, or of people to erase, and speak of them by their place in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from connectors.base import Identifiers, Payload
from connectors.http import SPLIT_REFUSED, ItemOutcome, Outcome, RequestSpec, Response

JsonObject = dict[str, object]
# What an entry of the request is made by, from a payload and its index.
Make = Callable[[int, Payload], JsonObject | ItemOutcome]


class Gathered(NamedTuple):
    """What a batch came to: what stands in the request, for which payloads, and the payloads that may not go."""

    entries: list[JsonObject]
    covers: tuple[int, ...]
    decided: list[ItemOutcome]


def gather(payloads: Sequence[Payload], make: Make) -> Gathered:
    """Make an entry of each payload, or the outcome that decides it."""
    entries, covers, decided = [], [], []
    for index, payload in enumerate(payloads):
        made = make(index, payload)
        if isinstance(made, ItemOutcome):
            decided.append(made)
        else:
            entries.append(made)
            covers.append(index)
    return Gathered(entries, tuple(covers), decided)


def refuse(index: int, reason: str, message: str, status: int = 0) -> ItemOutcome:
    """Say that this payload can never be taken."""
    return ItemOutcome(index, Outcome.REJECTED, status, reason, message)


def sent_again(status: int) -> ItemOutcome:
    """Say of the innocent in a batch that was refused for others' sake that they go out again at once."""
    return ItemOutcome(0, Outcome.TOO_LARGE, status, SPLIT_REFUSED.reason, f"{status}: {SPLIT_REFUSED.advice}")


def told_apart(request: RequestSpec, faults: Mapping[int, ItemOutcome], rest: ItemOutcome) -> list[ItemOutcome]:
    """Give each payload the outcome of its place in the request, and the others the same one."""
    return [replace(faults.get(place, rest), index=index) for place, index in enumerate(request.covers)]


def byte_count(value: object) -> int:
    """Count the bytes of a value in JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return len(text.encode("utf-8", "surrogatepass"))


# People to be erased


def groups_of(ids: Sequence[Sequence[str]], most: int) -> Iterable[tuple[tuple[int, ...], list[str]]]:
    """Group people by the number of their ids that one request may hold; who has none stands in no group."""
    covers: list[int] = []
    together: list[str] = []
    for index, own in enumerate(ids):
        if own and together and len(together) + len(own) > most:
            yield tuple(covers), together
            covers, together = [], []
        if own:
            covers.append(index)
            together = [*together, *own]
    if covers:
        yield tuple(covers), together


def unknown_people(ids: Sequence[Sequence[str]]) -> list[ItemOutcome]:
    """Say of people without an id of the vendor's kind that there is nothing to erase them by."""
    said = "This person has no id that the vendor could know."
    return [ItemOutcome(index, Outcome.FILTERED, 0, "no_identifier", said) for index, own in enumerate(ids) if not own]


def ids_of(person: Identifiers) -> list[str]:
    """Give the ids that events carry: the user's first."""
    return [*([person.user_id] if person.user_id else []), *person.anonymous_ids]


def forgotten(request: RequestSpec, response: Response) -> list[ItemOutcome] | None:
    """Give the outcome of a deletion of what was not there: that is as good as deleted."""
    if response.error is None and response.status == 404:
        return [ItemOutcome(index, Outcome.DELIVERED, 404) for index in request.covers]
    return None


def never_known(index: int, *asked_by: object) -> ItemOutcome:
    """Say of somebody whom the vendor was asked about in vain that nothing is there to erase: it is as good as done."""
    if any(asked_by):
        return ItemOutcome(index, Outcome.DELIVERED, 0, "not_found", "The vendor knows nobody by these ids.")
    return replace(unknown_people([()])[0], index=index)
