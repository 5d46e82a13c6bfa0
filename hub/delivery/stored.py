"""A destination's rows as they are stored, read by one statement, and what routing makes of them: routes and checks.

No credential is opened for that, so whoever only asks where an event goes needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection as PgConnection

from connectors.base import ALL_CALLS
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import compile_filter, read_fql
from hub.lib.postgres import Row
from hub.routing.compiling import FilterRow, ToggleRow, compile_rules
from hub.routing.decide import Route
from hub.routing.rules import Rules

STORED = """
SELECT d.name, d.connector, d.settings, d.secrets, d.is_enabled, d.deleted_at IS NOT NULL, d.ordering, d.retry_hours,
       d.rate_limit, d.status, d.shards, d.past_cap,
       coalesce((SELECT json_agg(json_build_object('id', m.id, 'name', m.name, 'action', m.action,
                                                   'trigger', m.trigger, 'fields', m.fields, 'version', m.version,
                                                   'batch', m.batch)
                                 ORDER BY m.position, m.id)
                 FROM tenants_mapping m
                 WHERE m.workspace_id = d.workspace_id AND m.destination_id = d.id AND m.is_enabled), '[]'),
       coalesce((SELECT json_agg(json_build_object('filter_id', f.id, 'name', f.name, 'source_id', f.source_id,
                                                   'condition', f.condition, 'action', f.action, 'percent', f.percent,
                                                   'path', f.path, 'fields', f.fields, 'version', f.version)
                                 ORDER BY f.position, f.id)
                 FROM tenants_destinationfilter f
                 WHERE f.workspace_id = d.workspace_id AND f.destination_id = d.id AND f.is_enabled), '[]'),
       coalesce((SELECT json_agg(json_build_object('toggle_id', t.id, 'source_id', t.source_id, 'call', t.call,
                                                   'event_name', t.event_name, 'paths', t.paths) ORDER BY t.id)
                 FROM tenants_sourcetoggle t
                 WHERE t.workspace_id = d.workspace_id AND t.destination_id = d.id AND t.is_enabled), '[]')
FROM tenants_destination d
WHERE d.workspace_id = %(workspace)s AND d.id = %(destination)s
"""


class UnusableDestination(Exception):
    """The destination cannot be used as it is set up; the owner must act. The message is for the owner."""


class Stored(NamedTuple):
    """A destination's rows as they are stored, credentials sealed; equal rows compile to the same configuration."""

    name: str
    connector: str
    settings: dict[str, object]
    secrets: dict[str, str]
    is_enabled: bool
    is_deleted: bool
    ordering: str
    retry_hours: float
    rate_limit: dict[str, float] | None
    status: str
    shards: int
    past_cap: str
    mappings: list[dict[str, Any]]
    filters: list[dict[str, Any]]
    toggles: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """An enabled mapping as it is stored."""

    mapping_id: UUID
    name: str
    action: str
    trigger: str
    fields: dict[str, Any]
    version: int
    batch: dict[str, Any] | None = None


def read_stored(connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID) -> Stored:
    """The destination's rows as they are stored."""
    values = {"workspace": workspace_id, "destination": destination_id}
    return Stored._make(connection.execute(STORED, values).fetchall()[0])


def mappings_of(stored: Stored) -> list[StoredMapping]:
    """The enabled mappings, in the owner's order."""
    return [StoredMapping(UUID(each.pop("id")), **each) for each in map(dict, stored.mappings)]


def route_of(mapping: StoredMapping) -> Route:
    """When the mapping applies. A trigger that cannot be read is told to the owner, not taken to match nothing."""
    takes_all = not mapping.trigger.strip() or mapping.trigger == ALL_CALLS
    try:
        matches = None if takes_all else compile_filter(read_fql(mapping.trigger))
    except ExpressionError as error:
        raise UnusableDestination(f"The trigger of the mapping {mapping.name!r} cannot be read: {error}") from error
    return Route(mapping.mapping_id, matches, mapping.name, mapping.trigger)


def checks_of(stored: Stored) -> Rules | None:
    """The destination's filters and its sources' toggles, compiled; None when there are none."""
    filters = [
        FilterRow(**{**each, "filter_id": UUID(each["filter_id"]), "source_id": _uuid_or_none(each["source_id"])})
        for each in stored.filters
    ]
    toggles = [
        ToggleRow(**{**each, "toggle_id": UUID(each["toggle_id"]), "source_id": UUID(each["source_id"])})
        for each in stored.toggles
    ]
    return compile_rules(filters, toggles)


def _uuid_or_none(text: str | None) -> UUID | None:
    return UUID(text) if text else None
