"""What is there already of the workspaces that a file names, read in a fixed number of queries."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from tenants.models import (
    Connection,
    Destination,
    DestinationFilter,
    Mapping,
    Member,
    OAuthApp,
    OAuthKey,
    Source,
    SourceToggle,
    User,
    Workspace,
    WriteKey,
)

Workspaces = dict[str, "Existing"]
ToggleKey = tuple[uuid.UUID, str, str]


@dataclass(slots=True)
class Existing:
    """One workspace by the names that files use."""

    workspace: Workspace
    members: dict[str, Member] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    oauth_apps: dict[str, OAuthApp] = field(default_factory=dict)
    oauth_keys: dict[uuid.UUID, dict[str, OAuthKey]] = field(default_factory=lambda: defaultdict(dict))
    keys: dict[uuid.UUID, list[WriteKey]] = field(default_factory=lambda: defaultdict(list))
    destinations: dict[str, Destination] = field(default_factory=dict)
    mappings: dict[uuid.UUID, dict[str, Mapping]] = field(default_factory=lambda: defaultdict(dict))
    filters: dict[uuid.UUID, dict[str, DestinationFilter]] = field(default_factory=lambda: defaultdict(dict))
    toggles: dict[uuid.UUID, dict[ToggleKey, SourceToggle]] = field(default_factory=lambda: defaultdict(dict))
    connections: dict[tuple[uuid.UUID, uuid.UUID], Connection] = field(default_factory=dict)


def load(slugs: Collection[str]) -> Workspaces:
    """The workspaces of these slugs; those that do not exist are left out."""
    found = {row.pk: Existing(row) for row in Workspace.objects.filter(slug__in=slugs)}
    for member in Member.unscoped.filter(workspace__in=found).select_related("user"):
        found[member.workspace_id].members[member.user.email] = member
    for app in OAuthApp.unscoped.filter(workspace__in=found, deleted_at=None).order_by("slug"):
        found[app.workspace_id].oauth_apps[app.slug] = app
    for public in OAuthKey.unscoped.filter(workspace__in=found).order_by("created_at", "id"):
        found[public.workspace_id].oauth_keys[public.app_id][public.kid] = public
    own = Source.unscoped.filter(workspace__in=found, deleted_at=None).select_related("oauth_app")
    for source in own.order_by("slug"):
        found[source.workspace_id].sources[source.slug] = source
    for key in WriteKey.unscoped.filter(workspace__in=found).select_related("source").order_by("created_at", "id"):
        found[key.workspace_id].keys[key.source_id].append(key)
    for destination in Destination.unscoped.filter(workspace__in=found, deleted_at=None).order_by("slug"):
        found[destination.workspace_id].destinations[destination.slug] = destination
    mappings = Mapping.unscoped.filter(workspace__in=found).select_related("destination")
    for mapping in mappings.order_by("position", "id"):
        found[mapping.workspace_id].mappings[mapping.destination_id][mapping.name] = mapping
    filters = DestinationFilter.unscoped.filter(workspace__in=found).select_related("destination", "source")
    for one in filters.order_by("position", "id"):
        found[one.workspace_id].filters[one.destination_id][one.name] = one
    toggles = SourceToggle.unscoped.filter(workspace__in=found).select_related("destination", "source")
    for toggle in toggles.order_by("source__slug", "call", "event_name"):
        key_of_it = (toggle.source_id, toggle.call, toggle.event_name)
        found[toggle.workspace_id].toggles[toggle.destination_id][key_of_it] = toggle
    for link in Connection.unscoped.filter(workspace__in=found).select_related("source", "destination"):
        found[link.workspace_id].connections[link.source_id, link.destination_id] = link
    return {existing.workspace.slug: existing for existing in found.values()}


def users_by_email(emails: Collection[str]) -> dict[str, User]:
    return {user.email: user for user in User.objects.filter(email__in=emails)}
