"""What the owner has set up about whole events, compiled: the toggles of sources and the filters of the destination.

Each is a check: it looks whether the event concerns it, and then stops the event, lets it pass, or gives a changed
copy to whatever comes after. The event itself is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Message = dict[str, object]
Matches = Callable[[Message], bool]
Gate = Literal[
    "subscribed",
    "still_on",
    "erased",
    "integrations",
    "toggle",
    "sample",
    "drop",
    "drop_properties",
    "allow_properties",
    "trigger",
]
Verdict = Literal["passed", "stopped", "changed", "not_concerned", "overruled", "not_reached"]

BY_RULES = "filtered_by_rules"
SAMPLED_OUT = "sampled_out"
INVALID_FILTER = "invalid_filter"
EVENT_SETTING = "event_setting"
REASONS = {
    BY_RULES: "A filter of the destination drops the event.",
    SAMPLED_OUT: "A filter of the destination sends a share of such events only, and this one is not in it.",
    INVALID_FILTER: "A filter of the destination cannot be read, so nothing passes it; mend or switch off the filter.",
    EVENT_SETTING: "Events of this name are switched off between their source and the destination.",
}
NAMED = ": "  # between a reason and the name of the rule that gave it


@dataclass(frozen=True, slots=True)
class Check:
    """One filter or toggle. Without `matches` it concerns every event; `act` gives the event that goes on, or None."""

    rule_id: UUID
    gate: Gate
    name: str
    reason: str
    act: Callable[[Message], Message | None]
    matches: Matches | None = None
    condition: str = ""
    gives_way: bool = False  # to an `integrations` object that names the destination
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one gate said of an event, for whoever asks why; `about` is the filter, toggle or mapping of the gate."""

    gate: Gate
    verdict: Verdict
    reason: str = ""
    rule_id: UUID | None = None
    name: str = ""
    condition: str = ""
    problem: str = ""
    before: Message = field(default_factory=dict)
    after: Message = field(default_factory=dict)


Checks = tuple[Check, ...]
Trail = list[Step]
Toggles = Mapping[tuple[str, str], Checks]


@dataclass(frozen=True, slots=True)
class Rules:
    """A destination's checks. Filters of one source stand among those of all sources, in the order they are asked."""

    toggles: Mapping[UUID, Toggles]
    filters: Mapping[UUID, Checks]
    general: Checks

    def apply(
        self, message: Message, source_id: UUID, names: frozenset[str], trail: Trail | None = None
    ) -> tuple[Message, str]:
        """The event as the mappings are to see it, and why it goes nowhere, or an empty string."""
        checks = self.filters.get(source_id, self.general)
        toggles = self.toggles.get(source_id)
        if toggles:
            concerned = _toggles_of(toggles, message)
            if concerned:
                if _is_named(names, message):
                    concerned = _firm(concerned, trail)
                checks = concerned + checks
        for check in checks:
            if check.matches is not None and not check.matches(message):
                if trail is not None:
                    trail.append(_step(check, "not_concerned", message, message))
                continue
            after = check.act(message)
            if trail is not None:
                trail.append(_told(check, message, after))
            if after is None:
                return message, check.reason
            message = after
        return message, ""


def code_of(reason: str) -> str:
    """A reason without the name of the rule that gave it."""
    return reason.partition(NAMED)[0]


def _toggles_of(toggles: Toggles, message: Message) -> Checks:
    """The toggles about all calls of the message's type, then those about its event."""
    call = message.get("type")
    if not isinstance(call, str):
        return ()
    name = message.get("event" if call == "track" else "name")
    found = toggles.get((call, ""), ())
    return found + toggles.get((call, name), ()) if isinstance(name, str) and name else found


def _is_named(names: frozenset[str], message: Message) -> bool:
    """Whether the event says itself what it wants of this destination."""
    integrations = message.get("integrations")
    return isinstance(integrations, dict) and not names.isdisjoint(integrations)


def _firm(checks: Checks, trail: Trail | None) -> Checks:
    """Those that hold whatever the event says of the destination."""
    if trail is not None:
        trail.extend(_step(check, "overruled", {}, {}) for check in checks if check.gives_way)
    return tuple(check for check in checks if not check.gives_way)


def _told(check: Check, before: Message, after: Message | None) -> Step:
    if after is None:
        return _step(check, "stopped", before, before, check.reason)
    return _step(check, "passed" if after is before else "changed", before, after)


def _step(check: Check, verdict: Verdict, before: Message, after: Message, reason: str = "") -> Step:
    return Step(check.gate, verdict, reason, check.rule_id, check.name, check.condition, check.problem, before, after)
