"""What a turn must know of its destination, read and compiled once: connector, settings, mappings, subscription.

Intervals and switches are looked at again after every read of the log: a change holds the horizon until it commits, so
what is read afterwards must be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from psycopg import Connection as PgConnection

from connectors import http, registry
from connectors.base import ALL_CALLS, Action, Connector
from connectors.errors import ConnectorError
from connectors.http import ItemOutcome, RequestSpec, Response
from connectors.settings import secret_values
from hub.expressions.errors import ExpressionError
from hub.expressions.filters import compile_filter, parse_fql
from hub.expressions.mappings import compile_mapping
from hub.lib.crypto import CryptoError
from hub.lib.postgres import Row
from hub.routing.decide import Interval, Link, Plan, Route
from tenants import credentials

WHOLE_EVENT = {"@path": "$."}
Transform = Callable[[dict[str, object]], object]

NOTHING = Plan(False, False, frozenset(), (), {}, ())

STORED = """
SELECT d.name, d.connector, d.settings, d.secrets, d.is_enabled, d.deleted_at IS NOT NULL, d.ordering, d.retry_hours,
       d.rate_limit, d.status,
       coalesce((SELECT json_agg(json_build_object('id', m.id, 'name', m.name, 'action', m.action,
                                                   'trigger', m.trigger, 'fields', m.fields, 'version', m.version)
                                 ORDER BY m.position, m.id)
                 FROM tenants_mapping m
                 WHERE m.workspace_id = d.workspace_id AND m.destination_id = d.id AND m.is_enabled), '[]')
FROM tenants_destination d
WHERE d.workspace_id = %(workspace)s AND d.id = %(destination)s
"""
SUBSCRIPTION = """
SELECT k.id, k.source_id, k.is_enabled AND s.deleted_at IS NULL, i.from_epoch, i.from_xid, i.until_epoch, i.until_xid
FROM tenants_connection k
JOIN tenants_source s ON s.id = k.source_id
LEFT JOIN tenants_subscriptioninterval i ON i.workspace_id = k.workspace_id AND i.object_id = k.id
WHERE k.workspace_id = %(workspace)s AND k.destination_id = %(destination)s
UNION ALL
SELECT d.id, NULL, d.is_enabled AND d.deleted_at IS NULL, i.from_epoch, i.from_xid, i.until_epoch, i.until_xid
FROM tenants_destination d
LEFT JOIN tenants_subscriptioninterval i ON i.workspace_id = d.workspace_id AND i.object_id = d.id
WHERE d.workspace_id = %(workspace)s AND d.id = %(destination)s
ORDER BY 1, 4, 5
"""


class UnusableDestination(Exception):
    """The destination cannot be used as it is set up; the owner must act. The message is for the owner."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One mapping, compiled: what it makes of an event and which action takes it."""

    mapping_id: UUID
    place: str
    version: int
    action: Action
    transform: Transform
    items_per_call: int
    max_bytes: int


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
    mappings: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """An enabled mapping as it is stored."""

    mapping_id: UUID
    name: str
    action: str
    trigger: str
    fields: dict[str, Any]
    version: int


@dataclass(slots=True)
class Config:
    """A destination as a turn uses it. `subscription` are the raw rows that `plan` was made from."""

    workspace_id: UUID
    destination_id: UUID
    stored: Stored
    connector: Connector
    prepared: object
    rules: dict[UUID, Rule]
    routes: tuple[Route, ...]
    calls_per_second: float | None
    secrets: tuple[str, ...]
    public_url: str
    subscription: list[Row] = field(default_factory=list)
    plan: Plan = NOTHING
    last_accepted: tuple[UUID, datetime] | None = None
    accepted_texts: tuple[str, str] = ("", "")

    @property
    def is_ordered(self) -> bool:
        """Whether events of one user wait for each other."""
        return self.stored.ordering == "per_user"

    @property
    def has_plain_answers(self) -> bool:
        """Whether a status of 200 to 299 says it all, so that a success need not be interpreted."""
        return self.connector.interpret is None

    @property
    def is_batched(self) -> bool:
        """Whether some mapping puts several events into one call."""
        return any(rule.items_per_call > 1 for rule in self.rules.values())

    def interpret(self, request: RequestSpec, response: Response) -> list[ItemOutcome]:
        """What the answer means, by the connector's own rules or the common table."""
        return (self.connector.interpret or http.interpret)(request, response)

    def refresh(self, connection: PgConnection[Row]) -> None:
        """Take over intervals and switches that have changed."""
        self.take_over(read_subscription(connection, self.workspace_id, self.destination_id))

    def take_over(self, rows: list[Row]) -> None:
        """Plan by these subscription rows from now on."""
        if rows != self.subscription:
            names = frozenset({self.connector.name, self.stored.name})
            self.subscription = rows
            self.plan = plan_of(rows, self.destination_id, names, self.routes, is_deleted=self.stored.is_deleted)

    def versions(self) -> dict[str, object]:
        """What a batch row says about the rules that were in force."""
        return {
            "connector": f"{self.connector.slug}@{self.connector.version}",
            "mappings": [[str(rule.mapping_id), rule.version] for rule in self.rules.values()],
        }


