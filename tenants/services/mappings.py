"""Mappings: checked when they are saved, every version kept, and any of them brought back as the newest."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping as ReadOnly
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from connectors import registry
from connectors.base import Action, BatchRule, Connector
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import read_fql
from hub.expressions.mappings import validate
from tenants.auditing import Actor
from tenants.errors import Invalid
from tenants.models import Destination, Mapping, MappingVersion
from tenants.services import arranging, rows, versions

MOST_MAPPINGS = 50
CONTENT = frozenset({"name", "action", "trigger", "fields", "batch"})
CHANGEABLE = CONTENT | {"position"}
BATCH_LIMITS = ("max_items", "max_bytes", "max_wait_s")
DIRECTIVE_MARKS = ("@", "__")
NAME_LENGTH = 200


@transaction.atomic
def create_mapping(
    destination: Destination,
    *,
    name: str,
    action: str,
    trigger: str,
    fields: dict[str, object],
    batch: dict[str, object] | None = None,
    is_enabled: bool = True,
    actor: Actor,
) -> Mapping:
    """Add a mapping after the destination's others."""
    rows.lock(destination)
    others = _mappings_of(destination.workspace_id, destination.pk)
    mapping = Mapping(
        workspace_id=destination.workspace_id,
        destination=destination,
        name=name,
        action=action,
        trigger=trigger,
        fields=fields,
        batch=batch,
        position=arranging.place_after(others, name, "mapping", MOST_MAPPINGS),
        is_enabled=is_enabled,
    )
    require_meaningful(registry.get(destination.connector), mapping_content(mapping))
    rows.create(mapping, actor, "mapping.created", label=_label(mapping))
    _keep_version(mapping, actor)
    return mapping


@transaction.atomic
def update_mapping(mapping: Mapping, *, actor: Actor, **changes: Any) -> Mapping:
    """Change a mapping; when what it does has changed, that is its next version."""
    rows.require_known(changes, CHANGEABLE)
    rows.lock(mapping)
    return _change(mapping, changes, actor, "mapping.updated")


@transaction.atomic
def restore_mapping(mapping: Mapping, version: int, *, actor: Actor) -> Mapping:
    """Make the mapping what it was in an earlier version; that is its next version."""
    rows.lock(mapping)
    known = MappingVersion.objects.for_workspace(mapping.workspace_id).filter(mapping=mapping)
    content = versions.to_restore(known, version, mapping_content(mapping), "mapping")
    return _change(mapping, content, actor, "mapping.restored", {"restored_version": version})


def _change(
    mapping: Mapping, changes: dict[str, Any], actor: Actor, action: str, notes: dict[str, object] | None = None
) -> Mapping:
    before = mapping_content(mapping)
    content = {**before, **{name: value for name, value in changes.items() if name in CONTENT}}
    if content != before:
        require_meaningful(registry.get(mapping.destination.connector), content)
        others = _mappings_of(mapping.workspace_id, mapping.destination_id).exclude(pk=mapping.pk)
        arranging.require_free_name(others, content["name"], "mapping")
        changes = {**changes, "version": mapping.version + 1}
    rows.change(mapping, changes, actor, action, label=_label(mapping), notes=notes)
    if content != before:
        _keep_version(mapping, actor)
    return mapping


@transaction.atomic
def duplicate_mapping(mapping: Mapping, *, actor: Actor) -> Mapping:
    """Add a copy under a name of its own, switched off, so that nothing is sent twice before it is changed."""
    rows.lock(mapping.destination)
    taken = set(_mappings_of(mapping.workspace_id, mapping.destination_id).values_list("name", flat=True))
    name = next(name for number in itertools.count(1) if (name := _copied(mapping.name, number)) not in taken)
    content = {**mapping_content(mapping), "name": name}
    return create_mapping(mapping.destination, **content, is_enabled=False, actor=actor)


def _copied(name: str, number: int) -> str:
    mark = " (copy)" if number == 1 else f" (copy {number})"
    return name[: NAME_LENGTH - len(mark)] + mark


