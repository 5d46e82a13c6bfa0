"""What a turn must know of its destination, read and compiled once: connector, settings, mappings, subscription.

Intervals and switches are looked at again after every read of the log: a change holds the horizon until it commits, so
what is read afterwards must be judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.conf import settings
from psycopg import Connection as PgConnection

from connectors import http, registry
from connectors.base import Action, Connector
from connectors.errors import ConnectorError
from connectors.http import ItemOutcome, RequestSpec, Response
from connectors.settings import secret_values
from hub.delivery.grants.needs import Need, need_of
from hub.delivery.grants.signing import Signer
from hub.delivery.origins import Origins, origins_of
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.scope import Matches
from hub.delivery.shaping import Transform, compile_transform, hands_on
from hub.delivery.stored import (
    Stored,
    StoredMapping,
    UnusableDestination,
    checks_of,
    mappings_of,
    read_stored,
    route_of,
)
from hub.expressions.errors import ExpressionError
from hub.lib.crypto import CryptoError
from hub.lib.postgres import Row
from hub.routing.decide import Interval, Link, Plan, Route
from hub.routing.rules import Rules
from tenants import credentials

NOTHING = Plan(False, False, frozenset(), (), {}, ())

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
# A replay asks nobody's intervals: its sources are its own, for as long as they are on.
REPLAYED = """
SELECT s.id, s.id, s.is_enabled AND s.deleted_at IS NULL, 0, 0, NULL::int, NULL::int
FROM delivery_replay y JOIN tenants_source s ON s.workspace_id = y.workspace_id
WHERE y.id = %(replay)s AND y.source_ids ? s.id::text
UNION ALL
SELECT d.id, NULL, d.is_enabled AND d.deleted_at IS NULL, 0, 0, NULL, NULL FROM tenants_destination d
WHERE d.workspace_id = %(workspace)s AND d.id = %(destination)s
ORDER BY 1
"""


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
    max_wait_s: float = 0.0
    hands_on: bool = False


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
    checks: Rules | None
    calls_per_second: float | None
    secrets: tuple[str, ...]
    public_url: str
    origins: Origins = field(default_factory=Origins)
    subscription: list[Row] = field(default_factory=list)
    plan: Plan = NOTHING
    # Mappings that apply to every event whatever is in it, and hand it on; none when events have to be read.
    unread: tuple[UUID, ...] = ()
    last_accepted: tuple[UUID, datetime] | None = None
    accepted_texts: tuple[str, str] = ("", "")
    replay_id: UUID | None = None
    replay_matches: Matches | None = None
    replay_per_second: float | None = None
    need: Need | None = None
    signer: Signer | None = None  # put here by a task thread before requests are made, and anew with each new token

    @property
    def is_replay(self) -> bool:
        """Whether what is sent was sent before, or should have been."""
        return self.replay_id is not None

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
        return self.most_items > 1

    @property
    def most_items(self) -> int:
        """How many events one call may carry at most."""
        return max((rule.items_per_call for rule in self.rules.values()), default=1)

    @property
    def patience_seconds(self) -> float:
        """How long events may wait for their calls to fill: no longer than the least patient mapping has it."""
        waits = [rule.max_wait_s if rule.items_per_call > 1 else 0.0 for rule in self.rules.values()]
        return min(waits, default=0.0)

    @property
    def limits_items(self) -> bool:
        """Whether the rate limit in force counts events, not calls: the vendor's own, where the owner set none."""
        return self.stored.rate_limit is None and any(limit.unit == "items" for limit in self.connector.rate_limits)

    @property
    def most_calls(self) -> int | None:
        """How many calls at once the vendor allows, where it says so."""
        allowed = [limit.amount for limit in self.connector.rate_limits if limit.unit == "concurrent"]
        return min(allowed, default=None)

    def interpret(self, request: RequestSpec, response: Response) -> list[ItemOutcome]:
        """What the answer means, by the connector's own rules or the common table."""
        return (self.connector.interpret or http.interpret)(request, response)

    def refresh(self, connection: PgConnection[Row]) -> None:
        """Take over intervals and switches that have changed."""
        self.take_over(read_subscription(connection, self.workspace_id, self.destination_id, self.replay_id))

    def take_over(self, rows: list[Row]) -> None:
        """Plan by these subscription rows from now on."""
        if rows != self.subscription:
            names = frozenset({self.connector.name, self.stored.name})
            self.subscription = rows
            plan = plan_of(rows, self.destination_id, names, self.routes, is_deleted=self.stored.is_deleted)
            self.take_plan(replace(plan, chosen=self.replay_matches, rules=self.checks))

    def take_plan(self, plan: Plan) -> None:
        """Route by this plan from now on."""
        looks_inside = plan.chosen or plan.rules or any(route.matches for route in plan.routes)
        hands_on = not looks_inside and all(rule.hands_on for rule in self.rules.values())
        self.plan, self.unread = plan, tuple(self.rules) if hands_on else ()

    def versions(self) -> dict[str, object]:
        """What a batch row says about the rules in force. It only ever gains keys; readers skip unknown ones."""
        filters = [[each["filter_id"], each["version"]] for each in self.stored.filters]
        return {
            **({"filters": filters} if filters else {}),
            "version": 1,
            "connector": f"{self.connector.slug}@{self.connector.version}",
            "mappings": [[str(rule.mapping_id), rule.version] for rule in self.rules.values()],
        }


