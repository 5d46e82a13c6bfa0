"""Pausing, resuming and cancelling a replay in the middle; its pace; what upkeep and lists make of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connections

from hub.delivery import expiry, leases, loop, upkeep
from hub.delivery import services as services_of_delivery
from hub.delivery import trace as traces
from hub.delivery.limits import Limits
from hub.delivery.listing import Place, Question, read_page
from hub.delivery.models import Attempt, Pipeline, RetryRow
from hub.delivery.replays import extent as extents
from hub.delivery.replays import pace, preview, progress, services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.scheduler import Found, Scheduler
from hub.delivery.worker import Worker
from hub.events.cursors import NO_END
from hub.events.models import Event
from hub.lib import clock, postgres
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.delivery import logged
from tests.delivery.logged import append, books, message
from tests.delivery.replaying import books_of, numbers, pipeline_of, replayed, run_live, seen_before, start, turn
from tests.delivery.works import eventually
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

SOMEONE = UUID(int=1)


def connect(source: Source, url: str, slug: str = "hook", **options: object) -> Destination:
    return factories.make_destination(source.workspace, slug, url=url, sources=[source], **options)


def sent_live(source: Source, hook: Destination, worker: Worker, receiver: Receiver, count: int) -> list[int]:
    seqs = append(source, [message(n, user=f"u{n}") for n in range(count)])
    run_live(hook, worker)
    receiver.requests.clear()
    return seqs


def due(connection: postgres.PgConnection) -> list[Found]:
    return Scheduler()._find(connection, 1.0)


def run_and_close(pipeline_id: int, worker: Worker) -> None:
    """A turn in a thread that is not a worker's own, and so has to let go of its connections by itself."""
    loop.run_turn(pipeline_id, worker)
    connections.close_all()


@contextmanager
def in_a_thread(pipeline: Pipeline, worker: Worker) -> Iterator[None]:
    """A turn that runs while the test looks on."""
    thread = threading.Thread(target=run_and_close, args=(pipeline.pk, worker))
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not thread.is_alive()


def test_one_that_is_paused_in_the_middle_goes_on_from_there(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 40)
    replay = start(hook, per_second=10.0)
    with in_a_thread(pipeline_of(replay), worker):
        assert eventually(lambda: len(receiver.requests) > 3)
        services.pause(replay, TESTER, "a test")
    sent = len(receiver.requests)
    assert sent < 40
    assert books_of(replay) == {"seen": sent, "delivered": sent}
    turn(replay, worker)
    assert (len(receiver.requests), replay.state) == (sent, "paused")
    Pipeline.objects.filter(replay_id=replay.pk).update(next_run_at=None)
    services.resume(replay, TESTER, "a test")
    assert pipeline_of(replay).next_run_at is not None
    replay.per_second = None
    replay.save()
    turn(replay, logged.make_worker())
    assert sorted(numbers(receiver.requests)) == list(range(40))
    assert (books_of(replay), replay.state) == ({"seen": 40, "delivered": 40}, "done")


