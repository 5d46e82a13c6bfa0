"""How a replay goes on and ends: who is barred meanwhile, and what is cleared away when it is over.

A replay is over when its cursor is at its end and nothing of it waits for another try, or when it was cancelled and the
last turn of it has let go. Then live events of an ordered destination may go on.
"""

from __future__ import annotations

from django.db import close_old_connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from hub.delivery import hints
from hub.delivery.leases import Lease
from hub.delivery.models import Pipeline, Replay, RetryRow
from hub.delivery.repair.acts import current_connection
from hub.events.cursors import NO_END
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from hub.observability import log, metrics
from tenants.auditing import Actor, record

ACTIVE = (Replay.State.RUNNING, Replay.State.PAUSED)
DELIVERY = Actor(label="delivery")
BARRED = """
SELECT CASE WHEN p.kind = 'live' THEN p.held_by_replay IS NOT NULL
       ELSE NOT EXISTS (SELECT FROM delivery_replay y WHERE y.id = p.replay_id AND y.state = 'running') END
FROM delivery_pipeline p WHERE p.id = %s
"""
# The oldest replay at an ordered destination has its live events wait; whoever ends makes room for the next.
HOLD = """
UPDATE delivery_pipeline p SET held_by_replay = y.id
FROM (SELECT DISTINCT ON (o.destination_id) o.id, o.destination_id
      FROM delivery_replay o JOIN tenants_destination d ON d.id = o.destination_id
      WHERE o.state IN ('running', 'paused') AND d.ordering = 'per_user'
      ORDER BY o.destination_id, o.created_at, o.id) y
WHERE p.destination_id = y.destination_id AND p.kind = 'live' AND p.held_by_replay IS NULL
"""
FREE = """
UPDATE delivery_pipeline p SET held_by_replay = NULL, next_run_at = now()
FROM tenants_destination d
WHERE d.id = p.destination_id AND p.held_by_replay IS NOT NULL AND d.ordering <> 'per_user'
"""
# One that ended in between, or lost its worker, or is to go on and nobody knows.
OPEN = """
SELECT p.id FROM delivery_pipeline p JOIN delivery_replay y ON y.id = p.replay_id
WHERE p.kind = 'replay' AND (y.state = 'running' OR p.floor_seq < %s)
"""
WAKE = """
UPDATE delivery_pipeline p SET next_run_at = now() FROM delivery_replay y
WHERE y.id = p.replay_id AND y.state = 'running' AND p.next_run_at IS NULL AND p.lease_until IS NULL
  AND (p.cursor_epoch, p.cursor_xid, p.cursor_seq) < (p.until_epoch, p.until_xid, p.until_seq)
"""
# A floor without end says that a cancelled one has been cleared away.
OVER = """
SELECT (p.lease_until IS NULL OR p.lease_until < now()) AND CASE y.state
    WHEN 'cancelled' THEN p.floor_seq < %(no_end)s
    WHEN 'running' THEN (p.cursor_epoch, p.cursor_xid, p.cursor_seq) >= (p.until_epoch, p.until_xid, p.until_seq)
        AND NOT EXISTS (SELECT FROM delivery_retry r WHERE r.pipeline_id = p.id)
    ELSE false END
FROM delivery_pipeline p JOIN delivery_replay y ON y.id = p.replay_id WHERE p.id = %(id)s
"""
logger = log.get(__name__)


def is_barred(connection: PgConnection, lease: Lease) -> bool:
    """Whether the pipeline has to wait: its replay was paused or cancelled, or a replay has its live events wait."""
    row = connection.execute(BARRED, [lease.pipeline_id]).fetchone()
    return bool(row and row[0])


def look_after(connection: PgConnection) -> None:
    """See to it that every replay goes on or ends, and that whoever has to wait for one does."""
    close_old_connections()
    connection.execute(FREE)
    connection.execute(HOLD)
    for row in connection.execute(OPEN, [NO_END]).fetchall():
        conclude(int(str(row[0])))
    connection.execute(WAKE)
    metrics.replays_active.set(Replay.objects.filter(state__in=ACTIVE).count())


def conclude(pipeline_id: int) -> bool:
    """End the replay of this pipeline if it is over and nobody runs it; whether it has ended now."""
    with postgres.pool().connection() as connection:
        if not _is_over(connection, pipeline_id):
            return False
    with transaction.atomic():
        pipeline = Pipeline.objects.get(pk=pipeline_id)
        lock(pipeline)
        if not _is_over(current_connection(), pipeline_id):
            return False
        _end(pipeline)
        return True


def lock(pipeline: Pipeline) -> None:
    """Lock all pipelines of the destination in order, as repair does; whoever holds one is waited for."""
    list(Pipeline.objects.filter(destination_id=pipeline.destination_id).order_by("pk").select_for_update())


def _is_over(connection: PgConnection, pipeline_id: int) -> bool:
    row = connection.execute(OVER, {"id": pipeline_id, "no_end": NO_END}).fetchone()
    return bool(row and row[0])


def _end(pipeline: Pipeline) -> None:
    """Note the end, clear away what a cancelled one leaves, keep no partition any more, and let live events go on."""
    replay = Replay.objects.select_for_update().get(pk=str(pipeline.replay_id))
    RetryRow.objects.filter(pipeline=pipeline).delete()
    Pipeline.objects.filter(pk=pipeline.pk).update(
        floor_seq=NO_END,
        next_run_at=None,
        fence=F("fence") + 1,
        lease_until=None,
        owner="",
        wanted=False,
        circuit=Pipeline.Circuit.CLOSED,
        held_until=None,
        held_reason="",
    )
    waiting = Pipeline.objects.filter(held_by_replay=replay.pk)
    live = list(waiting.values_list("pk", flat=True))
    waiting.update(held_by_replay=None, next_run_at=Now())
    transaction.on_commit(lambda: [hints.run_pipeline(each) for each in live] and None)
    if replay.state != Replay.State.CANCELLED:
        Replay.objects.filter(pk=replay.pk).update(state=Replay.State.DONE, ended_at=Now(), note="")
        record(DELIVERY, "replay.ended", replay, label=str(replay), notes=books_of(replay))
        metrics.replays.labels("done").inc()
    logger.info("replay_ended", replay=str(replay.pk), state=replay.state, **books_of(replay))


def books_of(replay: Replay) -> dict[str, int]:
    """A replay's books. `open` waits for another try; of a cancelled one it is what was given up."""
    ends = {name: getattr(replay, name) for name in ("delivered", "filtered", "dead", "expired")}
    return {"seen": replay.seen, **ends, "open": replay.seen - sum(ends.values())}