@transaction.atomic
def move_mapping(mapping: Mapping, places: int, *, actor: Actor) -> bool:
    """Move a mapping among its destination's; they are asked, and sent, in this order."""
    rows.lock(mapping.destination)
    rows.lock(mapping)
    ordered = list(_mappings_of(mapping.workspace_id, mapping.destination_id).order_by("position", "id"))
    return arranging.move(mapping, ordered, places, actor, "mapping.moved", _label(mapping))


@transaction.atomic
def set_mapping_enabled(mapping: Mapping, is_enabled: bool, *, actor: Actor) -> Mapping:
    """Switch a mapping on or off."""
    rows.lock(mapping)
    action = "mapping.enabled" if is_enabled else "mapping.disabled"
    rows.change(mapping, {"is_enabled": is_enabled}, actor, action, label=_label(mapping))
    return mapping


def mapping_content(mapping: Mapping) -> dict[str, Any]:
    """What a version of a mapping consists of."""
    return versions.content_of(mapping, CONTENT)


def require_meaningful(connector: Connector, content: ReadOnly[str, Any]) -> None:
    """Refuse an action the connector lacks, a broken trigger, and templates that could never run."""
    try:
        action = connector.action(content["action"])
    except KeyError as error:
        known = ", ".join(one.key for one in connector.actions)
        raise Invalid("action", f"{connector.name} has no such action; it has {known}.", "unknown_action") from error
    try:
        read_fql(content["trigger"])
    except ExpressionError as error:
        raise Invalid("trigger", _sentences(error), "invalid_trigger") from error
    _require_fields(action, content["fields"])
    if content["batch"] is not None:
        _require_batch(action, content["batch"])


def _require_fields(action: Action, fields: object) -> None:
    if not isinstance(fields, dict):
        raise Invalid("fields", "Fields are an object of templates.", "invalid_fields")
    try:
        validate(fields)
    except ExpressionError as error:
        raise Invalid("fields", str(error), "invalid_fields") from error
    if any(key.startswith(DIRECTIVE_MARKS) for key in fields):
        return
    known = {field.key for field in action.fields}
    if unknown := fields.keys() - known:
        message = f"{action.title} has no field {sorted(unknown)[0]}; it has {', '.join(sorted(known))}."
        raise Invalid("fields", message, "unknown_field")


def _require_batch(action: Action, batch: object) -> None:
    rule = action.batch
    if rule is None:
        raise Invalid("batch", f"{action.title} sends one event per call.", "no_batches")
    if not isinstance(batch, dict) or batch.keys() - set(BATCH_LIMITS):
        raise Invalid("batch", f"A batch has {', '.join(BATCH_LIMITS)}.", "invalid_batch")
    for name, value in batch.items():
        _require_limit(action.title, rule, name, value)


def _require_limit(title: str, rule: BatchRule, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise Invalid("batch", f"{name} must be a number above 0.", "invalid_batch")
    if name != "max_wait_s" and not isinstance(value, int):
        raise Invalid("batch", f"{name} must be a whole number.", "invalid_batch")
    most = getattr(rule, name)
    if most and value > most:
        raise Invalid("batch", f"{name} of {title} is at most {most:g}.", "invalid_batch")


def _sentences(error: ExpressionError) -> str:
    """What is wrong, without the pointers: the sentences about a filter name the character themselves."""
    return "; ".join(problem.message for problem in error.problems)


def _mappings_of(workspace_id: uuid.UUID, destination_id: uuid.UUID) -> QuerySet[Mapping]:
    return Mapping.objects.for_workspace(workspace_id).filter(destination_id=destination_id)


def _keep_version(mapping: Mapping, actor: Actor) -> None:
    MappingVersion.unscoped.create(
        workspace_id=mapping.workspace_id,
        mapping=mapping,
        version=mapping.version,
        created_by=actor.user,
        **mapping_content(mapping),
    )


def _label(mapping: Mapping) -> str:
    return f"{mapping.destination.slug}: {mapping.name}"