def test_one_that_is_cancelled_in_the_middle_sends_nothing_more(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/first-fails", [503]))
    sent_live(source, hook, worker, receiver, 40)
    receiver.script("/first-fails", [503])
    replay = start(hook, per_second=10.0)
    with in_a_thread(pipeline_of(replay), worker):
        assert eventually(lambda: len(receiver.requests) > 3)
        services.cancel(replay, TESTER, "a test")
    sent = len(receiver.requests)
    turn(replay, worker)
    assert (len(receiver.requests), replay.state) == (sent, "cancelled")
    assert books_of(replay) == {"seen": sent, "delivered": sent - 1, "open": 1}
    assert not RetryRow.objects.filter(pipeline=pipeline_of(replay)).exists()
    assert pipeline_of(replay).floor_seq == NO_END


def test_what_was_done_to_it_is_in_the_audit_trail(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 1)
    replay = start(hook)
    services.pause(replay, TESTER, "too loud")
    services.resume(replay, TESTER, "quiet again")
    services.cancel(replay, TESTER, "enough")
    found = AuditEntry.unscoped.filter(object_type="replay", object_id=str(replay.pk)).order_by("at")
    told = [(entry.action, entry.after["reason"]) for entry in found if entry.after]
    assert told == [
        ("replay.started", "a test"),
        ("replay.paused", "too loud"),
        ("replay.resumed", "quiet again"),
        ("replay.cancelled", "enough"),
    ]


def test_one_that_is_cancelled_while_nobody_runs_it_is_cleared_away_at_once(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/first-fails", [200, 503]))
    sent_live(source, hook, worker, receiver, 1)
    replay = turn(start(hook), worker)
    assert books_of(replay) == {"seen": 1, "open": 1}
    services.cancel(replay, TESTER, "a test")
    assert not RetryRow.objects.filter(pipeline=pipeline_of(replay)).exists()
    assert pipeline_of(replay).floor_seq == NO_END


def test_what_has_ended_cannot_be_paused(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 1)
    replay = turn(start(hook), worker)
    with pytest.raises(ReplayError, match="It is done and cannot be paused"):
        services.pause(replay, TESTER, "a test")


def test_beside_live_traffic_it_has_three_tenths_of_the_rate(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), rate_limit={"amount": 100, "per_seconds": 1})
    sent_live(source, hook, worker, receiver, 3)
    look = seen_before(hook)
    assert (look.per_second, look.seconds) == (30.0, 0.1)
    assert seen_before(hook, per_second=5.0).per_second == 5.0
    replay = start(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(replay).pk, "test")
        assert lease is not None
        found = loop.config.load(connection, hook.workspace_id, hook.pk, None, replay.pk)
    limiter = pace.limiter_of(Limits(None, lambda: 1_000.0), lease, found, 100.0, 1)
    assert limiter is not None
    assert limiter.per_second == 30.0


def test_a_preview_takes_what_the_last_replay_has_shown_else_a_share_of_the_live_pace(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 3)
    assert seen_before(hook).per_second is None
    Pipeline.objects.filter(destination_id=hook.pk).update(busy_rate=100.0)
    assert seen_before(hook).per_second == pytest.approx(30.0)
    replay = turn(start(hook), worker)
    Pipeline.objects.filter(replay_id=replay.pk).update(drain_rate=80.0)
    assert seen_before(hook).per_second == pytest.approx(80.0)


def test_a_token_of_a_replay_is_taken_from_the_destinations_bucket_too() -> None:
    now = [1_000.0]
    limits = Limits(None, lambda: now[0])
    whole = limits.limiter(SOMEONE, SOMEONE, 10.0)
    replay = pace.ReplayLimiter(limits, "replay", 3.0, 1, limits.limiter(SOMEONE, SOMEONE, 10.0))
    calls = {"live": 0, "replay": 0}
    for _ in range(1_000):
        now[0] += 0.01
        for name, limiter in (("replay", replay), ("live", whole)):
            limiter.top_up()
            while limiter.has_token():
                limiter.take()
                calls[name] += 1
    assert 25 <= calls["replay"] <= 32
    assert calls["live"] + calls["replay"] <= 103


def test_a_preview_of_many_is_an_estimate_by_a_sample(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    for first in range(0, 3_000, 500):
        append(source, [message(n, event="Even" if n % 2 == 0 else "Odd") for n in range(first, first + 500)])
    with postgres.connect() as connection:
        services_of_delivery.ensure_pipelines(connection)
        connection.execute("UPDATE delivery_pipeline SET cursor_xid = cursor_xid + 1000000")
    assert seen_before(hook).count == 3_000
    look = seen_before(hook, trigger='event = "Even"')
    assert (look.is_exact, 1_400 <= look.count <= 1_600, len(look.samples)) == (False, True, preview.SAMPLES)


def test_a_count_that_takes_too_long_becomes_an_estimate(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 7)
    scope = services.draft(hook.workspace, hook, clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1))
    with postgres.connect() as connection:
        exact = extents.measure(connection, scope, 10.0)
        estimated = extents.measure(connection, scope, 10.0, counts=False)
    assert (exact.count, exact.is_exact, estimated.count, estimated.is_exact) == (7, True, 7, False)
    assert (estimated.start, estimated.end) == (exact.start, exact.end)


def test_the_trace_tells_of_a_replay_apart(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/strict", [422]))
    seqs = append(source, [message(1)])
    run_live(hook, worker)
    replay = turn(start(hook), worker)
    (delivery,) = traces.trace_event(Event.objects.get(pk=seqs[0]))["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("dead", "unprocessable")
    assert [(each["replay"], each["status"]) for each in delivery["replays"]] == [(str(replay.pk), "delivered")]
    assert [attempt["is_replay"] for attempt in delivery["attempts"]] == [False, True]


def test_a_replay_that_fails_does_not_change_how_the_event_stands(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/strict", [200, 422]))
    seqs = append(source, [message(1)])
    run_live(hook, worker)
    turn(start(hook), worker)
    (delivery,) = traces.trace_event(Event.objects.get(pk=seqs[0]))["deliveries"]
    assert (delivery["status"], [each["status"] for each in delivery["replays"]]) == ("delivered", ["dead"])


def test_the_trace_names_a_destination_that_only_replays_have_sent_to(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    seqs = append(source, [message(1)])
    other = connect(source, receiver.url("/ok"), "other")
    turn(start(other), worker)
    (delivery,) = traces.trace_event(Event.objects.get(pk=seqs[0]))["deliveries"]
    assert (delivery["destination"], delivery["status"], len(delivery["replays"])) == ("other", "delivered", 1)


def test_the_list_of_deliveries_marks_those_of_a_replay(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 2)
    replay = turn(start(hook), worker)
    page = read_page(Question(hook.workspace_id, hook.pk), Place())
    assert [row.replay_id for row in page.rows] == [replay.pk, replay.pk, None, None]


def test_retention_ends_what_a_replay_has_not_sent_with_counts_of_its_own(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = sent_live(source, hook, worker, receiver, 10)
    replay = start(hook, trigger='event != "Event 3"')
    services.pause(replay, TESTER, "a test")
    with postgres.connect() as connection:
        expiry.expire_before(connection, seqs[5])
        (needed,) = connection.execute(upkeep.NEEDED).fetchall()
    assert books_of(replay) == {"seen": 4, "expired": 4}
    assert int(str(needed[0])) == seqs[5]
    assert books(hook) == {"eligible": 10, "delivered": 10}
    services.resume(replay, TESTER, "a test")
    turn(replay, worker)
    assert (sorted(numbers(replayed(receiver))), replay.state) == ([5, 6, 7, 8, 9], "done")
    assert books_of(replay) == {"seen": 9, "delivered": 5, "expired": 4}


def test_a_replay_that_has_ended_keeps_no_partition(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = sent_live(source, hook, worker, receiver, 3)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_pipeline SET floor_seq = %s", [seqs[2]])
        replay = start(hook)
        assert connection.execute(upkeep.NEEDED).fetchall() == [(seqs[0],)]
        turn(replay, worker)
        assert connection.execute(upkeep.NEEDED).fetchall() == [(seqs[2],)]


def test_the_scheduler_tells_of_a_replay_until_it_has_ended_and_after_live_traffic(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 1)
    replay = start(hook)
    live = Pipeline.objects.get(destination_id=hook.pk, kind="live")
    Pipeline.objects.filter(pk=live.pk).update(next_run_at=clock.now())
    with postgres.connect() as connection:
        found = due(connection)
        assert {each.pipeline_id: each.is_replay for each in found} == {live.pk: False, pipeline_of(replay).pk: True}
        services.pause(replay, TESTER, "a test")
        Pipeline.objects.filter(replay_id=replay.pk).update(next_run_at=clock.now())
        assert [each.pipeline_id for each in due(connection)] == [live.pk]
        services.resume(replay, TESTER, "a test")
        turn(replay, worker)
        assert [each.pipeline_id for each in due(connection)] == [live.pk]


def test_an_event_that_arrives_wakes_no_replay(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 1)
    start(hook)
    append(source, [message(2)])
    live = Pipeline.objects.get(destination_id=hook.pk, kind="live")
    assert [each for each, _ in services_of_delivery.idle_pipelines(hook.workspace_id, 10)] == [live.pk]


def test_a_replay_that_nobody_was_told_of_is_found_again(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    sent_live(source, hook, worker, receiver, 1)
    replay = start(hook)
    Pipeline.objects.filter(replay_id=replay.pk).update(next_run_at=None)
    with postgres.connect() as connection:
        progress.look_after(connection)
    assert pipeline_of(replay).next_run_at is not None
    assert not Attempt.objects.filter(destination_id=hook.pk, attempt__gt=1).exists()
