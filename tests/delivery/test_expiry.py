"""Retention and backlogs: what nobody could deliver in time ends as expired, counted to the unit."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hub.delivery import backlog, expiry, services
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, books, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def expire(until: int) -> expiry.Expired:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        return expiry.expire_before(connection, until)


def test_a_backlog_behind_retention_expires_and_later_events_still_arrive(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    old = append(source, [message(n) for n in range(5)])
    append(source, [message(9)])
    assert expire(old[-1] + 1) == expiry.Expired(waiting=5, retrying=0)
    assert books(hook) == {"eligible": 6, "waiting": 1, "expired": 5}
    run(hook, worker)
    assert books(hook) == {"eligible": 6, "delivered": 1, "expired": 5}


def test_events_of_other_sources_do_not_count_as_expired(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    other = factories.make_source(source.workspace, "other")
    append(source, [message(1)])
    last = append(other, [message(2), message(3)])
    assert expire(last[-1] + 1).waiting == 1
    assert books(hook) == {"eligible": 1, "expired": 1}


def test_a_retry_row_behind_retention_expires(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.script("/f", [500]), sources=[source])
    seqs = append(source, [message(1)])
    run(hook, worker)
    assert expire(seqs[0] + 1) == expiry.Expired(waiting=0, retrying=1)
    assert books(hook) == {"eligible": 1, "expired": 1}


def test_a_pipeline_that_runs_is_left_alone(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    seqs = append(source, [message(1)])
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        connection.execute("UPDATE delivery_pipeline SET lease_until = now() + interval '45 s'")
    assert expire(seqs[0] + 1).waiting == 0
    assert books(hook) == {"eligible": 1, "waiting": 1}


def test_a_caught_up_pipeline_only_raises_its_floor(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    seqs = append(source, [message(1)])
    run(hook, worker)
    assert expire(seqs[0] + 1).waiting == 0
    assert Pipeline.objects.get(destination_id=hook.pk).floor_seq >= seqs[0] + 1
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_an_event_of_which_a_part_is_dead_ends_as_dead(source: Source, receiver: Receiver, worker: Worker) -> None:
    mappings = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"part": name}}}
        for name in ("one", "two")
    ]
    url = receiver.script("/p", [400, 500])
    hook = factories.make_destination(source.workspace, "hook", url=url, sources=[source], mappings=mappings)
    seqs = append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    assert expire(seqs[0] + 1).retrying == 1
    assert books(hook) == {"eligible": 1, "dead": 1}


def test_the_retry_row_of_a_replay_leaves_the_books_alone(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.script("/f", [500]), sources=[source])
    append(source, [message(1)])
    run(hook, worker)
    Pipeline.objects.filter(destination_id=hook.pk).update(kind=Pipeline.Kind.REPLAY, replay_id=uuid4())
    with postgres.connect() as connection:
        rows = connection.execute("SELECT id, source_id, seq FROM delivery_retry").fetchall()
        backlog.expire(connection, [backlog.Lost(*row) for row in rows])  # type: ignore[arg-type]
        assert connection.execute("SELECT sum(expired) FROM delivery_count").fetchone() == (None,)
