"""The queues of work: what lies in the broker, and what is due by the tables, which alone are the truth.

A hint may be lost, so a queue that is empty in the broker says little; what is due and has no worker says all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
import redis
from django.conf import settings
from django.db import connection

from hub.delivery.hints import FAST, SLOW
from hub.delivery.services import IS_APART, MAY_RUN
from hub.jobs.hints import EXPIRES_SECONDS
from hub.jobs.hints import QUEUE as BACKGROUND

QUEUES = (FAST, SLOW, BACKGROUND)
TIMEOUT_SECONDS = 0.5
DUE = f"""
SELECT CASE WHEN {IS_APART} THEN '{SLOW}' ELSE '{FAST}' END, count(*), min(p.next_run_at)
FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id
WHERE p.next_run_at <= now() AND (p.lease_until IS NULL OR p.lease_until < now()) AND {MAY_RUN} GROUP BY 1
UNION ALL
SELECT '{BACKGROUND}', count(*), min(next_run_at) FROM jobs_job
WHERE state IN ('queued', 'running') AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
"""  # noqa: S608 - our own constants


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. `hints` is None when the broker does not answer."""

    name: str
    hints: int | None = None
    oldest_hint_at: datetime | None = None
    due: int = 0
    due_since: datetime | None = None


def look() -> list[Queue]:
    """All queues as they stand, with one query and one round trip to the broker."""
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        due = {name: (count, since) for name, count, since in cursor.fetchall()}
    told = _hints()
    found = []
    for name in QUEUES:
        length, sent_at = told.get(name, (None, None))
        count, since = due.get(name, (0, None))
        found.append(Queue(name, length, sent_at, count, since))
    return found


def _hints() -> dict[str, tuple[int, datetime | None]]:
    """How many messages each list of the broker holds, and when the oldest was sent. Nothing when it is away."""
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        ) as client:
            pipe = client.pipeline(transaction=False)
            for name in QUEUES:
                pipe.llen(name)
                pipe.lindex(name, -1)
            answers = pipe.execute()
    except redis.RedisError:
        return {}
    pairs = zip(answers[::2], answers[1::2], strict=True)
    return {name: (int(length), _sent_at(oldest)) for name, (length, oldest) in zip(QUEUES, pairs, strict=True)}


def _sent_at(message: bytes | None) -> datetime | None:
    """When a hint was sent: a fixed time before it expires. None of a message that is not ours."""
    if message is None:
        return None
    try:
        headers = cast(dict[str, Any], orjson.loads(message))["headers"]
        return datetime.fromisoformat(headers["expires"]) - timedelta(seconds=EXPIRES_SECONDS)
    except (ValueError, KeyError, TypeError):
        return None
