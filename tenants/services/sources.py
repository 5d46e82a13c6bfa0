"""Sources: where data comes from. Those that take a vendor's webhooks have a connector, with settings of its own."""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from hub.lib.clock import now
from tenants.auditing import Actor
from tenants.errors import Invalid, Taken
from tenants.models import Connection, Source, Workspace
from tenants.models.source import SourceKind, default_source_settings
from tenants.services import rows
from tenants.services.connections import set_connection_enabled
from tenants.services.source_settings import changed_columns, new_columns, source_connector
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
    connector: str = "",
    connector_settings: ReadOnly[str, object] | None = None,
) -> CreatedSource:
    """Make a source with the write keys that its owner brings, or with a new one when None are given.

    With a connector its key is the end of the address that the vendor calls, and opens nothing else.
    """
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
        connector=connector,
    )
    _set_up_connector(source, connector_settings or {})
    rows.create(source, actor, "source.created", label=slug)
    wanted = (None,) if write_keys is None else write_keys
    keys = tuple(add_write_key(source, given, actor=actor) for given in wanted)
    return CreatedSource(source, keys)


def _set_up_connector(source: Source, settings: ReadOnly[str, object]) -> None:
    if not source.connector:
        if settings:
            raise Invalid("connector_settings", "Only a source with a connector has settings of one.")
        return
    if source.kind != SourceKind.WEBHOOK:
        raise Invalid("connector", "Only sources of the kind webhook have a connector.")
    for column, value in new_columns(source, source_connector(source.connector), settings).items():
        setattr(source, column, value)


@transaction.atomic
def update_source(
    source: Source,
    *,
    actor: Actor,
    connector_settings: ReadOnly[str, object] | None = None,
    overlap: timedelta | None = None,
    **changes: Any,
) -> Source:
    """Change name, settings, rate limit or labels; settings that are not given stay.

    Of a connector's settings a blank secret is kept and None empties one. A secret that is replaced counts on for the
    connector's own overlap, or for the one given.
    """
    rows.require_known(changes, CHANGEABLE)
    rows.lock(source)
    if "settings" in changes:
        changes["settings"] = {**source.settings, **changes["settings"]}
    notes: dict[str, object] = {}
    if connector_settings:
        if not source.connector:
            raise Invalid("connector_settings", "Only a source with a connector has settings of one.")
        columns, replaced = changed_columns(source, source_connector(source.connector), connector_settings, overlap)
        changes |= columns
        notes = {"secrets_set": replaced} if replaced else {}
    rows.change(source, changes, actor, "source.updated", label=source.slug, notes=notes or None)
    return source


@transaction.atomic
def end_secret_overlap(source: Source, *, actor: Actor) -> Source:
    """Let replaced secrets count no more, from now on."""
    rows.lock(source)
    names = sorted(source.former_secrets)
    rows.change(
        source,
        {"former_secrets": {}},
        actor,
        "source.former_secrets_ended",
        label=source.slug,
        notes={"secrets_ended": names},
    )
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
    gone = {"deleted_at": now(), "is_enabled": False, "secrets": {}, "secret_hints": {}, "former_secrets": {}}
    rows.change(source, gone, actor, "source.deleted", label=source.slug)
