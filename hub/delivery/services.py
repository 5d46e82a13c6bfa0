"""Verbs that change delivery's state: make pipelines, pause and resume, retry and discard. Each is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection as django_connection
from django.db import transaction
from psycopg import Connection

from hub.delivery import hints
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.lib import clock, postgres
from hub.lib.postgres import Row
from tenants import services as tenants
from tenants.auditing import Actor, record
from tenants.models import Destination

MAX_ROWS = 10_000

# A destination's pipeline starts where its first interval does. Its floor stays 0 until a row was read: only then a
# partition is known below which nothing can be.
ENSURE = """
INSERT INTO delivery_pipeline (workspace_id, destination_id, cursor_epoch, cursor_xid, cursor_seq, next_run_at,
    created_at)
SELECT d.workspace_id, d.id, i.from_epoch, i.from_xid, 0, now(), now()
FROM tenants_destination d
JOIN LATERAL (SELECT s.from_epoch, s.from_xid FROM tenants_subscriptioninterval s
              WHERE s.workspace_id = d.workspace_id AND s.object_id = d.id AND s.kind = 'destination'
              ORDER BY s.from_epoch, s.from_xid LIMIT 1) i ON true
WHERE (%(workspace)s::uuid IS NULL OR d.workspace_id = %(workspace)s::uuid)
  AND NOT EXISTS (SELECT FROM delivery_pipeline p WHERE p.destination_id = d.id AND p.kind = 'live')
ON CONFLICT (destination_id, shard) WHERE kind = 'live' DO NOTHING
"""
# Whoever runs a pipeline of the workspace looks once more before letting go; the others are told.
WANT = """
UPDATE delivery_pipeline SET wanted = true WHERE workspace_id = %s AND lease_until >= now() AND NOT wanted
"""
IDLE = """
SELECT p.id, p.is_slow FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.workspace_id = %s AND (p.lease_until IS NULL OR p.lease_until < now())
  AND (p.held_until IS NULL OR p.held_until <= now())
  AND (d.status = 'active' OR NOT d.is_enabled OR d.deleted_at IS NOT NULL)
ORDER BY p.id
"""
# A dead letter goes back to waiting in the same books, unless another part of its event is still being tried: then the
# event has not been counted as dead yet.
REVIVE = """
WITH letter AS (
    SELECT x.* FROM delivery_dead x WHERE x.id = ANY(%(ids)s) AND x.discarded_at IS NULL
      AND NOT EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = x.pipeline_id AND r.seq = x.seq)
    FOR UPDATE
), gone AS (
    DELETE FROM delivery_dead x USING letter l WHERE x.id = l.id
), revived AS (
    INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day,
        user_key, state, attempts, first_at, next_run_at, reason, status_code, job_id, batch_key)
    SELECT workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day, user_key, 'retry', attempts,
        now(), now(), reason, status_code, '', '' FROM letter
), recounted AS (
    UPDATE delivery_count c SET dead = c.dead - n.events
    FROM (SELECT destination_id, source_id, day, count(DISTINCT seq) AS events FROM letter GROUP BY 1, 2, 3) n
    WHERE c.destination_id = n.destination_id AND c.source_id = n.source_id AND c.day = n.day
), woken AS (
    UPDATE delivery_pipeline p SET next_run_at = now(), wanted = p.lease_until IS NOT NULL
    WHERE p.id IN (SELECT pipeline_id FROM letter)
)
SELECT id FROM letter
"""


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows an act changed, of how many it was asked to."""

    changed: int
    asked: int


def ensure_pipelines(connection: Connection[Row]) -> int:
    """Make the pipelines of destinations that have none yet, at the position stored when they were switched on."""
    return connection.execute(ENSURE, {"workspace": None}).rowcount


def idle_pipelines(workspace_id: UUID) -> list[tuple[int, bool]]:
    """The workspace's pipelines that may run now, with whether they are slow; missing ones are made."""
    with postgres.pool().connection() as connection:
        connection.execute(ENSURE, {"workspace": workspace_id})
        connection.execute(WANT, [workspace_id])
        rows = connection.execute(IDLE, [workspace_id]).fetchall()
    return [(int(str(row[0])), bool(row[1])) for row in rows]


