"""People who sign in to the admin, and rows of every log table for them to look at, made in the test's transaction."""

from __future__ import annotations

from array import array
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from hub.delivery.models import DeadLetter, OutcomeCount, Pipeline, RetryRow, WorkerBeat
from hub.lib import clock
from hub.lib.ids import key8
from tenants.models import Destination, Source, User
from tests import factories

EVENT = """
INSERT INTO event_log (workspace_id, source_id, epoch, received_at, message_key, user_key, type, event_name, user_id,
    message_id, body)
VALUES (%s, %s, 1, now(), %s, %s, 'track', %s, %s, %s, %s) RETURNING seq
"""
ATTEMPT = """
INSERT INTO delivery_attempt (seq, workspace_id, destination_id, delivery_id, message_id, at, attempt, outcome, reason,
    status_code, duration_ms, request, response, worker)
VALUES (%s, %s, %s, %s, 'm', now(), 1, 'retry', %s, 500, 12, %s, %s, 'w') RETURNING id
"""
BATCH = """
INSERT INTO delivery_batch (seq, seq_min, workspace_id, destination_id, pipeline_id, fence, at, mappings, event_count,
    delivered, filtered, failed, is_retry, seqs, outcomes, reasons, statuses, durations)
VALUES (%s, %s, %s, %s, %s, 1, coalesce(%s, now()), %s, %s, 0, 0, 0, false, %s, %s, %s, %s, %s) RETURNING id
"""
REJECTED = """
INSERT INTO event_rejected (workspace_id, source_id, code, message_type, event_name, message_id, sample)
VALUES (%s, %s, 'invalid', %s, %s, %s, %s) RETURNING id
"""


def make_staff(group: str = "", email: str = "", **flags: Any) -> User:
    """Somebody of a group, or a superuser when `is_superuser` is given."""
    user = factories.make_user(email or f"{group or 'root'}@staff.test".lower(), password="correct horse")
    user.is_staff = True
    for name, value in flags.items():
        setattr(user, name, value)
    user.save()
    if group:
        user.groups.add(Group.objects.get(name=group))
    return user


def signed_in(group: str = "") -> Client:
    """A browser in which somebody of the group has signed in; without a group it is a superuser."""
    client = Client()
    client.force_login(make_staff(group, is_superuser=not group))
    return client


def one(statement: str, values: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return int(row[0])


def make_event(
    source: Source, *, name: str = "Order", user: str = "ada@acme.test", message: str = "m", body: str = "{}"
) -> int:
    return one(EVENT, [source.workspace_id, source.pk, key8(message), key8(user), name, user, message, body])


def make_pipeline(destination: Destination) -> Pipeline:
    return Pipeline.objects.create(
        workspace_id=destination.workspace_id, destination_id=destination.pk, cursor_epoch=1, cursor_xid=0, cursor_seq=0
    )


def make_retry(pipeline: Pipeline, source: Source, seq: int, **values: Any) -> RetryRow:
    now = clock.now()
    return RetryRow.objects.create(
        **{
            "workspace_id": pipeline.workspace_id, "destination_id": pipeline.destination_id, "pipeline": pipeline,
            "source_id": source.pk, "seq": seq, "xid": 1, "day": now.date(), "user_key": 7, "first_at": now,
            "next_run_at": now, "reason": "timeout", **values,
        }
    )  # fmt: skip


def make_letter(pipeline: Pipeline, source: Source, seq: int, **values: Any) -> DeadLetter:
    now = clock.now()
    return DeadLetter.objects.create(
        **{
            "workspace_id": pipeline.workspace_id, "destination_id": pipeline.destination_id, "pipeline": pipeline,
            "source_id": source.pk, "seq": seq, "xid": 1, "day": now.date(), "user_key": 7, "message_id": "m",
            "reason": "bad_request", "status_code": 400, "attempts": 3, "first_at": now, "at": now, **values,
        }
    )  # fmt: skip


def make_attempt(
    pipeline: Pipeline, seq: int, *, delivery_id: str = "msg_x", text: str = "{}", reason: str = ""
) -> int:
    values = [seq, pipeline.workspace_id, pipeline.destination_id, delivery_id, reason, text, text]
    return one(ATTEMPT, values)


def make_batch(pipeline: Pipeline, seqs: list[int], statuses: list[int], *, at: Any = None, reason: str = "") -> int:
    """A batch that decided these events; the statuses are those of `outcomes.Status`."""
    count = len(seqs)
    return one(
        BATCH,
        [
            max(seqs), min(seqs), pipeline.workspace_id, pipeline.destination_id, pipeline.pk, at,
            f'{{"reasons": ["{reason}"]}}', count, array("q", seqs).tobytes(), bytes(statuses), bytes(count),
            array("h", [200] * count).tobytes(), array("h", [5] * count).tobytes(),
        ],
    )  # fmt: skip


def make_rejected(source: Source, text: str = "x") -> int:
    return one(REJECTED, [source.workspace_id, source.pk, text, text, text, text])


def make_books(pipeline: Pipeline, source_id: UUID) -> None:
    OutcomeCount.objects.create(
        workspace_id=pipeline.workspace_id, destination_id=pipeline.destination_id, source_id=source_id,
        day=clock.now().date(), delivered=1,
    )  # fmt: skip


def make_beat(name: str = "worker") -> None:
    now = clock.now()
    WorkerBeat.objects.create(name=name, slots=50, started_at=now, beat_at=now, taken_at=now)
