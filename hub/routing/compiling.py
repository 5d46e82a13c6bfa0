"""From stored filters and toggles to checks, once for many events.

A filter that cannot be read stops every event that it might have been about: what it was meant to hold back must not
get out because of a mistake in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from hub.expressions.errors import ExpressionError
from hub.expressions.fql import compile_text
from hub.routing import rules
from hub.routing.properties import allow_properties, drop_paths, drop_properties
from hub.routing.rules import NAMED, Check, Checks, Gate, Matches, Message, Rules
from hub.routing.sampling import sampler

ALL = "all"
ORDER: tuple[Gate, ...] = ("sample", "drop", "drop_properties", "allow_properties")
NAME_SHOWN = 64


@dataclass(frozen=True, slots=True)
class FilterRow:
    """A destination's filter as it is stored; without a source it is about all of them."""

    filter_id: UUID
    name: str
    source_id: UUID | None
    condition: str
    action: str
    percent: float | None = None
    path: str = ""
    fields: Mapping[str, Collection[str]] | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class ToggleRow:
    """What of a source's calls is kept from the destination: some paths, or without any the whole event."""

    toggle_id: UUID
    source_id: UUID
    call: str
    event_name: str = ""
    paths: Collection[str] | None = None


def compile_rules(filters: Iterable[FilterRow], toggles: Iterable[ToggleRow]) -> Rules | None:
    """All checks of a destination, or None when it has none. Rows are in the owner's order."""
    rows, switched = list(filters), _toggles(toggles)
    if not rows and not switched:
        return None
    checks = {row.filter_id: compile_check(row) for row in rows}
    sources = {row.source_id for row in rows if row.source_id is not None}
    return Rules(
        toggles=switched,
        filters={source_id: _in_order(rows, checks, {None, source_id}) for source_id in sources},
        general=_in_order(rows, checks, {None}),
    )


def compile_check(row: FilterRow) -> Check:
    """One filter; a broken one stops everything that it is about."""
    gate = next((gate for gate in ORDER if gate == row.action), None)
    try:
        if gate is None:
            return _broken(row, "drop", f"there is no action {row.action}")
        matches, act = compile_condition(row.condition), _act(gate, row)
    except (ExpressionError, TypeError, ValueError) as error:
        return _broken(row, gate or "drop", str(error))
    code = rules.SAMPLED_OUT if gate == "sample" else rules.BY_RULES
    return Check(row.filter_id, gate, row.name, _reason(code, row.name), act, matches, row.condition)


def compile_condition(text: str) -> Matches | None:
    """The condition as a function, None when it holds for every event. Raises ExpressionError."""
    return None if text.strip() == ALL else compile_text(text)


def _act(gate: Gate, row: FilterRow) -> Callable[[Message], Message | None]:
    if gate == "drop":
        return _stop
    if gate == "sample":
        keeps = sampler(float(row.percent if row.percent is not None else 0), row.path)
        return lambda message: message if keeps(message) else None
    return (drop_properties if gate == "drop_properties" else allow_properties)(row.fields or {})


def _stop(message: Message) -> None:
    return None


def _broken(row: FilterRow, gate: Gate, problem: str) -> Check:
    reason = _reason(rules.INVALID_FILTER, row.name)
    return Check(row.filter_id, gate, row.name, reason, _stop, None, row.condition, problem=problem)


def _in_order(rows: Iterable[FilterRow], checks: Mapping[UUID, Check], sources: set[UUID | None]) -> Checks:
    found = [checks[row.filter_id] for row in rows if row.source_id in sources]
    return tuple(sorted(found, key=lambda check: ORDER.index(check.gate)))


def _toggles(rows: Iterable[ToggleRow]) -> dict[UUID, dict[tuple[str, str], Checks]]:
    found: dict[UUID, dict[tuple[str, str], Checks]] = {}
    for row in rows:
        name = f"{row.call} {row.event_name}".strip()
        reason = _reason(rules.EVENT_SETTING, name)
        act = _stop if row.paths is None else drop_paths(row.paths)
        check = Check(row.toggle_id, "toggle", name, reason, act, gives_way=row.paths is None)
        of_source = found.setdefault(row.source_id, {})
        key = (row.call, row.event_name)
        of_source[key] = (*of_source.get(key, ()), check)
    return found


def _reason(code: str, name: str) -> str:
    return f"{code}{NAMED}{name[:NAME_SHOWN]}"
