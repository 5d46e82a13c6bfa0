"""The gauges of the log and of delivery: what the tables hold now, published for whoever scrapes.

A workspace that has once been among the furthest behind keeps its series, at its true value, for as long as this
process lives: a series that merely stopped would look like one that is still behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.lib.postgres import PgConnection
from hub.observability import log, metrics
from tenants.checks import KEY_IDS_IN_USE, over_all_sealed
from tenants.credentials import ring

HORIZON_ALARM_SECONDS = 5.0
WORKSPACES_SHOWN = 10
GAUGES = """
SELECT (SELECT count(*) FROM delivery_retry),
       (SELECT count(*) FROM delivery_pipeline WHERE circuit = 'open'),
       (SELECT coalesce(extract(epoch FROM now() - min(a.xact_start)), 0) FROM pg_stat_activity a
        WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid())
"""
# The oldest event beyond each live cursor that its destination is owed, and the oldest that is tried again. One look
# into an index for each connection and each pipeline, however much waits.
OLDEST = """
WITH ages AS (
    SELECT p.workspace_id, c.at FROM delivery_pipeline p
    JOIN tenants_destination d ON d.id = p.destination_id AND d.is_enabled AND d.deleted_at IS NULL
    JOIN tenants_connection k
      ON k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id AND k.is_enabled
    JOIN tenants_subscriptioninterval i
      ON i.workspace_id = p.workspace_id AND i.kind = 'connection' AND i.object_id = k.id AND i.until_epoch IS NULL
    JOIN LATERAL (
        SELECT c.at FROM event_count c
        WHERE c.workspace_id = p.workspace_id AND c.source_id = k.source_id AND c.accepted > 0
          AND (c.epoch, c.xid_to) > (p.cursor_epoch, p.cursor_xid::text::xid8)
          AND (c.epoch, c.xid_to) >= (i.from_epoch, i.from_xid::text::xid8)
        ORDER BY c.epoch, c.xid_to LIMIT 1) c ON true
    WHERE p.kind = 'live'
    UNION ALL
    SELECT p.workspace_id, r.at FROM delivery_pipeline p
    JOIN LATERAL (
        SELECT coalesce(e.received_at, r.first_at) AS at FROM delivery_retry r
        LEFT JOIN event_log e ON e.seq = r.seq
        WHERE r.pipeline_id = p.id ORDER BY r.seq LIMIT 1) r ON true
    WHERE p.kind = 'live'
)
SELECT w.slug, greatest(extract(epoch FROM now() - min(a.at)), 0)::float8 AS age
FROM ages a JOIN tenants_workspace w ON w.id = a.workspace_id GROUP BY w.slug ORDER BY age DESC, w.slug
"""
BLOCKER = """
SELECT pid, usename, left(query, 60) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start LIMIT 1
"""
logger = log.get(__name__)


@dataclass(slots=True)
class Measure:
    """Publishes the gauges, and names whoever holds the horizon back."""

    shown: set[str] = field(default_factory=set)

    def __call__(self, connection: PgConnection) -> None:
        row = connection.execute(GAUGES).fetchone()
        if row is not None:
            retrying, open_circuits, lag = (float(str(value)) for value in row)
            metrics.retry_rows.set(retrying)
            metrics.circuit_open.set(open_circuits)
            metrics.horizon_lag.set(lag)
            _tell_blocker(connection, lag)
        ages = {str(slug): float(str(age)) for slug, age in connection.execute(OLDEST).fetchall()}
        self._publish_ages(ages)
        found = connection.execute(over_all_sealed(KEY_IDS_IN_USE).encode()).fetchall()
        _publish_keys({str(key): int(str(count)) for key, count in found})

    def _publish_ages(self, ages: Mapping[str, float]) -> None:
        """The oldest of all without a workspace, as an empty label is none; then those furthest behind."""
        metrics.oldest_undelivered.labels("").set(max(ages.values(), default=0.0))
        self.shown.update(list(ages)[:WORKSPACES_SHOWN])
        for slug in self.shown:
            metrics.oldest_undelivered.labels(slug).set(ages.get(slug, 0.0))


def _publish_keys(counted: Mapping[str, int]) -> None:
    """Every key of the ring, the unused ones with 0: only a key that shows 0 may be taken out."""
    for key_id in {*ring().key_ids, *counted}:
        metrics.secret_key_rows.labels(key_id).set(counted.get(key_id, 0))


def _tell_blocker(connection: PgConnection, lag: float) -> None:
    if lag <= HORIZON_ALARM_SECONDS:
        return
    found = connection.execute(BLOCKER).fetchone()
    if found is not None:
        logger.error("horizon_held", seconds=round(lag, 1), pid=found[0], user=found[1])


measure = Measure()