@transaction.atomic
def pause(destination: Destination, reason: str, actor: Actor) -> None:
    """Hold a destination's deliveries back; its backlog waits."""
    tenants.pause_destination(destination, reason, actor)


@transaction.atomic
def resume(destination: Destination, actor: Actor) -> None:
    """Let a destination's deliveries go on at once, whatever its circuit had learnt."""
    tenants.resume_destination(destination, actor)
    Pipeline.objects.filter(destination_id=destination.pk).update(
        held_until=None,
        held_reason="",
        circuit=Pipeline.Circuit.CLOSED,
        circuit_probes=0,
        circuit_reopened=0,
        circuit_opened_at=None,
        unauthorized_count=0,
    )
    _wake([destination.pk])


@transaction.atomic
def retry_now(rows: Sequence[RetryRow], actor: Actor, reason: str) -> Done:
    """Make waiting retries due at once. Parked ones keep waiting for the event before them."""
    chosen = list(rows)[:MAX_ROWS]
    _lock_pipelines(chosen)
    due = RetryRow.objects.filter(pk__in=[row.pk for row in chosen], state=RetryRow.State.RETRY)
    count = due.update(next_run_at=clock.now())
    _wake({row.destination_id for row in chosen})
    _audit(chosen, "delivery.retried", actor, reason, count)
    return Done(count, len(chosen))


@transaction.atomic
def revive(letters: Sequence[DeadLetter], actor: Actor, reason: str) -> Done:
    """Put dead letters back to waiting; they are tried at once and for the full time again."""
    chosen = list(letters)[:MAX_ROWS]
    _lock_pipelines(chosen)
    with django_connection.cursor() as cursor:
        cursor.execute(REVIVE, {"ids": [letter.pk for letter in chosen]})
        count = len(cursor.fetchall())
    _hint({letter.pipeline_id for letter in chosen})
    _audit(chosen, "dead_letter.retried", actor, reason, count)
    return Done(count, len(chosen))


@transaction.atomic
def discard(letters: Sequence[DeadLetter], actor: Actor, reason: str) -> Done:
    """Mark dead letters as seen to; they stay dead in the books."""
    chosen = list(letters)[:MAX_ROWS]
    ids = [letter.pk for letter in chosen]
    count = DeadLetter.objects.filter(pk__in=ids, discarded_at=None).update(discarded_at=clock.now())
    _audit(chosen, "dead_letter.discarded", actor, reason, count)
    return Done(count, len(chosen))


def _lock_pipelines(rows: Sequence[RetryRow] | Sequence[DeadLetter]) -> None:
    """Take the pipelines first, in order: commits do so too, and so nobody waits for the other in a circle."""
    ids = {row.pipeline_id for row in rows}
    list(Pipeline.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))


def _wake(destination_ids: Iterable[UUID]) -> None:
    """Make the destinations' pipelines due, and hint once the change is committed."""
    pipelines = Pipeline.objects.filter(destination_id__in=list(destination_ids))
    pipelines.update(next_run_at=clock.now())
    _hint(pipelines.values_list("pk", flat=True))


def _hint(pipeline_ids: Iterable[int]) -> None:
    ids = list(pipeline_ids)
    transaction.on_commit(lambda: [hints.run_pipeline(pipeline_id) for pipeline_id in ids] and None)


def _audit(rows: Sequence[RetryRow] | Sequence[DeadLetter], action: str, actor: Actor, reason: str, count: int) -> None:
    """One entry for each destination that the rows belong to."""
    for destination in Destination.unscoped.filter(pk__in={row.destination_id for row in rows}):
        asked = sum(row.destination_id == destination.pk for row in rows)
        notes = {"reason": reason, "asked": asked, "changed_in_all": count}
        record(actor, action, destination, label=destination.slug, notes=notes)
