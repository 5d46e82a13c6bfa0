"""Writing the audit trail: who, what, when, from where, and the state before and after.

Only what changed is kept of an update. Rows describe themselves by the fields named here, and a field that is not
named is not written down, so a secret cannot reach the trail by being forgotten.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from typing import Any

from django.db import models

from tenants.models import (
    AuditEntry,
    Connection,
    Destination,
    DestinationFilter,
    Mapping,
    Member,
    OAuthApp,
    OAuthKey,
    OAuthToken,
    Source,
    SourceToggle,
    User,
    Workspace,
    WriteKey,
)

FIELDS: dict[type[models.Model], tuple[str, ...]] = {
    Workspace: ("slug", "name", "is_locked", "rate_limit", "dedupe_hours", "retention_days"),
    Member: ("role", "scope", "can_see_personal_data"),
    User: ("email", "name", "is_active", "is_staff", "is_superuser"),
    Source: (
        *("slug", "name", "kind", "is_enabled", "settings", "rate_limit", "labels", "deleted_at"),
        *("oauth_app_slug", "oauth_required", "connector"),
    ),
    WriteKey: ("prefix", "last4", "is_public", "rate_limit", "expires_at", "revoked_at"),
    OAuthApp: ("slug", "name", "client_id", "token_days", "scopes", "is_enabled", "deleted_at"),
    OAuthKey: ("kid", "algorithm", "revoked_at"),
    OAuthToken: ("last4", "scope", "expires_at", "revoked_at"),
    Destination: (
        *("slug", "name", "connector", "is_enabled", "ordering", "past_cap", "shards", "retry_hours", "rate_limit"),
        *("status", "status_reason", "deleted_at"),
    ),
    Mapping: ("name", "action", "trigger", "fields", "batch", "position", "is_enabled", "version"),
    DestinationFilter: (
        *("name", "source_slug", "condition", "action", "percent", "path", "fields"),
        *("position", "is_enabled", "version"),
    ),
    SourceToggle: ("call", "event_name", "paths", "is_enabled"),
    Connection: ("is_enabled",),
}
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: a user, or a part of the system that is named by its label."""

    user: User | None = None
    label: str = ""
    ip: str | None = None
    request_id: str = ""

    @property
    def name(self) -> str:
        return self.label or (self.user.email if self.user else "system")


SYSTEM = Actor(label="system")


def state_of(row: models.Model) -> State:
    """The row as the trail may show it."""
    state = {name: _plain(getattr(row, name)) for name in FIELDS[type(row)]}
    if isinstance(row, Destination):
        state["settings"] = row.masked_settings()
    elif isinstance(row, Source) and row.connector:
        state["connector_settings"] = row.masked_settings()
    return state


def record(
    actor: Actor,
    action: str,
    row: models.Model,
    *,
    label: str,
    before: State | None = None,
    after: State | None = None,
    notes: ReadOnly[str, object] | None = None,
) -> None:
    """Add one entry. With both states only the differences are kept; `notes` go into the later one."""
    if before is not None and after is not None:
        before, after = _differences(before, after)
    AuditEntry.unscoped.create(
        workspace_id=_workspace_of(row),
        actor=actor.user,
        actor_label=actor.name[:254],
        action=action,
        object_type=row._meta.model_name or "",
        object_id=str(row.pk),
        object_label=label[:254],
        before=before,
        after={**(after or {}), **notes} if notes else after,
        ip=actor.ip,
        request_id=actor.request_id[:100],
    )


def _differences(before: State, after: State) -> tuple[State, State]:
    changed = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}


def _workspace_of(row: models.Model) -> uuid.UUID | None:
    return row.pk if isinstance(row, Workspace) else getattr(row, "workspace_id", None)


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
