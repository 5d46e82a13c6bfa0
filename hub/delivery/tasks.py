"""Celery's side of delivery: a hint names a workspace or a pipeline, the tables say what there is to do.

Old and new processes run side by side during a deploy, so a task only ever gains optional arguments, and takes what a
newer version may add.
"""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from hub.delivery import hints, loop, services, worker


@shared_task(name="hub.delivery.tasks.wake_workspace")
def wake_workspace(workspace_id: str, *_newer: object, **_named: object) -> None:
    """Something was accepted in this workspace: tell as many of its pipelines as there is room for."""
    own = worker.current()
    for pipeline_id, is_slow in services.idle_pipelines(UUID(workspace_id), own.slots - own.active):
        hints.run_pipeline(pipeline_id, is_slow=is_slow)


@shared_task(name=hints.RUN_PIPELINE)
def run_pipeline(pipeline_id: int, *_newer: object, **_named: object) -> None:
    """Run one turn, and ask for another when there is more."""
    own = worker.current()
    if not own.enter():
        return
    try:
        ended = loop.run_turn(pipeline_id, own)
        is_crowded = own.is_crowded()
    finally:
        own.leave()
    if ended.again and not own.is_stopping and not is_crowded:  # else the scheduler says who is next
        hints.run_pipeline(pipeline_id, is_slow=ended.is_slow)
