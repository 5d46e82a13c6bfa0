"""Filters of a destination: checked when they are saved, every version kept, any of them brought back as the newest."""

from __future__ import annotations

import uuid
from collections.abc import Mapping as ReadOnly
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from tenants.auditing import Actor
from tenants.errors import Invalid
from tenants.models import Destination, DestinationFilter, FilterVersion, Source
from tenants.models.filter import FilterAction
from tenants.scoping import require_same_workspace
from tenants.services import arranging, rows, versions
from tenants.services.conditions import require_condition, require_fields, require_path

MOST_FILTERS = 50
CONTENT = frozenset({"name", "source_id", "condition", "action", "percent", "path", "fields"})
CHANGEABLE = frozenset({"name", "source", "condition", "action", "percent", "path", "fields", "position"})
PROPERTIES = (FilterAction.DROP_PROPERTIES, FilterAction.ALLOW_PROPERTIES)


@transaction.atomic
def create_filter(
    destination: Destination,
    *,
    name: str,
    condition: str,
    action: str,
    source: Source | None = None,
    percent: float | None = None,
    path: str = "",
    fields: dict[str, object] | None = None,
    is_enabled: bool = True,
    actor: Actor,
) -> DestinationFilter:
    """Add a filter after the destination's others."""
    rows.lock(destination)
    if source is not None:
        require_same_workspace(destination.workspace_id, source)
    others = _filters_of(destination.workspace_id, destination.pk)
    made = DestinationFilter(
        workspace_id=destination.workspace_id,
        destination=destination,
        source=source,
        name=name,
        condition=condition,
        action=action,
        percent=percent,
        path=path,
        fields=fields,
        position=arranging.place_after(others, name, "filter", MOST_FILTERS),
        is_enabled=is_enabled,
    )
    require_meaningful_filter(filter_content(made))
    rows.create(made, actor, "filter.created", label=_label(made))
    _keep_version(made, actor)
    return made


@transaction.atomic
def update_filter(filter: DestinationFilter, *, actor: Actor, **changes: Any) -> DestinationFilter:
    """Change a filter; when what it does has changed, that is its next version."""
    rows.require_known(changes, CHANGEABLE)
    rows.lock(filter)
    if "source" in changes:
        source = changes.pop("source")
        if source is not None:
            require_same_workspace(filter.workspace_id, source)
        changes["source_id"] = source.pk if source is not None else None
    return _change(filter, changes, actor, "filter.updated")


@transaction.atomic
def restore_filter(filter: DestinationFilter, version: int, *, actor: Actor) -> DestinationFilter:
    """Make the filter what it was in an earlier version; that is its next version."""
    rows.lock(filter)
    known = FilterVersion.objects.for_workspace(filter.workspace_id).filter(filter=filter)
    content = versions.to_restore(known, version, filter_content(filter), "filter")
    return _change(filter, content, actor, "filter.restored", {"restored_version": version})


@transaction.atomic
def set_filter_enabled(filter: DestinationFilter, is_enabled: bool, *, actor: Actor) -> DestinationFilter:
    """Switch a filter on or off; it acts on whatever is sent from then on, also on what waits already."""
    rows.lock(filter)
    action = "filter.enabled" if is_enabled else "filter.disabled"
    rows.change(filter, {"is_enabled": is_enabled}, actor, action, label=_label(filter))
    return filter


@transaction.atomic
def move_filter(filter: DestinationFilter, places: int, *, actor: Actor) -> bool:
    """Move a filter among its destination's; those of one action are asked in this order."""
    rows.lock(filter.destination)
    rows.lock(filter)
    ordered = list(_filters_of(filter.workspace_id, filter.destination_id).order_by("position", "id"))
    return arranging.move(filter, ordered, places, actor, "filter.moved", _label(filter))


def filter_content(filter: DestinationFilter) -> dict[str, Any]:
    """What a version of a filter consists of."""
    return versions.content_of(filter, CONTENT)


def require_meaningful_filter(content: ReadOnly[str, Any]) -> None:
    """Refuse a condition that cannot be read, and an action without what it needs or with what it does not take."""
    require_condition(content["condition"])
    action, percent, fields = content["action"], content["percent"], content["fields"]
    if action not in FilterAction.values:
        raise Invalid("action", f"An action is one of {', '.join(FilterAction.values)}.", "unknown_action")
    if action == FilterAction.SAMPLE:
        _require_share(percent)
        if content["path"]:
            require_path("path", content["path"])
    elif percent is not None or content["path"]:
        raise Invalid("percent", "Only a sample has a percent and a path.", "not_a_sample")
    if action in PROPERTIES:
        require_fields(fields, is_dropped=action == FilterAction.DROP_PROPERTIES)
    elif fields is not None:
        raise Invalid("fields", "Only drop_properties and allow_properties have fields.", "no_fields")


def _require_share(percent: object) -> None:
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 1:
        raise Invalid("percent", "percent is a share from 0 to 1: 0.1 sends a tenth.", "invalid_percent")


def _change(
    filter: DestinationFilter,
    changes: dict[str, Any],
    actor: Actor,
    action: str,
    notes: dict[str, object] | None = None,
) -> DestinationFilter:
    before = filter_content(filter)
    content = {**before, **{name: value for name, value in changes.items() if name in CONTENT}}
    if content != before:
        require_meaningful_filter(content)
        others = _filters_of(filter.workspace_id, filter.destination_id).exclude(pk=filter.pk)
        arranging.require_free_name(others, content["name"], "filter")
        changes = {**changes, "version": filter.version + 1}
    rows.change(filter, changes, actor, action, label=_label(filter), notes=notes)
    if content != before:
        _keep_version(filter, actor)
    return filter


def _filters_of(workspace_id: uuid.UUID, destination_id: uuid.UUID) -> QuerySet[DestinationFilter]:
    return DestinationFilter.objects.for_workspace(workspace_id).filter(destination_id=destination_id)


def _keep_version(filter: DestinationFilter, actor: Actor) -> None:
    FilterVersion.unscoped.create(
        workspace_id=filter.workspace_id,
        filter=filter,
        version=filter.version,
        created_by=actor.user,
        **filter_content(filter),
    )


def _label(filter: DestinationFilter) -> str:
    return f"{filter.destination.slug}: {filter.name}"
