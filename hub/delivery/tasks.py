"""Celery's side of delivery: a hint names a workspace or a pipeline, the tables say what there is to do."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from hub.delivery import hints, loop, services, worker


@shared_task(name="hub.delivery.tasks.wake_workspace")
def wake_workspace(workspace_id: str) -> None:
    """Something was accepted in this workspace."""
    for pipeline_id, is_slow in services.idle_pipelines(UUID(workspace_id)):
        hints.run_pipeline(pipeline_id, is_slow=is_slow)


@shared_task(name=hints.RUN_PIPELINE)
def run_pipeline(pipeline_id: int) -> None:
    """Run one turn, and ask for another when there is more."""
    own = worker.current()
    own.enter()
    try:
        ended = loop.run_turn(pipeline_id, own)
    finally:
        own.leave()
    if ended.again and not own.is_stopping:
        hints.run_pipeline(pipeline_id, is_slow=ended.is_slow)
