"""At a destination that keeps each user's order, a replay and live traffic are never under way together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from hub.delivery import leases, loop
from hub.delivery.models import Pipeline, Replay
from hub.delivery.replays import progress, services
from hub.delivery.worker import Worker
from hub.lib import clock, postgres
from tenants.models import Destination, Source
from tests import factories
from tests.delivery import logged
from tests.delivery.deciding import Deciding, fails_for, inversions
from tests.delivery.logged import append, books, message
from tests.delivery.replaying import books_of, pipeline_of, run_live, seen_before, start, turn
from tests.delivery.works import eventually
from tests.factories import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


def connect(source: Source, receiver: Deciding, **options: Any) -> Destination:
    options = {"ordering": "per_user", **options}
    return factories.make_destination(source.workspace, "hook", url=receiver.url("/in"), sources=[source], **options)


def good(_: dict[str, Any]) -> int:
    return 200


def live_of(hook: Destination) -> Pipeline:
    return Pipeline.objects.get(destination_id=hook.pk, kind="live")


def sent_numbers(receiver: Deciding) -> list[int]:
    return [each.number for each in receiver.seen]


def test_live_events_wait_until_the_replay_has_ended(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(20)])
        run_live(hook, worker)
        assert seen_before(hook).holds_live
        replay = start(hook)
        append(source, [message(n) for n in range(20, 30)])
        run_live(hook, worker)
        assert sent_numbers(receiver) == list(range(20))
        assert books(hook) == {"eligible": 30, "delivered": 20, "waiting": 10}
        with postgres.connect() as connection:
            assert leases.claim(connection, live_of(hook).pk, "a live turn") is None
        turn(replay, worker)
        assert replay.state == "done"
        assert live_of(hook).held_by_replay is None
        run_live(hook, worker)
        assert sent_numbers(receiver) == [*range(20), *range(20), *range(20, 30)]
    assert books(hook) == {"eligible": 30, "delivered": 30}


def test_a_replay_waits_for_the_live_turn_that_is_under_way(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver)
        append(source, [message(1)])
        run_live(hook, worker)
        with postgres.connect() as connection:
            live = leases.claim(connection, live_of(hook).pk, "a live turn")
            assert live is not None
            replay = start(hook)
            turn(replay, worker)
            assert sent_numbers(receiver) == [1]
            assert progress.is_barred(connection, live)
            leases.release(connection, live, has_more=False, is_slow=False)
        turn(replay, worker)
        assert sent_numbers(receiver) == [1, 1]


def test_a_live_turn_lets_go_soon_when_a_replay_is_started(source: Source, worker: Worker) -> None:
    """It runs for as long as there are events, but for a replay it stops at once."""
    with Deciding(good) as receiver:
        hook = connect(source, receiver, rate_limit={"amount": 20, "per_seconds": 1})
        append(source, [message(0)])
        run_live(hook, worker)
        append(source, [message(n) for n in range(1, 400)])
        thread = threading.Thread(target=run_and_close, args=(live_of(hook).pk, worker))
        thread.start()
        assert eventually(lambda: len(receiver.seen) > 3)
        replay = start(hook, until=clock.now() - timedelta(minutes=0))
        thread.join(15)
        assert not thread.is_alive()
        sent = len(receiver.seen)
        assert sent < 200
        run_live(hook, worker)
        assert len(receiver.seen) == sent
        assert turn(replay, worker).state == "done"


def run_and_close(pipeline_id: int, worker: Worker) -> None:
    loop.run_turn(pipeline_id, worker)
    connections.close_all()


def test_a_paused_replay_goes_on_holding_and_a_cancelled_one_lets_go(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver)
        append(source, [message(1)])
        run_live(hook, worker)
        replay = start(hook)
        append(source, [message(2)])
        services.pause(replay, TESTER, "a test")
        run_live(hook, worker)
        assert sent_numbers(receiver) == [1]
        services.cancel(replay, TESTER, "a test")
        run_live(hook, worker)
        assert sent_numbers(receiver) == [1, 2]


def test_a_cancelled_replay_holds_until_its_last_turn_has_let_go(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver)
        append(source, [message(1)])
        run_live(hook, worker)
        replay = start(hook)
        append(source, [message(2)])
        with postgres.connect() as connection:
            lease = leases.claim(connection, pipeline_of(replay).pk, "a turn of the replay")
            assert lease is not None
            services.cancel(replay, TESTER, "a test")
            run_live(hook, worker)
            assert sent_numbers(receiver) == [1]
            leases.release(connection, lease, has_more=True, is_slow=False)
            progress.look_after(connection)
        run_live(hook, worker)
        assert sent_numbers(receiver) == [1, 2]


def test_no_event_of_a_user_overtakes_another_while_workers_compete_and_some_fail(source: Source) -> None:
    """A replay and live traffic are hinted at the same time by two workers, over and over, while events come in."""
    with Deciding(fails_for({n: [503] for n in range(0, 300, 17)})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n, user=f"u{n % 7}") for n in range(100)])
        first = logged.make_worker()
        until(lambda: books(hook).get("delivered") == 100, hook, first)
        replay = start(hook)
        boundary = len(receiver.seen)
        workers = [first, logged.make_worker()]
        append(source, [message(n, user=f"u{n % 7}") for n in range(100, 300)])
        threads = [threading.Thread(target=compete, args=(hook, replay, worker)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        replay.refresh_from_db()
        assert replay.state == "done"
        until(lambda: books(hook).get("delivered") == 300, hook, first)
        later = receiver.seen[boundary:]
        turned = next(place for place, each in enumerate(later) if each.number >= 100)
        assert all(each.number < 100 for each in later[:turned])
        assert all(each.number >= 100 for each in later[turned:])
        assert inversions(Deciding._by_user(later)) == 0
        for worker in workers:
            worker.sender.shutdown(0.0)
    assert books(hook) == {"eligible": 300, "delivered": 300}
    assert books_of(replay) == {"seen": 100, "delivered": 100}


def compete(hook: Destination, replay: Replay, worker: Worker) -> None:
    """Take turns of both, as hints would cause them, until the replay has ended."""
    for _ in range(200):
        for pipeline_id in (live_of(hook).pk, pipeline_of(replay).pk):
            loop.run_turn(pipeline_id, worker)
        if Replay.objects.get(pk=replay.pk).state == "done":
            break
        with postgres.connect() as connection:
            connection.execute("UPDATE delivery_retry SET next_run_at = now() WHERE state = 'retry'")
    connections.close_all()


def until(condition: Callable[[], bool], hook: Destination, worker: Worker) -> None:
    for _ in range(30):
        run_live(hook, worker)
        if condition():
            return
        logged.let_time_pass(hook)
    raise AssertionError(books(hook))


def test_a_destination_that_begins_to_keep_order_holds_live_events_from_then_on(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver, ordering="none")
        append(source, [message(1)])
        run_live(hook, worker)
        replay = start(hook)
        assert live_of(hook).held_by_replay is None
        Destination.unscoped.filter(pk=hook.pk).update(ordering="per_user")
        turn(replay, worker)
        assert sent_numbers(receiver) == [1]
        with postgres.connect() as connection:
            progress.look_after(connection)
        assert live_of(hook).held_by_replay == replay.pk
        turn(replay, worker)
        assert (sent_numbers(receiver), replay.state) == ([1, 1], "done")
