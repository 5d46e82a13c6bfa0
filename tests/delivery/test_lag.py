"""What waits for a pipeline, since when, and how long it will take at the pace of its last turns."""

from __future__ import annotations

import pytest

from hub.delivery import lag, leases, loop, services
from hub.delivery.lag import Backlog
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.events import counts, cursors
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def pipeline_of(hook: Destination) -> Pipeline:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return Pipeline.objects.get(destination_id=hook.pk)


def backlog_of(hook: Destination) -> Backlog:
    key = pipeline_of(hook).pk
    return lag.backlog_of([key])[key]


def test_what_waits_is_what_was_eligible_behind_the_cursor(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    run(hook, worker)
    assert backlog_of(hook).waiting == 0
    append(source, [message(2), message(3)])
    tenants.disconnect(source, hook, actor=TESTER)
    append(source, [message(4)])
    found = backlog_of(hook)
    assert (found.waiting, found.since is not None, found.seconds_to_drain) == (2, True, None)


def test_of_the_range_that_holds_the_cursor_a_part_is_taken(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    for number in range(20):
        append(source, [message(number)])
    pipeline = pipeline_of(hook)
    with postgres.connect() as connection:
        connection.execute("UPDATE event_count SET at = now() - interval '1 hour'")
        counts.fold_coarse(connection, counts.Grain(10, 5, 7_200), [
            counts.Reach(source.workspace_id, *cursors.horizon(connection))], *cursors.horizon(connection))  # fmt: skip
        found = connection.execute(
            "SELECT xid_from::text::bigint, xid_to::text::bigint FROM event_count WHERE source_id = %s", [source.pk]
        ).fetchall()
        assert len(found) == 1
        low, high = (int(str(each)) for each in found[0])
        connection.execute(
            "UPDATE delivery_pipeline SET cursor_xid = %s WHERE id = %s", [(low + high) // 2, pipeline.pk]
        )
    assert 8 <= backlog_of(hook).waiting <= 12


def test_the_time_is_the_count_by_the_pace(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    append(source, [message(number) for number in range(30)])
    pipeline = pipeline_of(hook)
    Pipeline.objects.filter(pk=pipeline.pk).update(drain_rate=10.0)
    assert backlog_of(hook).seconds_to_drain == pytest.approx(3.0)
    tenants.pause_destination(hook, "tests", TESTER)
    assert backlog_of(hook).seconds_to_drain is None


def test_a_turn_that_had_more_to_do_than_time_leaves_its_pace(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LONG_TURN_SECONDS", 0.3)
    hook = factories.make_destination(
        source.workspace, "hook", url=receiver.url("/ok"), sources=[source], rate_limit={"amount": 50, "per_seconds": 1}
    )
    for number in range(40):
        append(source, [message(number * 10 + each) for each in range(10)])
    first = run(hook, worker)
    assert first.drain_rate is not None
    assert first.drain_rate > 0
    assert (backlog_of(hook).seconds_to_drain or 0) > 0


def test_a_turn_that_came_to_the_end_leaves_none(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    assert run(hook, worker).drain_rate is None


def test_the_pace_follows_the_last_turns(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    pipeline = pipeline_of(hook)
    rates = []
    with postgres.connect() as connection:
        for pace in (100.0, 200.0, None, 200.0):
            lease = leases.claim(connection, pipeline.pk, "tests")
            assert lease is not None
            leases.release(connection, lease, has_more=True, is_slow=False, pace=pace)
            pipeline.refresh_from_db()
            rates.append(pipeline.drain_rate)
    assert rates == [100.0, 150.0, 150.0, 175.0]


def test_the_time_between_two_turns_counts(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    pipeline = pipeline_of(hook)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET next_run_at = now() - interval '5 s' WHERE id = %s", [pipeline.pk]
        )
        lease = leases.claim(connection, pipeline.pk, "tests")
    assert lease is not None
    assert lease.waited >= 5


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "unknown"), (3.2, "3 s"), (150, "2 min"), (7_200, "2.0 h"), (0, "0 s")]
)
def test_a_time_is_said_as_people_say_it(seconds: float | None, words: str) -> None:
    assert lag.in_words(seconds) == words


def test_the_longest_decides_and_an_unknown_one_makes_all_unknown() -> None:
    known = [Backlog(5, None, 2.0), Backlog(0, None, 0.0), Backlog(9, None, 7.5)]
    assert lag.longest(known) == 7.5
    assert lag.longest([*known, Backlog(3, None, None)]) is None
    assert lag.longest([]) == 0.0