def load(
    connection: PgConnection[Row],
    workspace_id: UUID,
    destination_id: UUID,
    known: Config | None = None,
    replay_id: UUID | None = None,
) -> Config:
    """Read a destination's set-up and compile it, unless `known` was compiled from the same rows.

    Raises UnusableDestination when the destination cannot be used as it is set up.
    """
    stored = read_stored(connection, workspace_id, destination_id)
    subscription = read_subscription(connection, workspace_id, destination_id, replay_id)
    if known is not None and known.stored == stored:
        known.take_over(subscription)
        return known
    config = compile_stored(workspace_id, destination_id, stored, replay_id)
    if replay_id is not None:
        scope = scopes.read(connection, replay_id)
        config.replay_matches, config.replay_per_second = _trigger(scope.trigger), scope.per_second
    config.take_over(subscription)
    return config


def compile_stored(workspace_id: UUID, destination_id: UUID, stored: Stored, replay_id: UUID | None = None) -> Config:
    """Compile what is stored of a destination; who is subscribed to it is still to be taken over.

    Raises UnusableDestination.
    """
    connector, opened, prepared, compiled = _usable(workspace_id, destination_id, stored)
    return Config(
        workspace_id=workspace_id,
        destination_id=destination_id,
        stored=stored,
        connector=connector,
        prepared=prepared,
        rules={rule.mapping_id: rule for rule, _ in compiled},
        routes=tuple(route for _, route in compiled),
        checks=checks_of(stored),
        calls_per_second=_rate(stored.rate_limit, connector),
        secrets=secret_values(connector, opened),
        public_url=settings.PUBLIC_URL,
        origins=origins_of(connector, opened, settings.PUBLIC_URL),
        replay_id=replay_id,
        need=need_of(connector, opened),
    )


def _trigger(text: str) -> Matches | None:
    """A replay's filter. It was compiled when the replay was started; what is refused now is refused in words."""
    try:
        return scopes.compile_trigger(text)
    except ExpressionError as error:
        raise UnusableDestination(f"The replay's filter cannot be used: {error}") from error


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
    compiled = [_compile(each, destination_id, connector, opened) for each in mappings_of(stored)]
    return connector, opened, prepared, compiled


def read_subscription(
    connection: PgConnection[Row], workspace_id: UUID, destination_id: UUID, replay_id: UUID | None = None
) -> list[Row]:
    """The switches and intervals of a destination and its connections, as rows that can be compared."""
    values = {"workspace": workspace_id, "destination": destination_id, "replay": replay_id}
    return connection.execute(SUBSCRIPTION if replay_id is None else REPLAYED, values).fetchall()


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
    route = route_of(mapping)
    try:
        action = connector.action(mapping.action)
        transform = compile_transform(action, mapping.fields)
    except (KeyError, ExpressionError) as error:
        raise UnusableDestination(f"The mapping {mapping.name!r} cannot be used: {error}") from error
    rule = Rule(
        mapping_id=mapping.mapping_id,
        place=f"{destination_id}|{mapping.mapping_id}",
        version=mapping.version,
        action=action,
        transform=transform,
        items_per_call=_bounded(mapping, "max_items", action.items_per_call(opened)),
        max_bytes=_bounded(mapping, "max_bytes", action.batch.max_bytes) if action.batch else 0,
        max_wait_s=_wait(mapping, action),
        hands_on=hands_on(action, mapping.fields),
    )
    return rule, route


def _bounded(mapping: StoredMapping, name: str, most: int) -> int:
    """The mapping's own limit, which can only be tighter than the action's; 0 is none."""
    chosen = int((mapping.batch or {}).get(name, most))
    return min(chosen, most) if most else chosen


def _wait(mapping: StoredMapping, action: Action) -> float:
    """How long an event may wait for others to share its call: as the mapping says, else as the action does."""
    if action.batch is None:
        return 0.0
    chosen = (mapping.batch or {}).get("max_wait_s", action.batch.default_wait_s)
    return min(float(chosen), action.batch.max_wait_s)


def _rate(limit: dict[str, float] | None, connector: Connector) -> float | None:
    """The owner's limit; the vendor's own where there is none. One on items decides alone, for all cost the same."""
    if limit:
        return limit["amount"] / limit.get("per_seconds", 1)
    declared = connector.rate_limits
    units = ("items",) if any(each.unit == "items" for each in declared) else ("requests",)
    return min((each.amount / each.per_seconds for each in declared if each.unit in units), default=None)
