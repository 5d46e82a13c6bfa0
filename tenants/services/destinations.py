"""Destinations: settings checked by the connector's fields, credentials sealed and never given back.

What is stored of a credential goes out again only to the worker that sends. A generated one (a webhook's signing
secret) is in clear in the answer to the call that made it, and never again.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from connectors import registry
from connectors.base import Connector
from connectors.errors import SettingsError, UnknownConnector
from connectors.settings import secrets_to_forget, validate_settings
from hub.lib.clock import now
from tenants import credentials
from tenants.auditing import Actor
from tenants.errors import Invalid, InvalidSettings, Taken
from tenants.models import Destination, Source, Workspace
from tenants.models.connection import SubscriptionKind
from tenants.scoping import require_same_workspace
from tenants.services import rows
from tenants.services.connections import connect_new_destination
from tenants.services.mappings import create_mapping
from tenants.subscriptions import close_interval, open_before_any_reader, open_interval

CHANGEABLE = frozenset({"name", "ordering", "past_cap", "shards", "retry_hours", "rate_limit"})


@dataclass(frozen=True, slots=True)
class DestinationChange:
    """A destination after its making or change; `generated` holds new secrets in clear, for this once."""

    destination: Destination
    generated: dict[str, str] = field(default_factory=dict, repr=False)
    forgotten: tuple[str, ...] = ()
    is_changed: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """Checked settings and how their secrets came to be; in clear, so it never leaves this module."""

    settings: dict[str, object]
    secrets: dict[str, object]
    generated: tuple[str, ...]
    forgotten: tuple[str, ...] = ()


@transaction.atomic
def create_destination(
    workspace: Workspace,
    slug: str,
    name: str,
    connector: str,
    *,
    settings: ReadOnly[str, object],
    sources: Sequence[Source] = (),
    mappings: Sequence[ReadOnly[str, Any]] | None = None,
    is_enabled: bool = True,
    actor: Actor,
    **options: Any,
) -> DestinationChange:
    """Make a destination, its connections and its mappings, those of the connector's presets when none are given.

    Connections made here and not later include the events that are being written at this very moment.
    """
    rows.require_known(options, CHANGEABLE)
    require_same_workspace(workspace, *sources)
    declared = connector_of(connector)
    if Destination.objects.for_workspace(workspace).filter(slug=slug, deleted_at=None).exists():
        raise Taken(f"There is a destination {slug} already.")
    proposal = _propose(declared, settings, stored={})
    options.setdefault("ordering", declared.ordering)
    destination = Destination(
        workspace=workspace, slug=slug, name=name, connector=connector, is_enabled=is_enabled, **options
    )
    for column, value in _columns(destination, proposal, kept={}).items():
        setattr(destination, column, value)
    rows.create(destination, actor, "destination.created", label=slug)
    if is_enabled:
        open_before_any_reader(workspace.pk, SubscriptionKind.DESTINATION, destination.pk)
    for source in sources:
        connect_new_destination(source, destination, actor=actor)
    for mapping in preset_mappings(declared) if mappings is None else mappings:
        create_mapping(destination, **mapping, actor=actor)
    return DestinationChange(destination, _in_clear(proposal))


@transaction.atomic
def update_destination(
    destination: Destination, *, settings: ReadOnly[str, object] | None = None, actor: Actor, **changes: Any
) -> DestinationChange:
    """Change name, options or settings. Settings that are not given stay, None empties one, a blank secret is kept.

    When the address changes, stored secrets are forgotten unless they are given anew in the same call.
    """
    rows.require_known(changes, CHANGEABLE)
    rows.lock(destination)
    proposal, notes = None, {}
    if settings:
        proposal, columns = _changed_settings(destination, settings)
        changes.update(columns)
        notes = _notes(destination, columns, proposal)
    is_changed = rows.change(
        destination, changes, actor, "destination.updated", label=destination.slug, notes=notes or None
    )
    generated = _in_clear(proposal) if proposal else {}
    return DestinationChange(destination, generated, proposal.forgotten if proposal else (), is_changed)


@transaction.atomic
def set_destination_enabled(destination: Destination, is_enabled: bool, *, actor: Actor) -> Destination:
    """Switch a destination on or off, from this position of the log; off, what still waits ends as filtered."""
    rows.lock(destination)
    action = "destination.enabled" if is_enabled else "destination.disabled"
    if rows.change(destination, {"is_enabled": is_enabled}, actor, action, label=destination.slug):
        move = open_interval if is_enabled else close_interval
        move(destination.workspace_id, SubscriptionKind.DESTINATION, destination.pk)
    return destination


@transaction.atomic
def delete_destination(destination: Destination, *, actor: Actor) -> None:
    """Delete a destination and its credentials; its row stays, for deliveries and the books name it."""
    rows.lock(destination)
    gone = {"deleted_at": now(), "is_enabled": False, "secrets": {}, "secret_hints": {}}
    rows.change(destination, gone, actor, "destination.deleted", label=destination.slug)
    close_interval(destination.workspace_id, SubscriptionKind.DESTINATION, destination.pk)


def connector_of(slug: str) -> Connector:
    """The connector of this name, or the refusal of it."""
    try:
        return registry.get(slug)
    except UnknownConnector as error:
        raise Invalid("connector", f"There is no connector {slug}.", "unknown_connector") from error


def preset_mappings(connector: Connector) -> list[dict[str, Any]]:
    """The mappings that a new destination starts with."""
    return [
        {"name": preset.name, "action": preset.action, "trigger": preset.trigger, "fields": dict(preset.fields)}
        for preset in connector.presets
    ]


def require_settings(connector: Connector, settings: ReadOnly[str, object]) -> dict[str, object]:
    """The settings cleaned, or the refusal with a problem for each of them."""
    try:
        return validate_settings(connector, settings)
    except SettingsError as error:
        raise InvalidSettings(error.problems) from error


def secret_names(connector: Connector) -> frozenset[str]:
    return frozenset(one.key for one in connector.settings if one.secret)


def proposed_settings(
    connector: Connector, current: ReadOnly[str, object], patch: ReadOnly[str, object], stored: ReadOnly[str, object]
) -> tuple[dict[str, object], tuple[str, ...]]:
    """All settings after a change, and which stored secrets the change makes void."""
    hidden = secret_names(connector)
    given = {key: value for key, value in patch.items() if key not in hidden or not _is_blank(value)}
    merged = {key: value for key, value in {**current, **stored, **given}.items() if value is not None}
    cleaned = require_settings(connector, merged)
    void = [key for key in secrets_to_forget(connector, current, cleaned) if key in stored and key not in given]
    return {key: value for key, value in merged.items() if key not in void}, tuple(void)


def _changed_settings(destination: Destination, patch: ReadOnly[str, object]) -> tuple[Proposal, dict[str, object]]:
    connector = connector_of(destination.connector)
    stored = credentials.open_all(destination.workspace_id, destination.pk, destination.secrets)
    merged, void = proposed_settings(connector, destination.settings, patch, stored)
    kept = {key: value for key, value in stored.items() if key not in void}
    proposal = _propose(connector, merged, stored=kept, forgotten=void)
    return proposal, _columns(destination, proposal, kept=kept)


def _propose(
    connector: Connector,
    settings: ReadOnly[str, object],
    *,
    stored: ReadOnly[str, object],
    forgotten: tuple[str, ...] = (),
) -> Proposal:
    cleaned = require_settings(connector, settings)
    hidden = secret_names(connector)
    secrets = {key: value for key, value in cleaned.items() if key in hidden}
    generated = tuple(key for key in secrets if _is_blank(settings.get(key)) and key not in stored)
    return Proposal({key: value for key, value in cleaned.items() if key not in hidden}, secrets, generated, forgotten)


def _columns(destination: Destination, proposal: Proposal, *, kept: ReadOnly[str, object]) -> dict[str, object]:
    """The row's columns; a secret that stays the same keeps its ciphertext, so that nothing seems changed."""
    sealed = {
        key: destination.secrets[key]
        if key in kept and kept[key] == value
        else credentials.seal(destination.workspace_id, destination.pk, key, value)
        for key, value in proposal.secrets.items()
    }
    hints = {key: credentials.hint(value) for key, value in proposal.secrets.items()}
    return {"settings": proposal.settings, "secrets": sealed, "secret_hints": hints}


def _notes(destination: Destination, columns: ReadOnly[str, Any], proposal: Proposal) -> dict[str, object]:
    """What the trail says of secrets: which ones are new and which were cleared, never their values."""
    replaced = [key for key, text in columns["secrets"].items() if destination.secrets.get(key) != text]
    notes = {"secrets_set": sorted(replaced), "secrets_cleared_by_new_address": sorted(proposal.forgotten)}
    return {name: names for name, names in notes.items() if names}


def _in_clear(proposal: Proposal) -> dict[str, str]:
    return {key: str(proposal.secrets[key]) for key in proposal.generated}


def _is_blank(value: object) -> bool:
    return value is None or value == "" or value == {}
