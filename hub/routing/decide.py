"""Decide whether an event goes to a destination, by which mappings, and if not, why.

The same call answers delivery and the page that explains why an event did not arrive: who asks why hands a trail in,
and finds in it what each gate has said. It writes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from hub.routing import rules
from hub.routing.rules import Matches, Message, Rules, Step, Trail, Verdict

DESTINATION_DELETED = "destination_deleted"
DESTINATION_OFF = "destination_off"
SOURCE_DISCONNECTED = "source_disconnected"
INTEGRATIONS_OBJECT = "filtered_by_integrations_object"
SENT_CLIENT_SIDE = "message_sent_client_side"
NO_MATCHING_MAPPING = "no_matching_mapping"
ERASED = "erased"
NOT_CHOSEN = "not_chosen"  # outside of a replay's filter: nothing is written about it
REASONS = {
    NOT_CHOSEN: "The event is none of those that the replay is about.",
    DESTINATION_DELETED: "The destination was deleted before the event's turn came.",
    DESTINATION_OFF: "The destination was switched off before the event's turn came.",
    SOURCE_DISCONNECTED: "The source was disconnected from the destination before the event's turn came.",
    INTEGRATIONS_OBJECT: "The event's own `integrations` object excludes this destination.",
    SENT_CLIENT_SIDE: "The browser had already sent this event to the destination itself.",
    NO_MATCHING_MAPPING: "No enabled mapping of the destination has a trigger that the event meets.",
    ERASED: "The person was erased; the event has no content any more.",
    **rules.REASONS,
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in which a destination or connection was on, as log positions; the end is open while it still is."""

    start: tuple[int, int]
    end: tuple[int, int] | None

    def holds(self, position: tuple[int, int]) -> bool:
        """Whether an event of this (epoch, xid) was accepted meanwhile."""
        return self.start <= position and (self.end is None or position < self.end)

    def reaches_beyond(self, position: tuple[int, int]) -> bool:
        """Whether it holds this position or a later one."""
        return self.end is None or position < self.end


@dataclass(frozen=True, slots=True)
class Link:
    """A source's connection to the destination: on or off now, and when it was on."""

    is_on: bool
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One enabled mapping as routing sees it: its id and the compiled trigger, None when it takes every event."""

    mapping_id: UUID
    matches: Matches | None
    name: str = ""
    trigger: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that routing must know of a destination, read once for many events."""

    is_on: bool
    is_deleted: bool
    names: frozenset[str]
    intervals: tuple[Interval, ...]
    links: Mapping[UUID, Link]
    routes: tuple[Route, ...]
    chosen: Matches | None = None
    rules: Rules | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Either the mappings that apply, or the reason why none does. `changed` is the event as the mappings see it, where
    filters or toggles have taken something out of it.
    """

    mapping_ids: tuple[UUID, ...] = ()
    reason: str = ""
    changed: Message | None = None


def is_eligible(plan: Plan, source_id: UUID, position: tuple[int, int]) -> bool:
    """Whether source and destination were both on when the event was accepted: only then it is the destination's."""
    link = plan.links.get(source_id)
    return (
        link is not None
        and any(interval.holds(position) for interval in link.intervals)
        and any(interval.holds(position) for interval in plan.intervals)
    )


def sources_after(plan: Plan, position: tuple[int, int]) -> frozenset[UUID]:
    """The sources of which an event behind this (epoch, xid) may be the destination's."""
    if not any(interval.reaches_beyond(position) for interval in plan.intervals):
        return frozenset()
    links = plan.links.items()
    return frozenset(source for source, link in links if any(each.reaches_beyond(position) for each in link.intervals))


def refusal_now(plan: Plan, source_id: UUID) -> str:
    """Why nothing of this source is sent any more, or an empty string."""
    if plan.is_deleted:
        return DESTINATION_DELETED
    if not plan.is_on:
        return DESTINATION_OFF
    link = plan.links.get(source_id)
    return "" if link is not None and link.is_on else SOURCE_DISCONNECTED


def decide(plan: Plan, message: Message, source_id: UUID, trail: Trail | None = None) -> Decision:
    """Which mappings apply to this message, for an event that is eligible and not refused now.

    1. What a replay is about. 2. The event's own `integrations` object. 3. The source's toggles for this destination,
    which give way to that object. 4. The destination's filters: samples, drops, properties dropped, properties allowed.
    5. The triggers of the mappings, which see what the filters have left.
    """
    if plan.chosen is not None and not plan.chosen(message):
        return Decision(reason=NOT_CHOSEN)
    reason = integrations_refusal(plan.names, message)
    if trail is not None:
        trail.append(Step("integrations", "stopped" if reason else "passed", reason))
    if reason:
        return Decision(reason=reason)
    seen = message
    if plan.rules is not None:
        seen, reason = plan.rules.apply(message, source_id, plan.names, trail)
        if reason:
            return Decision(reason=reason)
    matching = tuple(route.mapping_id for route in plan.routes if route.matches is None or route.matches(seen))
    if trail is not None:
        trail.extend(_of_mapping(route, route.mapping_id in matching, seen) for route in plan.routes)
    if not matching:
        return Decision(reason=NO_MATCHING_MAPPING)
    return Decision(matching) if seen is message else Decision(matching, changed=seen)


def _of_mapping(route: Route, matches: bool, seen: Message) -> Step:
    verdict: Verdict = "passed" if matches else "stopped"
    return Step("trigger", verdict, "", route.mapping_id, route.name, route.trigger, before=seen, after=seen)


def is_silent(body: str) -> bool:
    """Whether the JSON text of a message has nothing in it that `integrations_refusal` goes by; False when in doubt.

    The log holds what one serialiser wrote, which escapes no letters. SDKs send an empty `integrations` with each call.
    """
    return '"_metadata"' not in body and body.count('"integrations"') == body.count('"integrations":{}')


def integrations_refusal(names: frozenset[str], message: Message) -> str:
    """Why the event's own `integrations` object or the browser's report excludes a destination with these names.

    A name beats `All`, whose default is true; an object of options means yes. `all` in lower case is what one SDK
    writes. `_metadata.bundled` names what the browser has served itself.
    """
    metadata = message.get("_metadata")
    if isinstance(metadata, dict):
        bundled = metadata.get("bundled")
        if isinstance(bundled, Sequence) and not names.isdisjoint(name for name in bundled if isinstance(name, str)):
            return SENT_CLIENT_SIDE
    integrations = message.get("integrations")
    if not isinstance(integrations, dict):
        return ""
    named = [integrations[name] for name in names if name in integrations]
    if named:
        return INTEGRATIONS_OBJECT if all(value is False for value in named) else ""
    default = integrations.get("All", integrations.get("all", True))
    return INTEGRATIONS_OBJECT if default is False else ""
