"""Writing a workspace as the YAML that `apply` reads. Secrets go out as references to environment variables, keys that
are only hashed as their digests, so the file may be kept beside code.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from hub.lib.clock import now
from tenants.manifest.existing import Existing, load
from tenants.manifest.references import reference
from tenants.models import (
    Destination,
    DestinationFilter,
    Mapping,
    Member,
    OAuthApp,
    Source,
    SourceToggle,
    Workspace,
    WriteKey,
)
from tenants.models.filter import FilterAction
from tenants.services.mappings import mapping_content

NOT_IN_VARIABLE = re.compile(r"[^A-Z0-9]+")
Entry = dict[str, Any]


def export(workspace: Workspace) -> str:
    """The workspace as a file."""
    found = load([workspace.slug])[workspace.slug]
    return yaml.safe_dump({"workspaces": [_workspace(found)]}, sort_keys=False, allow_unicode=True, width=120)


def variable(*parts: str) -> str:
    """The name of the environment variable that holds a secret, such as ACME_HOOK_SIGNING_SECRET."""
    return NOT_IN_VARIABLE.sub("_", "_".join(parts).upper()).strip("_")


def _workspace(found: Existing) -> Entry:
    row = found.workspace
    limits = {name: getattr(row, name) for name in ("rate_limit", "dedupe_hours", "retention_days")}
    return {
        "slug": row.slug,
        "name": row.name,
        **{name: value for name, value in limits.items() if value is not None},
        "members": [_member(member) for _, member in sorted(found.members.items())],
        **({"oauth_apps": apps} if (apps := [_oauth_app(app, found) for app in found.oauth_apps.values()]) else {}),
        "sources": [_source(source, found.keys[source.pk], row.slug) for source in found.sources.values()],
        "destinations": [_destination(one, found) for one in found.destinations.values()],
    }


def _member(member: Member) -> Entry:
    entry: Entry = {"email": member.user.email, "role": member.role}
    if member.user.name:
        entry["name"] = member.user.name
    if member.scope is not None:
        entry["scope"] = member.scope
    if member.can_see_personal_data:
        entry["can_see_personal_data"] = True
    return entry


def _oauth_app(app: OAuthApp, found: Existing) -> Entry:
    keys = [key for key in found.oauth_keys[app.pk].values() if key.revoked_at is None]
    return {
        "slug": app.slug,
        "name": app.name,
        "client_id": app.client_id,
        "token_days": app.token_days,
        "scopes": app.scopes,
        "enabled": app.is_enabled,
        "public_keys": [{"kid": key.kid, "pem": key.public_key} for key in keys],
    }


def _source(source: Source, keys: list[WriteKey], slug: str) -> Entry:
    entry: Entry = {"slug": source.slug, "name": source.name, "kind": source.kind, "enabled": source.is_enabled}
    if source.connector:
        hidden = {name: reference(variable(slug, source.slug, name)) for name in source.secrets}
        entry |= {"connector": source.connector, "settings": {**source.connector_settings, **hidden}}
    else:
        entry["settings"] = source.settings
    if source.rate_limit is not None:
        entry["rate_limit"] = source.rate_limit
    if source.labels:
        entry["labels"] = source.labels
    if source.oauth_app is not None:
        entry |= {"oauth_app": source.oauth_app.slug, "oauth_required": source.oauth_required}
    entry["write_keys"] = [_write_key(key) for key in keys if key.is_live(now())]
    return entry


def _write_key(key: WriteKey) -> str | Entry:
    if key.value is not None:
        return key.value
    return {"sha256": key.digest, "last4": key.last4} if key.last4 else {"sha256": key.digest}


def _destination(destination: Destination, found: Existing) -> Entry:
    references = {
        name: reference(variable(found.workspace.slug, destination.slug, name)) for name in destination.secrets
    }
    slugs = {source.pk: slug for slug, source in found.sources.items()}
    connected = [source for (source, of), link in found.connections.items() if of == destination.pk and link.is_enabled]
    entry: Entry = {
        "slug": destination.slug,
        "connector": destination.connector,
        "name": destination.name,
        "settings": {**destination.settings, **references},
        "sources": sorted(slugs[source] for source in connected if source in slugs),
        "enabled": destination.is_enabled,
        "ordering": destination.ordering,
        "past_cap": destination.past_cap,
        "retry_hours": destination.retry_hours,
        "shards": destination.shards,
    }
    if destination.rate_limit is not None:
        entry["rate_limit"] = destination.rate_limit
    entry["mappings"] = [_mapping(mapping) for mapping in found.mappings[destination.pk].values()]
    entry["filters"] = [_filter(one) for one in found.filters[destination.pk].values() if _is_of_live(one.source)]
    toggles = [_toggle(one) for one in found.toggles[destination.pk].values() if _is_of_live(one.source)]
    return {**entry, "toggles": toggles} if toggles else entry


def _is_of_live(source: Source | None) -> bool:
    """Whether a rule can still be about something: with its deleted source left out it would be about all."""
    return source is None or source.deleted_at is None


def _filter(filter: DestinationFilter) -> Entry:
    entry: Entry = {"name": filter.name}
    if filter.source is not None:
        entry["source"] = filter.source.slug
    sample = {"percent": filter.percent, "path": filter.path} if filter.path else filter.percent
    told = {FilterAction.SAMPLE: sample, FilterAction.DROP: True}.get(FilterAction(filter.action), filter.fields)
    return {**entry, "if": filter.condition, filter.action: told, "enabled": filter.is_enabled}


def _toggle(toggle: SourceToggle) -> Entry:
    entry: Entry = {"source": toggle.source.slug, "type": toggle.call}
    if toggle.event_name:
        entry["event"] = toggle.event_name
    if toggle.paths is not None:
        entry["properties"] = toggle.paths
    return {**entry, "enabled": toggle.is_enabled}


def _mapping(mapping: Mapping) -> Entry:
    content = mapping_content(mapping)
    ordered = {name: content[name] for name in ("name", "action", "trigger", "fields")}
    if mapping.batch is not None:
        ordered["batch"] = mapping.batch
    return {**ordered, "enabled": mapping.is_enabled}
