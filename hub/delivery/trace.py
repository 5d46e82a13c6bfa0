"""Everything that happened to one event: its acceptance, how each destination stands, each attempt.

A delivery has no row of its own, so its standing is put together: a retry row says that it waits, a dead letter that it
ended badly, a batch row what the commit that stepped over it decided; beyond the cursor it waits.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet

from connectors.http import ItemOutcome
from connectors.records import SinkRequest
from hub.delivery import config as configs
from hub.delivery import explaining, outcomes, prepare, record
from hub.delivery.calls import Call
from hub.delivery.grants import tokens
from hub.delivery.models import Attempt, Batch, DeadLetter, Pipeline, RetryRow
from hub.delivery.sinks.calls import SinkCall
from hub.events.cursors import LogRow, Position, shard_of
from hub.events.models import Event, Partition
from hub.lib import clock, postgres
from hub.lib.ids import key8
from hub.routing import decide
from tenants.models import Connection, Destination, Source

BATCHES_LOOKED_AT = 200
REPLAYS_LOOKED_AT = 50
WORDS = {
    outcomes.Status.DELIVERED: "delivered",
    outcomes.Status.FILTERED: "filtered",
    outcomes.Status.RETRYING: "retrying",
    outcomes.Status.DEAD: "dead",
    outcomes.Status.PENDING: "pending",
    outcomes.Status.PARKED: "retrying",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How one event stands at one destination."""

    status: str
    reason: str = ""
    status_code: int = 0


def find_events(workspace_id: UUID, message_id: str) -> list[Event]:
    """The workspace's events with this message id, newest first; several sources may have used it."""
    found = Event.objects.filter(workspace_id=workspace_id, message_key=key8(message_id), message_id=message_id)
    # Ordered by the database it would walk the log backwards; there are hardly ever two.
    return sorted(found.order_by(), key=lambda event: event.seq, reverse=True)[:20]


def trace(workspace_id: UUID, message_id: str) -> dict[str, Any] | None:
    """`{"event": {…}, "deliveries": [{"destination", "status", "reason", "attempts": […]}]}`; None when unknown."""
    events = find_events(workspace_id, message_id)
    return trace_event(events[0]) if events else None


def trace_event(event: Event) -> dict[str, Any]:
    """The trace of one event of the log."""
    source = Source.unscoped.filter(pk=event.source_id).first()
    return {
        "event": {
            "message_id": event.message_id,
            "type": event.type,
            "event": event.event_name,
            "user_id": event.user_id,
            "anonymous_id": event.anonymous_id,
            "source": source.slug if source else str(event.source_id),
            "received_at": event.received_at.isoformat(),
            "seq": event.seq,
            "epoch": event.epoch,
            "xid": event.xid,
            "body": orjson.loads(event.body) if event.body else None,
        },
        "deliveries": [_delivery(event, destination) for destination in _destinations(event)],
    }


def _destinations(event: Event) -> list[Destination]:
    """The destinations whose event it is, by the intervals of the log; and those to which replays have sent it."""
    linked = Connection.unscoped.filter(workspace_id=event.workspace_id, source_id=event.source_id)
    sent = _replay_pipelines(event).values_list("destination_id", flat=True)
    wanted = Q(pk__in=linked.values("destination_id")) | Q(pk__in=list(sent))
    found = Destination.unscoped.filter(wanted, workspace_id=event.workspace_id).order_by("slug")
    return [each for each in found if _is_eligible(event, each) or _replays(event, each.pk)]


def _replay_pipelines(event: Event) -> QuerySet[Pipeline]:
    newest = Pipeline.objects.filter(workspace_id=event.workspace_id, kind=Pipeline.Kind.REPLAY).order_by("-pk")
    return newest[:REPLAYS_LOOKED_AT]


def _replays(event: Event, destination_id: UUID) -> list[dict[str, Any]]:
    """How each replay at the destination that has come past the event has ended with it, newest first."""
    found = []
    for pipeline in _replay_pipelines(event):
        if pipeline.destination_id == destination_id:
            own = [pipeline.pk]
            standing = _from_rows(event, destination_id, own) or _from_batches(event, destination_id, own)
            if standing is not None:
                found.append({"replay": str(pipeline.replay_id), **asdict(standing)})
    return found


def _is_eligible(event: Event, destination: Destination) -> bool:
    with postgres.pool().connection() as connection:
        rows = configs.read_subscription(connection, destination.workspace_id, destination.pk)
    plan = configs.plan_of(rows, destination.pk, frozenset(), (), is_deleted=False)
    return decide.is_eligible(plan, event.source_id, (event.epoch, event.xid))


