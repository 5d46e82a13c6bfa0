"""The Celery application. A message is only a hint to look at something soon: any of them may be lost.

So there is no result, no ETA, no retry and no payload here; ids travel, the tables hold the truth.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

from django.conf import settings

from hub.observability import log

QUEUES = ("deliver_fast", "deliver_slow", "background")
app = Celery("headwater")
app.conf.update(
    broker_url=settings.REDIS_URL,
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="background",
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    task_acks_late=False,
    broker_pool_limit=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "visibility_timeout": 3600,
    },
    timezone="UTC",
)
app.autodiscover_tasks(["hub.delivery", "hub.jobs"])


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    log.set_up()
