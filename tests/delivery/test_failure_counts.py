"""The kept counts of failures are what a scan would find, whatever was written, repaired, discarded and forgotten."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection as django_connection
from django.db import connections

from hub.delivery import expiry
from hub.delivery.models import DeadCount, DeadLetter, Pipeline
from hub.delivery.repair import acts, counting, groups, moving
from hub.delivery.repair.groups import Question
from hub.delivery.repair.selection import Selection
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from hub.observability import metrics
from tenants.models import Source, Workspace
from tests import factories
from tests.adminsite import staff

SIGNATURES = ("400 bad_request", "401 unauthorized", "422 unprocessable: <value> is no date")
BURY = """
INSERT INTO delivery_dead (workspace_id, destination_id, pipeline_id, source_id, seq, xid, day, user_key, message_id,
    reason, status_code, message, signature, attempts, first_at, at)
SELECT p.workspace_id, p.destination_id, p.id, %(source)s, u.seq, 1, now()::date, 7, 'm', 'bad_request', 400, '',
    u.signature, 1, now(), now()
FROM delivery_pipeline p, unnest(%(seqs)s::bigint[], %(signatures)s::text[]) AS u(seq, signature)
WHERE p.id = %(pipeline)s
"""
LOCK = "SELECT id FROM delivery_pipeline WHERE id = %s FOR UPDATE"
SCAN = """
SELECT destination_id, signature, sum(letters)::bigint, count(*) FROM (
    SELECT x.destination_id, x.signature, x.seq, p.replay_id, count(*) AS letters
    FROM delivery_dead x JOIN delivery_pipeline p ON p.id = x.pipeline_id WHERE x.discarded_at IS NULL
    GROUP BY 1, 2, 3, 4) e
GROUP BY 1, 2 ORDER BY 1, 2
"""
KEPT = """
SELECT destination_id, signature, sum(letters)::bigint, sum(events)::bigint FROM delivery_dead_count
GROUP BY 1, 2 HAVING sum(letters) <> 0 OR sum(events) <> 0 ORDER BY 1, 2
"""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own() -> Iterator[PgConnection]:
    with postgres.connect() as connection:
        yield connection
    postgres.close_pools()


@pytest.fixture
def source(acme: Workspace) -> Source:
    return factories.make_source(acme, "web")


@pytest.fixture
def pipeline(source: Source) -> Pipeline:
    return staff.make_pipeline(factories.make_destination(source.workspace, "hook", sources=[source]))


def bury(connection: PgConnection, pipeline: Pipeline, source: Source, letters: list[tuple[int, str]]) -> None:
    """Write dead letters as a commit does, with the pipeline's row locked."""
    seqs, signatures = [seq for seq, _ in letters], [signature for _, signature in letters]
    values = {"source": source.pk, "seqs": seqs, "signatures": signatures, "pipeline": pipeline.pk}
    with connection.transaction():
        connection.execute(LOCK, [pipeline.pk])
        connection.execute(BURY, values)


def everything_of(pipeline: Pipeline, **narrowing: Any) -> Selection:
    return Selection(pipeline.workspace_id, pipeline.destination_id, **narrowing)


def assert_exact(connection: PgConnection) -> None:
    assert connection.execute(KEPT).fetchall() == connection.execute(SCAN).fetchall()


def test_parts_of_an_event_count_once_and_until_the_last_is_gone(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(1, SIGNATURES[0]), (1, SIGNATURES[0])])
    bury(own, pipeline, source, [(1, SIGNATURES[0])])
    assert groups.dead(own, Question()).groups[0].events == 1
    one, two, three = DeadLetter.objects.order_by("id").values_list("pk", flat=True)
    moving.discard(own, pipeline.destination_id, [one])
    moving.discard(own, pipeline.destination_id, [two])
    (group,) = groups.dead(own, Question()).groups
    assert (group.letters, group.events) == (1, 1)
    moving.revive(own, pipeline.destination_id, [three])
    assert groups.dead(own, Question()).groups == []
    assert_exact(own)


def test_whatever_order_and_however_interleaved_counts_are_those_of_a_scan(pipeline: Pipeline, source: Source) -> None:
    """Two connections: the pipeline's commits, and repair with retention and folds, at the same time."""
    errors: list[BaseException] = []

    def beside(work: Callable[[PgConnection, random.Random], None], seed: int) -> threading.Thread:
        def go() -> None:
            try:
                with postgres.connect() as connection:
                    for number in range(60):
                        with connection.transaction():
                            work(connection, random.Random(seed + number))
            except BaseException as error:  # the test's own thread tells it
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=go)
        thread.start()
        return thread

    def commit(connection: PgConnection, chance: random.Random) -> None:
        bury(connection, pipeline, source, [(chance.randrange(40), chance.choice(SIGNATURES)) for _ in range(6)])

    def repair(connection: PgConnection, chance: random.Random) -> None:
        found = connection.execute("SELECT id FROM delivery_dead WHERE discarded_at IS NULL").fetchall()
        ids = [int(str(row[0])) for row in found]
        chosen = sorted(chance.sample(ids, min(len(ids), 4)))
        act = chance.randrange(4)
        if act < 2:
            moving.discard(connection, pipeline.destination_id, chosen)
        elif act == 2:
            moving.revive(connection, pipeline.destination_id, chosen)
            connection.execute("DELETE FROM delivery_retry")
        else:
            counting.fold(connection)

    threads = [beside(commit, 1_000), beside(repair, 2_000), beside(repair, 3_000)]
    for thread in threads:
        thread.join()
    assert errors == []
    with postgres.connect() as connection:
        assert DeadLetter.objects.filter(discarded_at=None).exists()
        assert_exact(connection)
        counting.fold(connection)
        assert_exact(connection)
        assert counting.check(connection) == 0


