"""Requests that carry many payloads: what can be sent goes together, answers that name the bad ones are taken apart.

Shared by the vendors that take an array of events, or of people to erase, and speak of them by their place in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from connectors.base import BuildContext, Identifiers, Payload
from connectors.http import SPLIT_REFUSED, ItemOutcome, Outcome, RequestSpec, Response

JsonObject = dict[str, object]
# Of a person who is to be erased so many e-mails are looked up, where each takes a call of its own.
MOST_EMAILS = 10
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


def rounds(names: Iterable[Collection[str]]) -> list[list[int]]:
    """Part payloads into calls, by the names of whom each is about: nobody comes twice in one, later comes later."""
    calls: list[list[int]] = []
    turns: dict[str, int] = {}
    for index, own in enumerate(names):
        turn = max((turns.get(name, 0) for name in own), default=0)
        if turn == len(calls):
            calls.append([])
        calls[turn].append(index)
        turns.update(dict.fromkeys(own, turn + 1))
    return calls


def found_in(context: BuildContext, index: int, key: str) -> object:
    """Give what a step has found for a payload, or None."""
    return context.found[index].get(key) if index < len(context.found) else None


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
    return [unknown_person(index) for index, own in enumerate(ids) if not own]


def unknown_person(index: int, said: str = "This person has no id that the vendor could know.") -> ItemOutcome:
    """Say it of one, in words that name the ids which the vendor knows."""
    return ItemOutcome(index, Outcome.FILTERED, 0, "no_identifier", said)


def ids_of(person: Identifiers) -> list[str]:
    """Give the ids that events carry: the user's first."""
    return [*([person.user_id] if person.user_id else []), *person.anonymous_ids]


def forgotten(request: RequestSpec, response: Response) -> list[ItemOutcome] | None:
    """Give the outcome of a deletion of what was not there: that is as good as deleted."""
    if response.error is None and response.status == 404:
        return [ItemOutcome(index, Outcome.DELIVERED, 404) for index in request.covers]
    return None


def ids_in(value: object) -> list[str]:
    """Give the ids of one kind that a look-up is told of a person: the list of a field of `Identifiers`, or nothing."""
    return [str(one) for one in value if one] if isinstance(value, list | tuple) else []


def too_many_emails(index: int) -> ItemOutcome:
    """Say of one with more e-mails than a vendor without a common search is asked about that some were left out."""
    said = f"Only the first {MOST_EMAILS} e-mails of this person were erased; ask for the others by themselves."
    return refuse(index, "too_many_emails", said)


def never_known(index: int, *asked_by: object) -> ItemOutcome:
    """Say of somebody whom the vendor was asked about in vain that nothing is there to erase: it is as good as done."""
    if any(asked_by):
        return ItemOutcome(index, Outcome.DELIVERED, 0, "not_found", "The vendor knows nobody by these ids.")
    return unknown_person(index)
