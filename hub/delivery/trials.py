"""Events tried out at a workspace's own destination: with its rules as they stand, and on the record.

A live test leaves its attempts, as every call does, marked as a test's; they stand beside the event in the log where it
has one. The books know nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from hub.delivery import asking, explaining, record, trying
from hub.delivery import config as configs
from hub.delivery.config import Config
from hub.delivery.outcomes import storable
from hub.delivery.stored import UnusableDestination, read_stored
from hub.delivery.trying import Attempted, BadEvent, Shown, Trial
from hub.events.models import Event
from hub.lib import postgres
from hub.observability import metrics
from tenants.auditing import Actor
from tenants.auditing import record as audit
from tenants.models import Connection, Destination

TEST = "test"  # in the place of the worker's name
# Of an event that is not in the log: where the log's newest is, so that the row goes with its partition.
KEEP = """
INSERT INTO delivery_attempt (seq, workspace_id, destination_id, mapping_id, delivery_id, message_id, at, attempt,
    outcome, reason, status_code, duration_ms, request, response, worker)
SELECT coalesce(%(seq)s, s.last_value), %(workspace)s, %(destination)s, %(mapping)s, %(delivery)s, %(message)s, now(),
    0, %(outcome)s, %(reason)s, %(status)s, %(duration)s, %(request)s, %(response)s, %(worker)s
FROM event_log_seq s
"""


class Unsupported(Exception):
    """The connector, as it is set up, cannot do it; the message says so."""


def usable(destination: Destination) -> Config:
    """The destination's configuration as a delivery would have it, whether it is switched on or not.

    Raises UnusableDestination.
    """
    if destination.deleted_at is not None:
        raise UnusableDestination("The destination was deleted.")
    with postgres.pool().connection() as connection:
        stored = read_stored(connection, destination.workspace_id, destination.pk)._replace(is_enabled=True)
        rows = configs.read_subscription(connection, destination.workspace_id, destination.pk)
    config = configs.compile_stored(destination.workspace_id, destination.pk, stored)
    config.take_over(rows)
    return config


def try_logged(destination: Destination, event: Event, *, is_live: bool, actor: Actor) -> Shown:
    """Try an event of the log out; with the answer of every gate."""
    if not event.body:
        raise BadEvent("The person was erased; the event has no content any more.")
    events = [orjson.loads(event.body)]
    trial = _try(destination, events, event.source_id, is_live=is_live, actor=actor, event=event)
    return {**trial.as_json(), "explanation": explaining.explain_event(event, destination.pk).as_json()}


def try_given(destination: Destination, events: Sequence[Mapping[str, Any]], *, is_live: bool, actor: Actor) -> Shown:
    """Try events out that somebody wrote, as if the destination's first source had sent them."""
    linked = Connection.unscoped.filter(workspace_id=destination.workspace_id, destination=destination)
    source_id = linked.order_by("pk").values_list("source_id", flat=True).first() or UUID(int=0)
    return _try(destination, events, source_id, is_live=is_live, actor=actor).as_json()


def _try(
    destination: Destination,
    events: Sequence[Mapping[str, Any]],
    source_id: UUID,
    *,
    is_live: bool,
    actor: Actor,
    event: Event | None = None,
) -> Trial:
    config = usable(destination)
    metrics.connector_tests.labels("live" if is_live else "dry").inc()
    if is_live:  # before anything is sent: a test that cannot be written down is not made
        ids = [str(each.get("messageId")) for each in events]
        audit(actor, "destination.tested", destination, label=destination.slug, notes={"message_ids": ids})
    received_at = event.received_at if event is not None else None
    trial = trying.try_events(config, events, source_id, is_live=is_live, received_at=received_at)
    for attempted in trial.attempts:
        _keep(config, attempted, event.seq if event is not None else None)
    return trial


def _keep(config: Config, attempted: Attempted, seq: int | None) -> None:
    part, item, exchange = attempted.part, attempted.item, attempted.exchange
    secrets = (*record.credentials_of(exchange.call), *config.secrets)
    values = {
        "seq": seq,
        "workspace": config.workspace_id,
        "destination": config.destination_id,
        "mapping": part.rule.mapping_id,
        "delivery": part.delivery_id,
        "message": storable(part.delivery.row.message_id, 1_000),
        "outcome": item.outcome.value,
        "reason": storable(item.reason or ", ".join(item.warnings)),
        "status": item.status,
        "duration": int(exchange.answer.duration_ms),
        "request": record.request_text(exchange.call, secrets),
        "response": record.response_text(exchange.answer, secrets),
        "worker": TEST,
    }
    with postgres.pool().connection() as connection:
        connection.execute(KEEP, values)


def check_credentials(destination: Destination) -> Shown:
    """The connector's test call, with what came of it."""
    config = usable(destination)
    found = asking.check_credentials(config)
    if found is None:
        raise Unsupported(f"{config.connector.name} has no call that proves the credentials.")
    exchange, item = found
    metrics.connector_tests.labels("credentials").inc()
    shown = trying.shown_exchange(config, exchange) if exchange is not None else {}
    return {**shown, "outcome": trying.shown_outcome(config, item)}
