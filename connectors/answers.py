"""Reading what a vendor answers without trusting it, and saying what that means for the events of the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from connectors.http import (
    ItemOutcome,
    Outcome,
    RequestSpec,
    Response,
    Scope,
    Verdict,
    interpret,
    retry_after_of,
)

LONGEST_WORDS = 300


def parsed(response: Response) -> object:
    """Give the body as JSON, or None where it is none."""
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None


def member(value: object, *keys: str | int) -> object:
    """Follow keys and indexes; None as soon as one leads nowhere."""
    for key in keys:
        if isinstance(key, str) and isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list) and -len(value) <= key < len(value):
            value = value[key]
        else:
            return None
    return value


def members(value: object, *keys: str | int) -> list[Mapping[str, object]]:
    """Give the objects of the list at this place; anything else there counts as nothing."""
    found = member(value, *keys)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def object_of(value: object) -> Mapping[str, object]:
    """Give the object that was hoped for, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: object) -> Sequence[object]:
    """Give the list that was hoped for, or an empty one."""
    return value if isinstance(value, list) else ()


def words(value: object) -> str:
    """Give a text or number of an answer as text, cut to a length that can be shown; anything else as nothing."""
    if isinstance(value, str):
        return value[:LONGEST_WORDS]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def index_of(value: object, count: int) -> int | None:
    """Give a position within the request, where the answer names one that exists."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    is_one = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
    return value if is_one else None  # type: ignore[return-value]


def places_in(value: object, count: int) -> Iterable[int]:
    """Give the places of a list that lie within the request."""
    return (place for place in list_of(value) if type(place) is int and 0 <= place < count)


def verdict(outcome: Outcome, reason: str, advice: str, scope: Scope | None = None) -> Verdict:
    """Give a row of a vendor's own table; who waits follows from the outcome unless it is said."""
    whole = outcome in (Outcome.THROTTLED, Outcome.UNAUTHORIZED, Outcome.DISABLED)
    return Verdict(outcome, reason, advice, scope or (Scope.DESTINATION if whole else Scope.EVENT))


def item(index: int, response: Response, found: Verdict, said: str = "") -> ItemOutcome:
    """Say what a row of the table means for one event; `said` are the vendor's own words."""
    message = f"{response.status}: {found.advice}" + (f" ({said[:LONGEST_WORDS]})" if said else "")
    wait = retry_after_of(response, found.outcome)
    return ItemOutcome(index, found.outcome, response.status, found.reason, message, wait, found.scope)


def for_all(request: RequestSpec, response: Response, found: Verdict, said: str = "") -> list[ItemOutcome]:
    """Say it of every event of the request."""
    return [item(index, response, found, said) for index in request.covers]


def delivered(request: RequestSpec, response: Response, remote_id: str | None = None) -> list[ItemOutcome]:
    """Every event of the request has arrived."""
    return [ItemOutcome(index, Outcome.DELIVERED, response.status, remote_id=remote_id) for index in request.covers]


def pending(request: RequestSpec, response: Response, job_id: str) -> list[ItemOutcome]:
    """The vendor took the request as a job of this id."""
    return [ItemOutcome(index, Outcome.PENDING, response.status, remote_id=job_id) for index in request.covers]


def partial(
    request: RequestSpec, response: Response, failed: Mapping[int, tuple[Verdict, str]], others: Verdict | None = None
) -> list[ItemOutcome]:
    """Those at the positions named have failed; the others have arrived, or share one fate of their own."""
    outcomes = []
    for position, index in enumerate(request.covers):
        if position in failed:
            outcomes.append(item(index, response, *failed[position]))
        elif others is not None:
            outcomes.append(item(index, response, others))
        else:
            outcomes.append(ItemOutcome(index, Outcome.DELIVERED, response.status))
    return outcomes


def with_words(request: RequestSpec, response: Response, said: str) -> list[ItemOutcome]:
    """Judge by the common table, and add the vendor's own words to what the owner reads."""
    return [
        replace(one, message=f"{one.message} ({said[:LONGEST_WORDS]})") if said and one.message else one
        for one in interpret(request, response)
    ]


def warned(outcomes: Iterable[ItemOutcome], *warnings: str) -> list[ItemOutcome]:
    """Add warnings to what has arrived."""
    return [
        replace(one, warnings=(*one.warnings, *warnings)) if one.outcome is Outcome.DELIVERED else one
        for one in outcomes
    ]


def listed(
    *place: str, value: str, label: str, following: tuple[str, ...] = ()
) -> Callable[[RequestSpec, Response], tuple[list[tuple[str, str]], str]]:
    """Make the `read` of `Choices`: the objects at this place, by two of their keys, and the mark of the next page."""

    def read(request: RequestSpec, response: Response) -> tuple[list[tuple[str, str]], str]:
        answer = parsed(response)
        found = [(words(one.get(value)), words(one.get(label))) for one in members(answer, *place)]
        return [(each, shown or each) for each, shown in found if each], words(
            member(answer, *following)
        ) if following else ""

    return read


def found_at(*place: str | int) -> Callable[[RequestSpec, Response], str | None]:
    """Make the `read` of a look-up: the id at this place of a success, else None."""

    def read(request: RequestSpec, response: Response) -> str | None:
        return words(member(parsed(response), *place)) or None if 200 <= response.status < 300 else None

    return read
