"""What waits for a pipeline, since when, and how long it will take."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from hub.delivery import lag, leases, loop, services
from hub.delivery.lag import Backlog
from hub.delivery.models import Pipeline
from hub.delivery.outflow import Outflow
from hub.delivery.worker import Worker
from hub.events import counts, cursors
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.adminsite import staff
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
    with postgres.connect() as connection:
        connection.execute("UPDATE event_count SET at = now() - interval '1 hour'")
    assert backlog_of(hook).seconds_to_drain == pytest.approx(3.0)
    tenants.pause_destination(hook, "tests", TESTER)
    assert backlog_of(hook).seconds_to_drain is None


def test_what_comes_in_meanwhile_and_a_hold_make_it_longer(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    append(source, [message(number) for number in range(400)])
    append(source, [message(number) for number in range(400, 500)])
    pipeline = pipeline_of(hook)
    Pipeline.objects.filter(pk=pipeline.pk).update(drain_rate=20.0)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE event_count SET at = now() - CASE accepted WHEN 400 THEN interval '1 hour' ELSE interval '20 s' END"
        )
    assert backlog_of(hook).seconds_to_drain == pytest.approx(500 / (20 - 100 / 20), rel=0.05)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_pipeline SET held_until = now() + interval '40 s', circuit = 'open'")
    assert backlog_of(hook).seconds_to_drain == pytest.approx(40 + (500 + 5 * 40) / (20 - 5), rel=0.05)


def test_it_never_ends_when_more_comes_in_than_goes_out() -> None:
    assert lag.seconds_to_drain(100, 10.0, inflow=10.0) == math.inf
    assert lag.seconds_to_drain(0, 10.0, inflow=10.0) == 0.0
    assert lag.seconds_to_drain(100, None) is None


def test_a_turn_that_had_more_to_do_than_time_leaves_its_pace(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LONG_TURN_SECONDS", 1.2)
    hook = factories.make_destination(
        source.workspace, "hook", url=receiver.url("/ok"), sources=[source], rate_limit={"amount": 50, "per_seconds": 1}
    )
    for number in range(40):
        append(source, [message(number * 10 + each) for each in range(10)])
    first = run(hook, worker)
    assert first.drain_rate is not None
    assert 0 < first.drain_rate <= 50
    assert (backlog_of(hook).seconds_to_drain or 0) > 0


def test_a_turn_with_nothing_to_do_leaves_none(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    left = run(hook, worker)
    assert (left.drain_rate, left.busy_rate) == (None, None)


def test_until_there_was_too_much_to_do_the_little_there_was_tells_the_pace(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    append(source, [message(number) for number in range(150)])
    left = run(hook, worker)
    assert left.drain_rate is None
    assert left.busy_rate is not None
    append(source, [message(number) for number in range(150, 200)])
    with postgres.connect() as connection:
        connection.execute("UPDATE event_count SET at = now() - interval '1 hour'")
    assert backlog_of(hook).seconds_to_drain == pytest.approx(50 / left.busy_rate)


def test_until_there_was_too_much_to_do_the_rate_limit_is_taken_for_the_pace(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(
        source.workspace, "hook", url=receiver.url("/ok"), sources=[source], rate_limit={"amount": 90, "per_seconds": 2}
    )
    append(source, [message(1)])
    assert run(hook, worker).drain_rate == 45.0


def test_the_pace_is_that_of_the_best_turn_and_follows_slower_ones_slowly(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    pipeline = pipeline_of(hook)
    rates = []
    with postgres.connect() as connection:
        for pace in (100.0, 200.0, None, 100.0):
            lease = leases.claim(connection, pipeline.pk, "tests")
            assert lease is not None
            leases.release(connection, lease, has_more=True, is_slow=False, pace=leases.Pace(full=pace, busy=900.0))
            pipeline.refresh_from_db()
            rates.append(pipeline.drain_rate)
    assert rates == [100.0, 200.0, 200.0, 175.0]


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


def test_who_works_a_backlog_off_is_as_quick_as_it_has_been_in_the_last_seconds(source: Source) -> None:
    hook = factories.make_destination(source.workspace, "hook", sources=[source])
    append(source, [message(number) for number in range(1_000)])
    pipeline = pipeline_of(hook)
    Pipeline.objects.filter(pk=pipeline.pk).update(drain_rate=5_000.0)
    with postgres.connect() as connection:
        connection.execute("UPDATE event_count SET at = now() - interval '1 hour'")
    for tenths in range(120):
        staff.make_batch(pipeline, [1] * 5, [0] * 5, at=clock.now() - timedelta(seconds=tenths / 10))
    assert backlog_of(hook).seconds_to_drain == pytest.approx(1_000 / 50, rel=0.05)


@pytest.mark.parametrize(
    ("waiting", "age", "now", "pace"),
    [
        (10_000, 60.0, Outflow(300.0, 8.0), 300.0),
        (10_000, 60.0, None, 900.0),
        (10_000, 4.0, Outflow(300.0, 8.0), 900.0),  # a burst of the last seconds, after quiet ones
        (200, 60.0, Outflow(300.0, 8.0), 900.0),  # as quick as events come in
    ],
)
def test_what_is_sent_now_is_the_pace_only_while_work_never_runs_out(
    waiting: int, age: float, now: Outflow | None, pace: float
) -> None:
    assert lag.pace_of(waiting, age, 900.0, now) == pace


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "unknown"), (3.2, "3 s"), (150, "2 min"), (7_200, "2.0 h"), (0, "0 s"), (math.inf, "never at this load")],
)
def test_a_time_is_said_as_people_say_it(seconds: float | None, words: str) -> None:
    assert lag.in_words(seconds) == words


def test_the_longest_decides_and_an_unknown_one_makes_all_unknown() -> None:
    known = [Backlog(5, None, 2.0), Backlog(0, None, 0.0), Backlog(9, None, 7.5)]
    assert lag.longest(known) == 7.5
    assert lag.longest([*known, Backlog(3, None, None)]) is None
    assert lag.longest([]) == 0.0
