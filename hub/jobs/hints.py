"""Hints: Celery messages that say "look at this soon". They may be lost; sending one never waits long.

The publisher has a connection of its own with short time-outs, because a broker that is frozen and not dead would hold
a publisher for as long as its socket allows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError

from hub.observability import log

RUN_JOB = "hub.jobs.tasks.run_job"
QUEUE = "background"
EXPIRES_SECONDS = 60
logger = log.get(__name__)
_local = threading.local()


def run_job(job_id: UUID) -> bool:
    """Tell the workers that a job is due. False when the broker does not take the message."""
    return send(RUN_JOB, [job_id], QUEUE)


def send(task: str, arguments: Sequence[int | str | UUID], queue: str) -> bool:
    """Publish one hint by the task's name."""
    try:
        _publisher().send_task(
            task,
            args=[str(each) if isinstance(each, UUID) else each for each in arguments],
            queue=queue,
            expires=EXPIRES_SECONDS,
            retry=False,
            ignore_result=True,
        )
    except (OperationalError, OSError) as error:
        logger.warning("hint_not_sent", task=task, error=type(error).__name__)
        return False
    return True


def _publisher() -> Celery:
    """This thread's publishing application."""
    found: Celery | None = getattr(_local, "app", None)
    if found is None:
        found = _local.app = Celery("headwater-hints", broker=settings.REDIS_URL, set_as_current=False)
        found.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            broker_pool_limit=1,
            broker_transport_options={"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "max_retries": 0},
            broker_connection_timeout=0.2,
        )
    return found