def discard(connection: PgConnection, pipeline: Pipeline, letter_id: int) -> None:
    with connection.transaction():
        moving.discard(connection, pipeline.destination_id, [letter_id])


def test_two_who_discard_the_parts_of_one_event_wait_for_each_other(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(1, SIGNATURES[0]), (1, SIGNATURES[0])])
    one, two = DeadLetter.objects.order_by("id").values_list("pk", flat=True)
    with postgres.connect() as other:
        with own.transaction():
            moving.discard(own, pipeline.destination_id, [one])
            second = threading.Thread(target=discard, args=(other, pipeline, two))
            second.start()
            second.join(timeout=0.3)
            assert second.is_alive()
        second.join()
    assert_exact(own)


def test_a_letter_that_goes_with_its_event_is_counted_no_more(
    own: PgConnection, pipeline: Pipeline, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "FORGOTTEN_AT_ONCE", 2)
    bury(own, pipeline, source, [(seq, SIGNATURES[0]) for seq in (1, 1, 1, 2, 3, 50)])
    own.execute(
        "INSERT INTO event_partition (number, seq_from, seq_until, dropped_at) "
        "VALUES (-1, -9, 10, now()) ON CONFLICT DO NOTHING"
    )
    expiry.forget_dead_letters(own)
    assert list(DeadLetter.objects.values_list("seq", flat=True)) == [50]
    assert_exact(own)


def test_what_goes_with_its_pipeline_is_counted_no_more(own: PgConnection, pipeline: Pipeline, source: Source) -> None:
    bury(own, pipeline, source, [(1, SIGNATURES[0]), (2, SIGNATURES[1])])
    Pipeline.objects.all().delete()
    assert own.execute(KEPT).fetchall() == []


def test_a_letter_that_moves_to_another_shard_or_another_signature_is_counted_there(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(1, SIGNATURES[0]), (2, SIGNATURES[0])])
    other = Pipeline.objects.create(
        workspace_id=pipeline.workspace_id, destination_id=pipeline.destination_id, shard=1, cursor_epoch=1,
        cursor_xid=0, cursor_seq=0,
    )  # fmt: skip
    DeadLetter.objects.filter(seq=1).update(pipeline=other)
    assert_exact(own)
    DeadLetter.objects.filter(seq=2).update(signature=SIGNATURES[1])
    assert_exact(own)
    assert len(groups.dead(own, Question()).groups) == 2


def test_many_rows_of_a_group_are_folded_into_one_and_a_group_that_is_empty_goes(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    for seq in range(5):
        bury(own, pipeline, source, [(seq, SIGNATURES[0])])
    bury(own, pipeline, source, [(9, SIGNATURES[1])])
    acts.act(acts.DISCARD, [everything_of(pipeline, signature=SIGNATURES[1])], factories.TESTER, "seen")
    assert DeadCount.objects.count() == 7
    counting.fold(own)
    assert list(DeadCount.objects.values_list("signature", "letters", "events")) == [(SIGNATURES[0], 5, 5)]


def test_a_count_that_is_wrong_is_found_told_and_put_right(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(1, SIGNATURES[0]), (2, SIGNATURES[0]), (3, SIGNATURES[1])])
    own.execute("UPDATE delivery_dead_count SET letters = 7 WHERE signature = %s", [SIGNATURES[0]])
    own.execute("DELETE FROM delivery_dead_count WHERE signature = %s", [SIGNATURES[1]])
    assert counting.check(own) == 5 + 1
    assert metrics.failure_count_difference._value.get() == 6
    assert_exact(own)
    assert counting.check(own) == 0


def test_a_time_takes_whole_groups_as_they_are_counted_and_of_others_what_lies_in_it(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(seq, SIGNATURES[0]) for seq in (1, 1, 2, 3)])
    bury(own, pipeline, source, [(7, SIGNATURES[1])])
    with django_connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_dead SET at = now() - interval '1 day' WHERE seq IN (1, 7)")
        cursor.execute("SELECT now() - interval '1 hour'")
        (an_hour_ago,) = cursor.fetchone()
    late = groups.dead(own, Question(since=an_hour_ago))
    assert [(each.signature, each.letters, each.events) for each in late.groups] == [(SIGNATURES[0], 2, 2)]
    early = groups.dead(own, Question(until=an_hour_ago))
    assert [(each.letters, each.events) for each in early.groups] == [(2, 1), (1, 1)]
    assert all(each.first_at >= an_hour_ago for each in late.groups)


def test_repair_of_whole_groups_is_asked_for_by_their_counts(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    bury(own, pipeline, source, [(seq, SIGNATURES[seq % 2]) for seq in range(6)])
    count, selection = everything_of(pipeline, signature=SIGNATURES[0]).count(own, "letters")
    assert (count, selection.upto) == (3, DeadLetter.objects.order_by("-pk")[0].pk)
    assert everything_of(pipeline, reason="timeout").count(own, "letters")[0] == 0


def test_many_letters_that_are_changed_at_once_are_not_compared_each_with_each(
    own: PgConnection, pipeline: Pipeline, source: Source
) -> None:
    """After one letter, in the same session; of a plan for one that is kept, 20,000 would take minutes."""
    bury(own, pipeline, source, [(1, SIGNATURES[0])])
    own.execute("UPDATE delivery_dead SET discarded_at = now()")
    bury(own, pipeline, source, [(seq, SIGNATURES[0]) for seq in range(2, 20_002)])
    own.execute("SET statement_timeout = '20s'")
    own.execute("UPDATE delivery_dead SET discarded_at = now() WHERE discarded_at IS NULL")
    assert_exact(own)
