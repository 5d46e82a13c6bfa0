"""Run a job for some seconds: claim it, take steps, let go. Whatever happens to this process, no step is half done.

A step's changes and the job's place are one transaction, made while the job's row is locked. So pausing and cancelling
take effect between two steps, and a runner that was thought dead finds its fence void before it changes anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hub.jobs import kinds
from hub.jobs.errors import JobsError
from hub.jobs.kinds import JobState, Kind, Progress
from hub.jobs.models import Job
from hub.lib import postgres, workers
from hub.lib.postgres import PgConnection
from hub.observability import log
from tenants.auditing import SYSTEM, record

LEASE_SECONDS = 30
TURN_SECONDS = 5.0
FAILURES_BORNE = 5
BACKOFF_SECONDS = 2.0

CLAIM = """
WITH free AS (
    SELECT id, lease_until FROM jobs_job
    WHERE id = %(id)s AND state IN ('queued', 'running') AND next_run_at <= now()
      AND (lease_until IS NULL OR lease_until < now())
    FOR UPDATE SKIP LOCKED
)
UPDATE jobs_job j SET state = 'running', fence = j.fence + 1, owner = %(owner)s,
    lease_until = now() + make_interval(secs => %(lease)s), next_run_at = now() + make_interval(secs => %(lease)s),
    started_at = coalesce(j.started_at, now()),
    resumed_at = CASE WHEN j.state = 'queued' THEN now() ELSE j.resumed_at END,
    resumed_done = CASE WHEN j.state = 'queued' THEN j.done ELSE j.resumed_done END
FROM free f WHERE j.id = f.id
RETURNING j.fence, j.kind, f.lease_until IS NOT NULL AS had_died
"""
LOCK = """
SELECT workspace_id, kind, arguments, cursor, done, total FROM jobs_job
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running' FOR UPDATE
"""
SAVE = """
UPDATE jobs_job SET done = done + %(done)s, changed = changed + %(changed)s, cursor = %(cursor)s, note = %(note)s,
    stepped_at = now(), failure_count = 0,
    state = CASE WHEN %(is_over)s THEN 'done' ELSE state END, ended_at = CASE WHEN %(is_over)s THEN now() END,
    lease_until = now() + make_interval(secs => %(lease)s), next_run_at = now() + make_interval(secs => %(lease)s)
WHERE id = %(id)s
"""
RELEASE = """
UPDATE jobs_job SET lease_until = NULL, owner = '',
    next_run_at = now() + make_interval(secs => CASE WHEN state = 'running' THEN %(wait)s ELSE 0 END)
WHERE id = %(id)s AND fence = %(fence)s
"""
# Waits longer each time, and ends as failed when it keeps happening and no step succeeds in between.
BEAR = """
UPDATE jobs_job SET failure_count = failure_count + 1, error = %(error)s,
    state = CASE WHEN failure_count + 1 >= %(borne)s THEN 'failed' ELSE state END,
    ended_at = CASE WHEN failure_count + 1 >= %(borne)s THEN now() END,
    lease_until = NULL, owner = '', next_run_at = now() + make_interval(secs => %(backoff)s * 2 ^ failure_count)
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
RETURNING state
"""
FAIL = """
UPDATE jobs_job SET state = 'failed', error = %(error)s, ended_at = now(), lease_until = NULL, owner = ''
WHERE id = %(id)s AND fence = %(fence)s AND state = 'running'
"""
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to take steps of one job, until it is let go, runs out or somebody else has a higher fence."""

    job_id: UUID
    fence: int
    kind: str

    @property
    def values(self) -> dict[str, object]:
        return {"id": self.job_id, "fence": self.fence, "lease": LEASE_SECONDS}


