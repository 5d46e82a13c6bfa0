"""Sources: where data comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from hub.lib.clock import now
from tenants.auditing import Actor
from tenants.errors import Taken
from tenants.models import Connection, Source, Workspace
from tenants.models.source import default_source_settings
from tenants.services import rows
from tenants.services.connections import set_connection_enabled
from tenants.services.write_keys import GivenKey, IssuedKey, add_write_key

CHANGEABLE = frozenset({"name", "settings", "rate_limit", "labels"})


@dataclass(frozen=True, slots=True)
class CreatedSource:
    """A new source and its keys, in clear for this once."""

    source: Source
    keys: tuple[IssuedKey, ...]


@transaction.atomic
def create_source(
    workspace: Workspace,
    slug: str,
    name: str,
    kind: str,
    *,
    actor: Actor,
    settings: dict[str, Any] | None = None,
    rate_limit: int | None = None,
    labels: dict[str, str] | None = None,
    write_keys: Sequence[GivenKey] | None = None,
) -> CreatedSource:
    """Make a source with the write keys that its owner brings, or with a new one when None are given."""
    if Source.objects.for_workspace(workspace).filter(slug=slug, deleted_at=None).exists():
        raise Taken(f"There is a source {slug} already.")
    source = Source(
        workspace=workspace,
        slug=slug,
        name=name,
        kind=kind,
        settings={**default_source_settings(), **(settings or {})},
        rate_limit=rate_limit,
        labels=labels or {},
    )
    rows.create(source, actor, "source.created", label=slug)
    wanted = (None,) if write_keys is None else write_keys
    keys = tuple(add_write_key(source, given, actor=actor) for given in wanted)
    return CreatedSource(source, keys)


@transaction.atomic
def update_source(source: Source, *, actor: Actor, **changes: Any) -> Source:
    """Change name, settings, rate limit or labels; settings that are not given stay."""
    rows.require_known(changes, CHANGEABLE)
    rows.lock(source)
    if "settings" in changes:
        changes["settings"] = {**source.settings, **changes["settings"]}
    rows.change(source, changes, actor, "source.updated", label=source.slug)
    return source


@transaction.atomic
def set_source_enabled(source: Source, is_enabled: bool, *, actor: Actor) -> Source:
    """Switch a source on or off. Off, it accepts nothing; who is subscribed to it stays so."""
    rows.lock(source)
    action = "source.enabled" if is_enabled else "source.disabled"
    rows.change(source, {"is_enabled": is_enabled}, actor, action, label=source.slug)
    return source


@transaction.atomic
def delete_source(source: Source, *, actor: Actor) -> None:
    """Delete a source: its keys open nothing any more, its connections are switched off."""
    rows.lock(source)
    for connection in Connection.objects.for_workspace(source.workspace_id).filter(source=source, is_enabled=True):
        set_connection_enabled(connection, False, actor=actor)
    rows.change(source, {"deleted_at": now(), "is_enabled": False}, actor, "source.deleted", label=source.slug)
