"""Why one event goes to one destination or does not, by the rules as they are stored now.

Reads what routing must know without opening a credential, and asks routing. A destination that cannot be used says so,
for then nothing is decided at all.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import orjson

from connectors import registry
from connectors.errors import ConnectorError
from connectors.http import CONFIG_ERROR
from hub.delivery import config as configs
from hub.delivery import stored
from hub.delivery.stored import UnusableDestination
from hub.events.models import Event
from hub.lib import postgres
from hub.routing.decide import Plan
from hub.routing.explain import Explanation, explain


def explain_event(event: Event, destination_id: UUID) -> Explanation:
    """Ask every gate of the destination about the event. Raises UnusableDestination."""
    plan = read_plan(event.workspace_id, destination_id)
    message = orjson.loads(event.body) if event.body else None
    return explain(plan, message, event.source_id, (event.epoch, event.xid))


def told(event: Event, destination_id: UUID) -> dict[str, object]:
    """The explanation for a trace; of a destination that cannot be used only that, and why."""
    try:
        return explain_event(event, destination_id).as_json()
    except UnusableDestination as error:
        nothing: dict[str, object] = {"gates": [], "mappings": [], "removed": []}
        return {"goes": False, "reason": CONFIG_ERROR, "sentence": str(error), **nothing}


def read_plan(workspace_id: UUID, destination_id: UUID) -> Plan:
    """What routing must know of the destination, compiled. Raises UnusableDestination."""
    with postgres.pool().connection() as connection:
        found = stored.read_stored(connection, workspace_id, destination_id)
        rows = configs.read_subscription(connection, workspace_id, destination_id)
    try:
        names = frozenset({registry.get(found.connector).name, found.name})
    except ConnectorError as error:
        raise UnusableDestination(str(error)) from error
    routes = tuple(stored.route_of(each) for each in stored.mappings_of(found))
    plan = configs.plan_of(rows, destination_id, names, routes, is_deleted=found.is_deleted)
    return replace(plan, rules=stored.checks_of(found))
