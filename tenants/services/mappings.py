"""Mappings: checked when they are saved, and every version kept."""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from typing import Any

from django.db import transaction
from django.db.models import Max

from connectors import registry
from connectors.base import Action, Connector
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import read_fql
from hub.expressions.mappings import validate
from tenants.auditing import Actor
from tenants.errors import Invalid, Taken
from tenants.models import Destination, Mapping, MappingVersion
from tenants.services import rows

CONTENT = frozenset({"name", "action", "trigger", "fields", "batch"})
CHANGEABLE = CONTENT | {"position"}
BATCH_LIMITS = frozenset({"max_items", "max_bytes", "max_wait_s"})
DIRECTIVE_MARKS = ("@", "__")


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
    others = Mapping.objects.for_workspace(destination.workspace_id).filter(destination=destination)
    if others.filter(name=name).exists():
        raise Taken(f"There is a mapping {name} already.")
    last = others.aggregate(last=Max("position"))["last"]
    mapping = Mapping(
        workspace_id=destination.workspace_id,
        destination=destination,
        name=name,
        action=action,
        trigger=trigger,
        fields=fields,
        batch=batch,
        position=0 if last is None else last + 1,
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
    before = mapping_content(mapping)
    content = {**before, **{name: value for name, value in changes.items() if name in CONTENT}}
    if content != before:
        require_meaningful(registry.get(mapping.destination.connector), content)
        _require_free_name(mapping, content["name"])
        changes["version"] = mapping.version + 1
    rows.change(mapping, changes, actor, "mapping.updated", label=_label(mapping))
    if content != before:
        _keep_version(mapping, actor)
    return mapping


@transaction.atomic
def set_mapping_enabled(mapping: Mapping, is_enabled: bool, *, actor: Actor) -> Mapping:
    """Switch a mapping on or off."""
    rows.lock(mapping)
    action = "mapping.enabled" if is_enabled else "mapping.disabled"
    rows.change(mapping, {"is_enabled": is_enabled}, actor, action, label=_label(mapping))
    return mapping


def mapping_content(mapping: Mapping) -> dict[str, Any]:
    """What a version of a mapping consists of."""
    return {name: getattr(mapping, name) for name in CONTENT}


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
        raise Invalid("trigger", str(error), "invalid_trigger") from error
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
    if action.batch is None:
        raise Invalid("batch", f"{action.title} sends one event per call.", "no_batches")
    if not isinstance(batch, dict) or batch.keys() - BATCH_LIMITS:
        raise Invalid("batch", f"A batch has {', '.join(sorted(BATCH_LIMITS))}.", "invalid_batch")
    for name, value in batch.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise Invalid("batch", f"{name} must be a number above 0.", "invalid_batch")


def _require_free_name(mapping: Mapping, name: str) -> None:
    others = Mapping.objects.for_workspace(mapping.workspace_id).filter(destination_id=mapping.destination_id)
    if others.filter(name=name).exclude(pk=mapping.pk).exists():
        raise Taken(f"There is a mapping {name} already.")


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
