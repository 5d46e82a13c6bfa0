"""Leases and fences, with two connections that want the same pipeline."""

from __future__ import annotations

import threading

import pytest
from django.db import connection as django_connection
from psycopg import Connection

from hub.delivery import leases, outcomes, services
from hub.delivery.models import Batch, OutcomeCount, Pipeline, RetryRow
from hub.delivery.outcomes import ChunkOutcome, Decided, RetryDraft, Status
from hub.events.cursors import LogRow, Position, read_rows
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, message
from tests.delivery.works import eventually
from tests.factories import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pipeline(source: Source) -> Pipeline:
    destination = factories.make_destination(source.workspace, sources=[source])
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return Pipeline.objects.get(destination_id=destination.pk)


def expire(pipeline: Pipeline) -> None:
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s' WHERE id = %s", [pipeline.pk]
        )


def test_of_two_claims_one_wins_and_the_loser_leaves_a_wish(pipeline: Pipeline) -> None:
    with postgres.connect() as first, postgres.connect() as second:
        lease = leases.claim(first, pipeline.pk, "first")
        assert lease is not None
        assert leases.claim(second, pipeline.pk, "second") is None
        assert leases.release(first, lease, has_more=False, is_slow=False) is True


def test_a_release_that_nobody_waited_for_says_so(pipeline: Pipeline) -> None:
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline.pk, "one")
        assert lease is not None
        assert leases.release(connection, lease, has_more=False, is_slow=False) is False


def test_each_claim_raises_the_fence(pipeline: Pipeline) -> None:
    with postgres.connect() as connection:
        fences = []
        for _ in range(3):
            lease = leases.claim(connection, pipeline.pk, "one")
            assert lease is not None
            fences.append(lease.fence)
            leases.release(connection, lease, has_more=False, is_slow=False)
    assert fences == sorted(set(fences))


def test_a_lease_that_ran_out_passes_on_and_the_old_holder_can_write_nothing(
    pipeline: Pipeline, source: Source
) -> None:
    (seq,) = append(source, [message(1)])
    with postgres.connect() as old, postgres.connect() as new:
        stale = leases.claim(old, pipeline.pk, "old")
        expire(pipeline)
        fresh = leases.claim(new, pipeline.pk, "new")
        assert stale is not None and fresh is not None
        assert fresh.has_expired
        row = read_rows(old, source.workspace_id, [seq])[seq]
        assert not outcomes.commit(old, stale, decided(row), {}, "old")
        assert not leases.renew(old, stale)
        assert (Batch.objects.filter(pipeline_id=pipeline.pk).count(), RetryRow.objects.count()) == (0, 0)
        assert outcomes.commit(new, fresh, decided(row), {}, "new")
    assert OutcomeCount.objects.get(destination_id=pipeline.destination_id).delivered == 1
    assert RetryRow.objects.count() == 1


def decided(row: LogRow) -> ChunkOutcome:
    """One event delivered, and a retry row, so that every table has something to write."""
    return ChunkOutcome(
        position=Position(1, row.xid, row.seq),
        decided=[Decided(row, Status.DELIVERED, "", 200, 3.0)],
        retries=[RetryDraft(row, None, "retry", 1, 10.0, "server_error", 500)],
    )


def test_a_row_at_the_cursors_own_event_is_another_place_to_die_at(pipeline: Pipeline) -> None:
    """Two workers died at the cursor, whose last event waits in a row; one dies over that row: it is not the third."""
    at_the_cursor = {"cursor_seq": 5, "crash_seq": 5, "crash_count": 2, "inflight_seq": 5, "inflight_is_row": True}
    Pipeline.objects.filter(pk=pipeline.pk).update(**at_the_cursor)
    with postgres.connect() as connection:
        counts = []
        for _ in range(2):
            expire(pipeline)
            lease = leases.claim(connection, pipeline.pk, "one")
            assert lease is not None
            counts.append(lease.crash_count)
        assert counts == [2, 3]


def test_releasing_says_when_to_look_again(pipeline: Pipeline, source: Source) -> None:
    (seq,) = append(source, [message(1)])
    with postgres.connect() as connection:
        assert after_release(connection, pipeline, has_more=False) is None
        assert after_release(connection, pipeline, has_more=True) is not None
        lease = leases.claim(connection, pipeline.pk, "one")
        assert lease is not None
        row = read_rows(connection, source.workspace_id, [seq])[seq]
        outcomes.commit(connection, lease, decided(row), {}, "one")
        leases.release(connection, lease, has_more=False, is_slow=False)
    pipeline.refresh_from_db()
    assert pipeline.next_run_at == RetryRow.objects.get().next_run_at


def after_release(connection: Connection[Row], pipeline: Pipeline, *, has_more: bool) -> object:
    lease = leases.claim(connection, pipeline.pk, "one")
    assert lease is not None
    leases.release(connection, lease, has_more=has_more, is_slow=False)
    pipeline.refresh_from_db()
    return pipeline.next_run_at


def test_a_resumed_destinations_shards_are_locked_in_order(pipeline: Pipeline) -> None:
    """Repair and shards that learn hold the first and ask for the next; the other way round both would wait."""
    second = Pipeline.objects.get(pk=pipeline.pk)
    second.pk, second.shard = None, 1
    second.save()
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_pipeline SET is_slow = true WHERE shard = 0")  # now behind the other
        actor = threading.Thread(target=resume, args=(pipeline,))
        with connection.transaction():
            connection.execute("SELECT FROM delivery_pipeline WHERE id = %s FOR UPDATE", [pipeline.pk])
            actor.start()
            assert eventually(lambda: connection.execute(IS_WAITED_FOR).fetchone() == (True,))
            connection.execute("SELECT FROM delivery_pipeline WHERE id = %s FOR UPDATE", [second.pk])
        actor.join(30)


# Of the locks, not of the activity: that is looked at once in a transaction, and then remembered.
IS_WAITED_FOR = """
SELECT EXISTS (SELECT FROM pg_locks k WHERE NOT k.granted AND pg_backend_pid() = ANY(pg_blocking_pids(k.pid)))
"""


def resume(pipeline: Pipeline) -> None:
    try:
        services.resume(Destination.unscoped.get(pk=pipeline.destination_id), TESTER)
    finally:
        django_connection.close()
