"""Hints to workers that a pipeline has something to do. They may be lost; sending one never waits long."""

from __future__ import annotations

from hub.jobs.hints import send

RUN_PIPELINE = "hub.delivery.tasks.run_pipeline"
FAST, SLOW = "deliver_fast", "deliver_slow"


def run_pipeline(pipeline_id: int, *, is_slow: bool = False) -> bool:
    """Tell the workers that a pipeline has something to do. False when the broker does not take the message."""
    return send(RUN_PIPELINE, [pipeline_id], SLOW if is_slow else FAST)