def run(job_id: UUID, owner: str = "", turn_seconds: float = TURN_SECONDS) -> bool:
    """Take a turn of the job if it is due and free. True when another turn should follow at once.

    1. Claim. 2. Take steps until the job is over, somebody stops it, it wants to wait for longer than the turn, or
    time is up. 3. Let go.
    """
    claim: Claim | None = None
    try:
        with postgres.background_pool().connection() as connection:
            claim = take(connection, job_id, owner or workers.own_name())
            if claim is None:
                return False
            return _take_steps(connection, claim, kinds.load(claim.kind), time.monotonic() + turn_seconds)
    except psycopg.OperationalError as error:
        if claim is None:
            raise
        _bear(claim, error)
    except JobsError as error:
        _fail(claim, str(error))
    except Exception as error:
        logger.exception("job_failed", job=str(job_id))
        _fail(claim, f"{type(error).__name__}: an error in Headwater itself; the log has it.")
    return False


def take(connection: PgConnection, job_id: UUID, owner: str) -> Claim | None:
    """Claim the job; None when it is not due, or somebody else has it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(CLAIM, {"id": job_id, "owner": owner, "lease": LEASE_SECONDS}).fetchone()
    if row is None:
        return None
    if row["had_died"]:
        logger.warning("job_taken_over", job=str(job_id), kind=row["kind"])
    return Claim(job_id, row["fence"], row["kind"])


def _take_steps(connection: PgConnection, claim: Claim, kind: Kind, deadline: float) -> bool:
    wait = 0.0
    while True:
        progress = take_step(connection, claim, kind)
        if progress is None or progress.is_over:
            break
        left = deadline - time.monotonic()
        wait = progress.wait_seconds
        if left <= wait:
            break
        time.sleep(wait)
        wait = 0.0
    connection.execute(RELEASE, {**claim.values, "wait": wait})
    if progress is not None and progress.is_over:
        _note_end(claim)
    return progress is not None and not progress.is_over and not wait


def take_step(connection: PgConnection, claim: Claim, kind: Kind) -> Progress | None:
    """One step and the job's new place, in one transaction. None when the job is no longer this claim's to go on."""
    with connection.transaction():
        with connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(LOCK, claim.values).fetchone()
        if row is None:
            return None
        progress = kind.step(JobState(claim.job_id, **row), connection)
        connection.execute(SAVE, {**claim.values, **_saved(progress)})
    if progress.after is not None:
        progress.after()
    return progress


def _saved(progress: Progress) -> Mapping[str, object]:
    return {
        "done": progress.done,
        "changed": progress.changed,
        "cursor": Jsonb(dict(progress.cursor)),
        "note": progress.note[:300],
        "is_over": progress.is_over,
    }


def _note_end(claim: Claim, action: str = "job.done") -> None:
    job = Job.unscoped.get(pk=claim.job_id)
    notes = {"kind": job.kind, "done": job.done, "changed": job.changed, "total": job.total, "error": job.error}
    record(SYSTEM, action, job, label=kinds.title_of(job.kind), notes=notes)
    logger.info(action.replace(".", "_"), job=str(job.pk), kind=job.kind, done=job.done, changed=job.changed)


def _bear(claim: Claim, error: psycopg.OperationalError) -> None:
    """A deadlock, a time-out or a lost connection: what the step did is undone, and it is tried again a little later.

    When the database is gone nothing can be written down here either; the lease runs out by itself.
    """
    logger.warning("job_step_undone", job=str(claim.job_id), kind=claim.kind, error=type(error).__name__)
    values = {"error": f"The database undid a step: {type(error).__name__}.", "borne": FAILURES_BORNE}
    with postgres.connect() as connection:
        row = connection.execute(BEAR, {**claim.values, **values, "backoff": BACKOFF_SECONDS}).fetchone()
    if row and row[0] == Job.State.FAILED:
        _note_end(claim, "job.failed")


def _fail(claim: Claim | None, error: str) -> None:
    if claim is None:
        return
    logger.error("job_ended_badly", job=str(claim.job_id), kind=claim.kind)
    with postgres.connect() as connection:
        has_failed = connection.execute(FAIL, {**claim.values, "error": error[:500]}).rowcount
    if has_failed:
        _note_end(claim, "job.failed")
