"""Celery's side of jobs: a hint names a job, its row says what there is to do."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from hub.jobs import hints, runner
from hub.lib import background


@shared_task(name=hints.RUN_JOB)
def run_job(job_id: str, *_newer: object, **_named: object) -> None:
    """Take a turn, and ask for another when there is more to do."""
    with background.turn() as has_room:
        has_more = has_room and runner.run(UUID(job_id))
    if has_more:
        hints.run_job(UUID(job_id))