def load(
    connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID, known: Config | None = None
) -> Config:
    """Read a destination's set-up and compile it, unless `known` was compiled from the same rows.

    Raises UnusableDestination when the destination cannot be used as it is set up.
    """
    values = {"workspace": workspace_id, "destination": destination_id}
    stored = Stored._make(connection.execute(STORED, values).fetchall()[0])
    subscription = read_subscription(connection, workspace_id, destination_id)
    if known is not None and known.stored == stored:
        known.take_over(subscription)
        return known
    connector, opened, prepared, compiled = _usable(workspace_id, destination_id, stored)
    config = Config(
        workspace_id=workspace_id,
        destination_id=destination_id,
        stored=stored,
        connector=connector,
        prepared=prepared,
        rules={rule.mapping_id: rule for rule, _ in compiled},
        routes=tuple(route for _, route in compiled),
        calls_per_second=_rate(stored.rate_limit),
        secrets=secret_values(connector, opened),
        public_url=settings.PUBLIC_URL,
    )
    config.take_over(subscription)
    return config


def _usable(
    workspace_id: UUID, destination_id: UUID, stored: Stored
) -> tuple[Connector, dict[str, object], object, list[tuple[Rule, Route]]]:
    """Connector, settings in clear, what the connector made of them, and the compiled mappings.

    One that is off or deleted sends nothing more, so nothing of it need be usable; what waits ends as filtered.
    """
    try:
        connector = registry.get(stored.connector)
        if not stored.is_enabled or stored.is_deleted:
            return connector, {}, None, []
        opened = {**stored.settings, **credentials.open_all(workspace_id, destination_id, stored.secrets)}
        prepared = connector.prepare(opened)
    except CryptoError as error:
        raise UnusableDestination("Its credentials cannot be opened with the keys in SECRETS_KEYS.") from error
    except (ConnectorError, KeyError, ValueError) as error:
        raise UnusableDestination(f"The settings cannot be used: {type(error).__name__}.") from error
    mappings = [StoredMapping(UUID(each.pop("id")), **each) for each in map(dict, stored.mappings)]
    return connector, opened, prepared, [_compile(each, destination_id, connector, opened) for each in mappings]


def read_subscription(connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID) -> list[Row]:
    """The switches and intervals of a destination and its connections, as rows that can be compared."""
    values = {"workspace": workspace_id, "destination": destination_id}
    return connection.execute(SUBSCRIPTION, values).fetchall()


def plan_of(
    rows: list[Row], destination_id: UUID, names: frozenset[str], routes: tuple[Route, ...], *, is_deleted: bool
) -> Plan:
    """A plan from subscription rows and what else routing must know."""
    intervals: dict[object, list[Interval]] = {}
    switches: dict[object, tuple[object, bool]] = {}
    for object_id, source_id, is_on, from_epoch, from_xid, until_epoch, until_xid in rows:
        switches[object_id] = (source_id, bool(is_on))
        found = intervals.setdefault(object_id, [])
        if from_xid is not None:
            end = None if until_xid is None else (int(str(until_epoch)), int(str(until_xid)))
            found.append(Interval((int(str(from_epoch)), int(str(from_xid))), end))
    links = {
        source_id: Link(is_on, tuple(intervals[object_id]))
        for object_id, (source_id, is_on) in switches.items()
        if isinstance(source_id, UUID)
    }
    own = switches.get(destination_id, (None, False))
    return Plan(own[1], is_deleted, names, tuple(intervals.get(destination_id, ())), links, routes)


def _compile(
    mapping: StoredMapping, destination_id: UUID, connector: Connector, opened: dict[str, object]
) -> tuple[Rule, Route]:
    try:
        action = connector.action(mapping.action)
        transform = compile_mapping(mapping.fields)
        takes_all = not mapping.trigger.strip() or mapping.trigger == ALL_CALLS
        matches = None if takes_all else compile_filter(parse_fql(mapping.trigger))
    except (KeyError, ExpressionError) as error:
        raise UnusableDestination(f"The mapping {mapping.name!r} cannot be used: {error}") from error
    rule = Rule(
        mapping_id=mapping.mapping_id,
        place=f"{destination_id}|{mapping.mapping_id}",
        version=mapping.version,
        action=action,
        transform=_whole_event(mapping.fields) or transform,
        items_per_call=action.items_per_call(opened),
        max_bytes=action.batch.max_bytes if action.batch else 0,
    )
    return rule, Route(mapping.mapping_id, matches)


def _rate(limit: dict[str, float] | None) -> float | None:
    return limit["amount"] / limit.get("per_seconds", 1) if limit else None


def _whole_event(fields: object) -> Transform | None:
    """A short cut for the commonest mapping, one field that holds the event as it is."""
    if not isinstance(fields, dict) or len(fields) != 1:
        return None
    [(key, value)] = fields.items()
    return (lambda event: {key: event}) if value == WHOLE_EVENT else None
