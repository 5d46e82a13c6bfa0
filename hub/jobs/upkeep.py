"""The chores of jobs: hints for those that are due, the gauge, and an end for old rows."""

from __future__ import annotations

from uuid import UUID

from hub.jobs import hints
from hub.jobs.models import Job
from hub.lib.postgres import PgConnection
from hub.observability import metrics

HINTS_AT_ONCE = 50
KEPT_DAYS = 90
# A workspace's oldest first, and of each workspace one in turn: a hundred jobs buy no more turns than one.
DUE = """
SELECT j.id FROM (
    SELECT id, next_run_at, row_number() OVER (PARTITION BY workspace_id ORDER BY next_run_at, id) AS place
    FROM jobs_job
    WHERE state IN ('queued', 'running') AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
) j
ORDER BY j.place, j.next_run_at LIMIT %s
"""
STATES = "SELECT state, count(*) FROM jobs_job GROUP BY state"
FORGET = """
DELETE FROM jobs_job WHERE state IN ('done', 'cancelled', 'failed') AND ended_at < now() - make_interval(days => %s)
"""


def hint_due(connection: PgConnection) -> int:
    """Hint at jobs that are due and that nobody has; their first hint may be lost, or their worker may have died."""
    found = [UUID(str(row[0])) for row in connection.execute(DUE, [HINTS_AT_ONCE]).fetchall()]
    for job_id in found:
        hints.run_job(job_id)
    return len(found)


def measure(connection: PgConnection) -> None:
    """Publish how many jobs are in which state."""
    counted = {str(row[0]): int(str(row[1])) for row in connection.execute(STATES).fetchall()}
    for state in Job.State.values:
        metrics.jobs.labels(state).set(counted.get(state, 0))


def forget_old(connection: PgConnection) -> None:
    """Remove jobs that ended long ago; the audit trail keeps who started them."""
    connection.execute(FORGET, [KEPT_DAYS])
