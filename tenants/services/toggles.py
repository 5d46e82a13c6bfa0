"""Toggles: which events, or properties of events, of a source do not go to a destination."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from tenants.auditing import Actor
from tenants.errors import Invalid, Taken
from tenants.models import Destination, Source, SourceToggle
from tenants.models.filter import Call
from tenants.scoping import require_same_workspace
from tenants.services import rows
from tenants.services.conditions import require_property_paths

MOST_TOGGLES = 500
NAMED_CALLS = (Call.TRACK, Call.PAGE, Call.SCREEN)


@transaction.atomic
def create_toggle(
    source: Source,
    destination: Destination,
    *,
    call: str,
    event_name: str = "",
    paths: list[str] | None = None,
    is_enabled: bool = True,
    actor: Actor,
) -> SourceToggle:
    """Keep an event, or without a name every call of the type, from a destination; with paths only what they name."""
    require_same_workspace(destination.workspace_id, source)
    rows.lock(destination)
    known = SourceToggle.objects.for_workspace(destination.workspace_id).filter(destination=destination)
    if known.filter(source=source, call=call, event_name=event_name).exists():
        raise Taken(f"There is a toggle for {call} {event_name}".rstrip() + f" of {source.slug} already.")
    if known.count() >= MOST_TOGGLES:
        raise Invalid("event_name", f"A destination has at most {MOST_TOGGLES} toggles.", "too_many_toggles")
    toggle = SourceToggle(
        workspace_id=destination.workspace_id,
        source=source,
        destination=destination,
        call=call,
        event_name=event_name,
        paths=paths,
        is_enabled=is_enabled,
    )
    require_meaningful_toggle(call, event_name, paths)
    rows.create(toggle, actor, "toggle.created", label=_label(toggle))
    return toggle


@transaction.atomic
def update_toggle(toggle: SourceToggle, *, actor: Actor, **changes: Any) -> SourceToggle:
    """Change what is taken out of the event; None keeps the whole of it back."""
    rows.require_known(changes, frozenset({"paths"}))
    rows.lock(toggle)
    require_meaningful_toggle(toggle.call, toggle.event_name, changes.get("paths", toggle.paths))
    rows.change(toggle, changes, actor, "toggle.updated", label=_label(toggle))
    return toggle


@transaction.atomic
def set_toggle_enabled(toggle: SourceToggle, is_enabled: bool, *, actor: Actor) -> SourceToggle:
    """Put a toggle in force, or let the events through again."""
    rows.lock(toggle)
    action = "toggle.enabled" if is_enabled else "toggle.disabled"
    rows.change(toggle, {"is_enabled": is_enabled}, actor, action, label=_label(toggle))
    return toggle


def require_meaningful_toggle(call: str, event_name: str, paths: object) -> None:
    """Refuse a call that there is not, a name where calls have none, and paths that lead nowhere."""
    if call not in Call.values:
        raise Invalid("call", f"A call is one of {', '.join(Call.values)}.", "unknown_call")
    if event_name and call not in NAMED_CALLS:
        raise Invalid("event_name", f"Calls of type {call} have no name.", "no_name")
    if paths is not None:
        require_property_paths(paths)


def _label(toggle: SourceToggle) -> str:
    return f"{toggle.source.slug} to {toggle.destination.slug}: {toggle}"
