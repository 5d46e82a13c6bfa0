"""Backlogs that near the end of their retention: the owner is told at half of it, while something can still be done."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, transaction
from django.db.models.functions import Now

from hub.delivery.models import Pipeline
from hub.lib.postgres import PgConnection
from hub.observability import log, metrics
from tenants.auditing import Actor, record
from tenants.models import Destination

KEEPER = Actor(label="retention")
TELL_AT = 0.5
# Events are kept for the longest retention in force: partitions are shared.
OLDEST = """
WITH kept AS (SELECT greatest(%(days)s, coalesce(max(retention_days), 0)) AS days FROM tenants_workspace)
SELECT p.id, p.destination_id, p.backlog_told_at IS NOT NULL, w.since, w.since + make_interval(days => kept.days),
       coalesce(w.since < now() - make_interval(days => kept.days) * %(tell_at)s, false)
FROM kept, delivery_pipeline p
LEFT JOIN LATERAL (
    SELECT min(c.at) AS since FROM tenants_connection k
    JOIN event_count c ON c.workspace_id = p.workspace_id AND c.source_id = k.source_id AND c.accepted > 0
        AND (c.epoch = p.cursor_epoch AND c.xid_from > p.cursor_xid::text::xid8 OR c.epoch > p.cursor_epoch)
    WHERE k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = p.workspace_id
          AND i.kind = 'connection' AND i.object_id = k.id
          AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint)
          AND (i.until_epoch IS NULL OR (c.epoch, c.xid_from::text::bigint) < (i.until_epoch, i.until_xid)))
) w ON true
WHERE p.kind = 'live'
"""
logger = log.get(__name__)


def warn(connection: PgConnection) -> int:
    """Tell the owners of backlogs past half of retention, once for each time; how many backlogs are."""
    rows = connection.execute(OLDEST, {"days": settings.RETENTION_DAYS, "tell_at": TELL_AT}).fetchall()
    at_risk = 0
    for pipeline_id, destination_id, was_told, since, ends_at, is_old in rows:
        at_risk += bool(is_old)
        if is_old and not was_told:
            _tell(int(str(pipeline_id)), UUID(str(destination_id)), _moment(since), _moment(ends_at))
        elif was_told and not is_old:
            connection.execute("UPDATE delivery_pipeline SET backlog_told_at = NULL WHERE id = %s", [pipeline_id])
    metrics.backlogs_at_risk.set(at_risk)
    return at_risk


def _moment(value: object) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else ""


def _tell(pipeline_id: int, destination_id: UUID, since: str, ends_at: str) -> None:
    close_old_connections()
    with transaction.atomic():
        if not Pipeline.objects.filter(pk=pipeline_id, backlog_told_at=None).update(backlog_told_at=Now()):
            return
        destination = Destination.unscoped.get(pk=destination_id)
        notes = {"waiting_since": since, "expires_from": ends_at}
        record(KEEPER, "destination.backlog_near_retention", destination, label=destination.slug, notes=notes)
    logger.warning("backlog_near_retention", pipeline=pipeline_id, waiting_since=since, expires_from=ends_at)
