"""Verbs that change delivery's state: make pipelines, pause and resume. Each is one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from psycopg import Connection

from hub.delivery import hints
from hub.delivery.models import Pipeline
from hub.lib import clock, postgres
from hub.lib.postgres import Row
from tenants import services as tenants
from tenants.auditing import Actor
from tenants.models import Destination

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
# Of pipelines p and their destinations d: which are run apart from the quick ones, because they are slow, are being
# probed or have yet to show how quick they are; which nobody runs or holds and have not come to their end; which their
# owner and no replay keeps from running.
IS_APART = "p.is_slow OR p.circuit = 'open' OR p.last_success_at IS NULL"
IS_FREE = """(p.lease_until IS NULL OR p.lease_until < now()) AND (p.held_until IS NULL OR p.held_until <= now())
  AND (p.until_xid IS NULL
       OR (p.cursor_epoch, p.cursor_xid, p.cursor_seq) < (p.until_epoch, p.until_xid, p.until_seq))"""
MAY_RUN = """(d.status = 'active' OR NOT d.is_enabled OR d.deleted_at IS NOT NULL)
  AND CASE WHEN p.kind = 'live' THEN p.held_by_replay IS NULL
      ELSE EXISTS (SELECT FROM delivery_replay y WHERE y.id = p.replay_id AND y.state = 'running') END"""
# Of a connection k: whether it and its destination were on at some place that the pipeline's cursor has yet to reach.
WAS_ON = """EXISTS (SELECT FROM tenants_subscriptioninterval i
              WHERE i.workspace_id = p.workspace_id AND i.kind = '{kind}' AND i.object_id = {object}
                AND (i.until_epoch IS NULL OR (i.until_epoch, i.until_xid) > (p.cursor_epoch, p.cursor_xid)))"""
IS_CONNECTED = f"""k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id
  AND {WAS_ON.format(kind="connection", object="k.id")}
  AND {WAS_ON.format(kind="destination", object="k.destination_id")}"""
# A hint names a workspace; count rows tell whose sources have something new. Others would be claimed for nothing.
IDLE = f"""
SELECT p.id, {IS_APART} FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.workspace_id = %s AND p.kind = 'live' AND {IS_FREE} AND {MAY_RUN}
  AND EXISTS (SELECT FROM tenants_connection k
              JOIN event_count c ON c.workspace_id = k.workspace_id AND c.source_id = k.source_id AND c.accepted > 0
                  AND (c.epoch, c.xid_to) > (p.cursor_epoch, p.cursor_xid::text::xid8)
              WHERE {IS_CONNECTED})
ORDER BY p.cursor_epoch, p.cursor_xid, p.id LIMIT %s
"""  # noqa: S608 - our own constants


def ensure_pipelines(connection: Connection[Row]) -> int:
    """Make the pipelines of destinations that have none yet, at the position stored when they were switched on."""
    return connection.execute(ENSURE, {"workspace": None}).rowcount


def idle_pipelines(workspace_id: UUID, most: int) -> list[tuple[int, bool]]:
    """The workspace's pipelines that may run now, furthest behind first, with whether they are run apart.

    Missing ones are made. Those beyond `most` are left to the scheduler, which sees to it that workspaces take turns.
    """
    with postgres.pool().connection() as connection:
        connection.execute(ENSURE, {"workspace": workspace_id})
        connection.execute(WANT, [workspace_id])
        rows = connection.execute(IDLE, [workspace_id, most]).fetchall()
    return [(int(str(row[0])), bool(row[1])) for row in rows]


@transaction.atomic
def pause(destination: Destination, reason: str, actor: Actor) -> None:
    """Hold a destination's deliveries back; its backlog waits."""
    tenants.pause_destination(destination, reason, actor)


@transaction.atomic
def resume(destination: Destination, actor: Actor) -> None:
    """Let a destination's deliveries go on at once, whatever its circuit had learnt."""
    tenants.resume_destination(destination, actor)
    pipelines = Pipeline.objects.filter(destination_id=destination.pk)
    list(pipelines.order_by("pk").select_for_update().values_list("pk"))  # in order, as all who want several do
    pipelines.update(
        held_until=None,
        held_reason="",
        circuit=Pipeline.Circuit.CLOSED,
        circuit_probes=0,
        circuit_reopened=0,
        circuit_opened_at=None,
        circuit_told_at=None,
        unauthorized_count=0,
        unauthorized_since=None,
        streak_reason="",
        streak_since=None,
        streak_count=0,
    )
    _wake([destination.pk])


def _wake(destination_ids: Iterable[UUID]) -> None:
    """Make the destinations' pipelines due, and hint once the change is committed."""
    pipelines = Pipeline.objects.filter(destination_id__in=list(destination_ids))
    pipelines.update(next_run_at=clock.now())
    _hint(pipelines.values_list("pk", flat=True))


def _hint(pipeline_ids: Iterable[int]) -> None:
    ids = list(pipeline_ids)
    transaction.on_commit(lambda: [hints.run_pipeline(pipeline_id) for pipeline_id in ids] and None)