def _delivery(event: Event, destination: Destination) -> dict[str, Any]:
    replays = _replays(event, destination.pk)
    standing = asdict(standing_of(event, destination.pk))
    if replays and not _is_eligible(event, destination):  # only replays have ever sent it there
        standing = replays[0]
    attempts = Attempt.objects.filter(destination_id=destination.pk, seq=event.seq).order_by("id")
    # Beside it may stand a test of an event that is not in the log.
    attempts = attempts.exclude(~Q(message_id=event.message_id), attempt=0)
    return {
        "destination": destination.slug,
        "destination_id": str(destination.pk),
        "status": standing["status"],
        "reason": standing["reason"],
        "status_code": standing["status_code"],
        "explanation": explaining.told(event, destination.pk) if standing["status"] == "filtered" else None,
        "replays": replays,
        "attempts": [_attempt(attempt) for attempt in attempts[:200]],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    request = orjson.loads(attempt.request)
    return {
        "at": attempt.at.isoformat(),
        "attempt": attempt.attempt,
        "status_code": attempt.status_code,
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "delivery_id": attempt.delivery_id,
        "mapping_id": str(attempt.mapping_id) if attempt.mapping_id else None,
        "worker": attempt.worker,
        "is_test": attempt.attempt == 0,
        "is_replay": ["replay", "true"] in request.get("headers", []),
        "request": request,
        "response": orjson.loads(attempt.response),
    }


def standing_of(event: Event, destination_id: UUID) -> Standing:
    """How the event stands: what rows say about it first, then the batch that decided it, else it waits.

    Replays have books of their own and do not change it.
    """
    pipelines = Pipeline.objects.filter(destination_id=destination_id).values_list("pk", "kind")
    live = [pk for pk, kind in pipelines if kind == Pipeline.Kind.LIVE]
    replays = [pk for pk, kind in pipelines if kind == Pipeline.Kind.REPLAY]
    return (
        _from_rows(event, destination_id, live)
        or _from_batches(event, destination_id, without=replays)
        or _from_cursor(event, destination_id)
    )


def _from_rows(event: Event, destination_id: UUID, pipeline_ids: Sequence[int]) -> Standing | None:
    about = {"pipeline_id__in": pipeline_ids, "seq": event.seq}
    retrying = RetryRow.objects.filter(**about).order_by("next_run_at").first()
    if retrying is not None:
        word = "pending" if retrying.state == RetryRow.State.PENDING else "retrying"
        return Standing(word, retrying.reason, retrying.status_code)
    letter = DeadLetter.objects.filter(**about, destination_id=destination_id).first()
    return Standing("dead", letter.reason, letter.status_code) if letter is not None else None


def _from_batches(
    event: Event, destination_id: UUID, only: Sequence[int] = (), without: Sequence[int] = ()
) -> Standing | None:
    """What the last commit about the event said. Batches end near the event's own place in the log."""
    nearby = Batch.objects.filter(destination_id=destination_id, seq__gte=event.seq).order_by("seq", "id")
    nearby = nearby.filter(pipeline_id__in=only) if only else nearby.exclude(pipeline_id__in=without)
    found: Standing | None = None
    for batch in nearby[:BATCHES_LOOKED_AT]:
        if batch.seq_min <= event.seq:
            found = _read_batch(batch, event.seq) or found
    return found


def _read_batch(batch: Batch, seq: int) -> Standing | None:
    seqs = array("q", bytes(batch.seqs))
    try:
        place = seqs.index(seq)
    except ValueError:
        return None
    status = outcomes.Status(bytes(batch.outcomes)[place])
    reasons: list[str] = batch.mappings.get("reasons", [])
    number = bytes(batch.reasons)[place]
    code = array("h", bytes(batch.statuses))[place]
    return Standing(WORDS[status], reasons[number] if number < len(reasons) else "", code)


def _from_cursor(event: Event, destination_id: UUID) -> Standing:
    """No row speaks of it: it waits beyond the cursor, or has expired behind it, or its record was given up early."""
    live = Pipeline.objects.filter(destination_id=destination_id, kind=Pipeline.Kind.LIVE)
    pipeline = next((each for each in live if shard_of(event.user_key, each.shard_count) == each.shard), None)
    if pipeline is None:
        return Standing("waiting")
    cursor = Position(pipeline.cursor_epoch, pipeline.cursor_xid, pipeline.cursor_seq)
    is_beyond = Position(event.epoch, event.xid, event.seq) > cursor
    if is_beyond:
        return Standing("waiting", pipeline.held_reason)
    trimmed = Partition.objects.filter(seq_from__lte=event.seq, seq_until__gt=event.seq, trimmed_at__isnull=False)
    return Standing("unknown", "record_removed") if trimmed.exists() else Standing("expired")


def rebuild_requests(event: Event, destination: Destination) -> list[dict[str, Any]]:
    """What the destination's rules, as they stand, make of this event; for a success whose request was not kept."""
    with postgres.pool().connection() as connection:
        config = configs.load(connection, destination.workspace_id, destination.pk)
    row = LogRow(
        event.seq,
        event.xid,
        event.source_id,
        event.received_at,
        event.flags,
        event.type,
        event.event_name,
        event.user_key,
        event.message_id,
        event.body,
    )
    message = orjson.loads(event.body) if event.body else {}
    tokens.show(config)
    requests, now = [], clock.now()
    decision = decide.decide(config.plan, message, event.source_id)
    message = message if decision.changed is None else decision.changed
    for mapping_id in decision.mapping_ids:
        rule = config.rules[mapping_id]
        key = prepare.delivery_id(config, rule, row)
        ids, messages = [key], [event.message_id]
        for spec in prepare.build_for(config, rule, [rule.transform(message)], ids, messages, now, [{}]):
            if isinstance(spec, ItemOutcome):
                continue
            if isinstance(spec, SinkRequest):
                call: Call = SinkCall(spec)
            else:
                call = prepare.make_call(spec, key, None, now, signer=config.signer)
            requests.append({"delivery_id": key, **orjson.loads(record.request_text(call, config.secrets))})
    return requests
