"""What a turn must know of its destination, read and compiled once: connector, settings, mappings, subscription.

Intervals and switches are looked at again after every read of the log: a change holds the horizon until it commits, so
what is read afterwards must be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
from tenants.models import Destination, Mapping

WHOLE_EVENT = {"@path": "$."}
Transform = Callable[[dict[str, object]], object]

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


@dataclass(slots=True)
class Config:
    """A destination as a turn uses it. `subscription` are the raw rows that `plan` was made from."""

    workspace_id: UUID
    destination_id: UUID
    name: str
    connector: Connector
    prepared: object
    rules: dict[UUID, Rule]
    routes: tuple[Route, ...]
    is_deleted: bool
    is_ordered: bool
    retry_hours: float
    calls_per_second: float | None
    secrets: tuple[str, ...]
    status: str
    public_url: str
    subscription: list[Row]
    plan: Plan
    source_texts: dict[UUID, str] = field(default_factory=dict)

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
        rows = read_subscription(connection, self.workspace_id, self.destination_id)
        if rows != self.subscription:
            self.subscription = rows
            self.plan = make_plan(self, rows)

    def versions(self) -> dict[str, object]:
        """What a batch row says about the rules that were in force."""
        return {
            "connector": f"{self.connector.slug}@{self.connector.version}",
            "mappings": [[str(rule.mapping_id), rule.version] for rule in self.rules.values()],
        }


def load(connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID) -> Config:
    """Read and compile a destination's set-up. Raises UnusableDestination when that cannot be done."""
    destination = Destination.objects.for_workspace(workspace_id).get(pk=destination_id)
    connector, opened, prepared, compiled = _usable(destination)
    subscription = read_subscription(connection, workspace_id, destination_id)
    config = Config(
        workspace_id=workspace_id,
        destination_id=destination_id,
        name=destination.name,
        connector=connector,
        prepared=prepared,
        rules={rule.mapping_id: rule for rule, _ in compiled},
        routes=tuple(route for _, route in compiled),
        is_deleted=destination.deleted_at is not None,
        is_ordered=destination.ordering == "per_user",
        retry_hours=destination.retry_hours,
        calls_per_second=_rate(destination.rate_limit),
        secrets=secret_values(connector, opened),
        status=destination.status,
        public_url=settings.PUBLIC_URL,
        subscription=subscription,
        plan=Plan(False, False, frozenset(), (), {}, ()),
    )
    config.plan = make_plan(config, subscription)
    return config


def _usable(
    destination: Destination,
) -> tuple[Connector, dict[str, object], object, list[tuple[Rule, Route]]]:
    """Connector, settings in clear, what the connector made of them, and the compiled mappings.

    One that is off or deleted sends nothing more, so nothing of it need be usable; what waits ends as filtered.
    """
    try:
        connector = registry.get(destination.connector)
        if not destination.is_enabled or destination.deleted_at is not None:
            return connector, {}, None, []
        opened = destination.open_settings()
        prepared = connector.prepare(opened)
    except (ConnectorError, CryptoError, KeyError, ValueError) as error:
        raise UnusableDestination(f"The settings cannot be used: {type(error).__name__}.") from error
    mappings = Mapping.objects.for_workspace(destination.workspace_id).filter(destination=destination, is_enabled=True)
    return (
        connector,
        opened,
        prepared,
        [_compile(mapping, connector, opened) for mapping in mappings.order_by("position", "id")],
    )


def read_subscription(connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID) -> list[Row]:
    """The switches and intervals of a destination and its connections, as rows that can be compared."""
    values = {"workspace": workspace_id, "destination": destination_id}
    return connection.execute(SUBSCRIPTION, values).fetchall()


def make_plan(config: Config, rows: list[Row]) -> Plan:
    """Turn the rows of `read_subscription` into what routing asks for."""
    names = frozenset({config.connector.name, config.name})
    return plan_of(rows, config.destination_id, names, config.routes, is_deleted=config.is_deleted)


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


def _compile(mapping: Mapping, connector: Connector, opened: dict[str, object]) -> tuple[Rule, Route]:
    try:
        action = connector.action(mapping.action)
        transform = compile_mapping(mapping.fields)
        takes_all = not mapping.trigger.strip() or mapping.trigger == ALL_CALLS
        matches = None if takes_all else compile_filter(parse_fql(mapping.trigger))
    except (KeyError, ExpressionError) as error:
        raise UnusableDestination(f"The mapping {mapping.name!r} cannot be used: {error}") from error
    rule = Rule(
        mapping_id=mapping.pk,
        place=f"{mapping.destination_id}|{mapping.pk}",
        version=mapping.version,
        action=action,
        transform=_whole_event(mapping.fields) or transform,
        items_per_call=action.items_per_call(opened),
        max_bytes=action.batch.max_bytes if action.batch else 0,
    )
    return rule, Route(mapping.pk, matches)


def _rate(limit: dict[str, float] | None) -> float | None:
    return limit["amount"] / limit.get("per_seconds", 1) if limit else None


def _whole_event(fields: object) -> Transform | None:
    """A short cut for the commonest mapping, one field that holds the event as it is."""
    if not isinstance(fields, dict) or len(fields) != 1:
        return None
    [(key, value)] = fields.items()
    return (lambda event: {key: event}) if value == WHOLE_EVENT else None
