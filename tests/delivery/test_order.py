"""Order per user as a promise: attempts start in log order, and a failing event holds back only its own user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from hub.delivery import held, loop, services
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery import logged
from tests.delivery.deciding import Deciding, fails_for, fails_now_and_then, inversions
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.delivery.works import eventually
from tests.factories import TESTER

pytestmark = pytest.mark.django_db(transaction=True)


def connect(source: Source, receiver: Deciding, **options: Any) -> Destination:
    options = {"ordering": "per_user", **options}
    return factories.make_destination(source.workspace, "hook", url=receiver.url("/in"), sources=[source], **options)


def for_users(users: int, events: int) -> list[dict[str, Any]]:
    """Every user's first event, then every user's second …"""
    return [message(n, user=f"u{user}") for n in range(events) for user in range(users)]


def run_until(hook: Destination, worker: Worker, condition: Callable[[], bool], turns: int = 30) -> None:
    for _ in range(turns):
        run(hook, worker)
        if condition():
            return
        let_time_pass(hook)
    raise AssertionError(books(hook))


def has_delivered(hook: Destination, count: int) -> Callable[[], bool]:
    return lambda: books(hook).get("delivered") == count


@contextmanager
def turn_in_a_thread(hook: Destination, worker: Worker) -> Iterator[Pipeline]:
    """A turn that runs while the test looks on."""
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    pipeline = Pipeline.objects.get(destination_id=hook.pk)
    thread = threading.Thread(target=run_or_die, args=(pipeline.pk, worker))
    thread.start()
    try:
        yield pipeline
    finally:
        thread.join(60)
        assert not thread.is_alive()


def run_or_die(pipeline_id: int, worker: Worker) -> None:
    """A turn of a worker that may find its sender gone."""
    with suppress(RuntimeError):
        loop.run_turn(pipeline_id, worker)


def die(pipeline: Pipeline, worker: Worker) -> None:
    """What a worker leaves that dies now: a lease that has run out, and commits that come to nothing."""
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET fence = fence + 1, lease_until = now() - interval '1 s' WHERE id = %s",
            [pipeline.pk],
        )
    worker.sender.shutdown(0.0)


def order_breaks(hook: Destination) -> int:
    return Pipeline.objects.get(destination_id=hook.pk).order_breaks


def test_attempts_of_each_of_many_users_start_in_log_order_while_a_fifth_of_them_fails(
    source: Source, worker: Worker
) -> None:
    with Deciding(fails_now_and_then(5)) as receiver:
        hook = connect(source, receiver)
        append(source, for_users(users=100, events=20))
        run_until(hook, worker, has_delivered(hook, 2_000))
        assert inversions(receiver.starts()) == 0
    assert books(hook) == {"eligible": 2_000, "delivered": 2_000}
    assert order_breaks(hook) == 0


def test_a_failing_event_holds_back_only_its_own_user(source: Source, worker: Worker) -> None:
    with Deciding(fails_for({0: [503] * 99})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(0, user="stuck"), message(1, user="stuck")])
        append(source, [message(n, user=f"u{n % 5}") for n in range(2, 300)])
        run(hook, worker)
        assert len(receiver.delivered()) == 298
        assert ("stuck", 1) not in receiver.delivered()
    assert books(hook) == {"eligible": 300, "delivered": 298, "waiting": 2}


def test_a_quick_retry_lets_those_behind_follow_in_the_same_turn(source: Source, worker: Worker) -> None:
    with Deciding(fails_for({0: [503, 503]})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(150)])
        run(hook, worker)
        assert receiver.starts()["u1"] == [0, 0, *range(150)]
    assert books(hook) == {"eligible": 150, "delivered": 150}


def test_a_hanging_call_of_one_user_does_not_keep_others_from_their_retries(source: Source, worker: Worker) -> None:
    """The chunk of the hanging event was committed before, so that its user waits in memory with the others."""
    with Deciding(fails_for({0: [503, 0, 0], 1: [503, 503]})) as receiver:
        hook = connect(source, receiver, settings={"timeout": 2})
        append(source, [message(0, user="slow"), *(message(n, user="quick") for n in range(1, 50))])
        with turn_in_a_thread(hook, worker):
            assert eventually(lambda: len(receiver.delivered()) == 49)
            assert [each.number for each in receiver.seen if each.user == "slow"] == [0, 0]


def test_order_holds_over_a_crash_in_the_middle(source: Source) -> None:
    with Deciding(fails_now_and_then(5)) as receiver:
        hook = connect(source, receiver)
        append(source, for_users(users=50, events=20))
        for calls in (200, 350, 500):
            victim = logged.make_worker()
            with turn_in_a_thread(hook, victim) as pipeline:
                assert eventually(lambda calls=calls: len(receiver.seen) > calls)  # type: ignore[misc]
                die(pipeline, victim)
        survivor = logged.make_worker()
        run_until(hook, survivor, has_delivered(hook, 1_000))
        survivor.sender.shutdown(0.0)
        assert inversions(receiver.first_starts()) == 0
        assert len(receiver.delivered()) == 1_000
    assert order_breaks(hook) == 0


def test_parts_of_an_event_are_all_over_before_the_users_next_event_starts(source: Source, worker: Worker) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
        for name in ("one", "two")
    ]
    with Deciding(fails_now_and_then(5)) as receiver:
        hook = connect(source, receiver, mappings=rules)
        append(source, for_users(users=20, events=10))
        run_until(hook, worker, has_delivered(hook, 200))
        assert inversions(receiver.starts()) == 0
    assert books(hook) == {"eligible": 200, "delivered": 200}


def test_batches_keep_each_users_order(source: Source, worker: Worker) -> None:
    with Deciding(fails_now_and_then(5)) as receiver:
        hook = connect(source, receiver, settings={"batch_size": 10})
        append(source, for_users(users=30, events=10))
        run_until(hook, worker, has_delivered(hook, 300))
        assert inversions(receiver.starts()) == 0
    assert books(hook) == {"eligible": 300, "delivered": 300}


def test_order_holds_when_the_circuit_opens_in_the_middle(source: Source, worker: Worker) -> None:
    def decide(event: dict[str, Any]) -> int:
        return 503 if 20 < len(receiver.seen) < 120 else 200

    with Deciding(decide) as receiver:
        hook = connect(source, receiver)
        append(source, for_users(users=20, events=15))
        run(hook, worker)
        assert Pipeline.objects.get(destination_id=hook.pk).circuit == "open"
        run_until(hook, worker, has_delivered(hook, 300), turns=150)
        assert inversions(receiver.starts()) == 0
    assert order_breaks(hook) == 0


def test_no_more_is_read_while_too_much_waits_in_memory(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.delivery.retrying.MOST_IN_MEMORY", 100)
    with Deciding(fails_for({0: [503, 503, 503]})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(1_000)])
        with turn_in_a_thread(hook, worker):
            assert eventually(lambda: RetryRow.objects.filter(destination_id=hook.pk).count() >= 100)
            assert eventually(lambda: len(receiver.seen) > 200)
        run_until(hook, worker, has_delivered(hook, 1_000))
        assert max(RetryRow.objects.filter(destination_id=hook.pk).count(), 0) == 0
        assert inversions(receiver.starts()) == 0


def test_rows_that_do_not_fit_into_memory_are_loaded_later_in_order(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.delivery.retrying.ROWS_A_LOAD", 30)
    with Deciding(fails_for({0: [503] * 4})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n, user=f"u{n % 2}") for n in range(0, 300, 2)])
        run(hook, worker)
        assert RetryRow.objects.filter(destination_id=hook.pk).count() == 150
        append(source, [message(n, user="u0") for n in range(300, 320)])
        run_until(hook, worker, has_delivered(hook, 170))
        assert inversions(receiver.starts()) == 0
    assert order_breaks(hook) == 0


def test_an_event_is_never_loaded_in_halves(source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
        for name in ("one", "two")
    ]
    monkeypatch.setattr("hub.delivery.retrying.ROWS_A_LOAD", 3)
    with Deciding(fails_for({n: [503] * 10 for n in range(4)})) as receiver:
        hook = connect(source, receiver, mappings=rules, ordering="none")
        append(source, [message(n) for n in range(4)])
        run(hook, worker)
        assert RetryRow.objects.filter(destination_id=hook.pk).count() == 8
        receiver.decide = lambda _: 200
        tenants.update_destination(hook, ordering="per_user", actor=TESTER)
        run_until(hook, worker, lambda: not RetryRow.objects.filter(destination_id=hook.pk).exists())
    assert books(hook) == {"eligible": 4, "delivered": 4}


def test_a_head_that_fails_for_long_gives_way_when_too_many_wait_behind_it(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PARKED_CAP", 20)
    with Deciding(fails_for({0: [503] * 99})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(60)])
        run_until(hook, worker, lambda: DeadLetter.objects.exists())
        run_until(hook, worker, has_delivered(hook, 59))
        assert inversions(receiver.starts()) == 0
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    assert (letter.reason, letter.message_id.split("-")[1]) == ("parked_too_many", "0")
    assert books(hook) == {"eligible": 60, "delivered": 59, "dead": 1}


def test_what_is_parked_later_behind_a_long_failing_head_counts_too(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PARKED_CAP", 20)
    with Deciding(fails_for({0: [503] * 99})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(10)])
        run(hook, worker)
        assert RetryRow.objects.filter(destination_id=hook.pk).count() == 10
        append(source, [message(n) for n in range(10, 30)])
        run_until(hook, worker, has_delivered(hook, 29))
        assert inversions(receiver.starts()) == 0
    assert books(hook) == {"eligible": 30, "delivered": 29, "dead": 1}


def test_a_user_may_lose_order_instead_and_nothing_else_is_lost(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PARKED_CAP", 20)
    with Deciding(fails_for({0: [503] * 99})) as receiver:
        hook = connect(source, receiver, past_cap="lose_order")
        append(source, [message(n) for n in range(60)])
        run_until(hook, worker, has_delivered(hook, 59))
        assert ("u1", 0) not in receiver.delivered()
    assert books(hook) == {"eligible": 60, "delivered": 59, "waiting": 1}
    assert order_breaks(hook) == 0


@pytest.mark.parametrize(("before", "after"), [("per_user", "none"), ("none", "per_user")])
def test_what_waits_when_the_order_is_changed_is_delivered(
    source: Source, worker: Worker, before: str, after: str
) -> None:
    with Deciding(fails_for({0: [503] * 5, 3: [503] * 5})) as receiver:
        hook = connect(source, receiver, ordering=before)
        append(source, [message(n) for n in range(6)])
        run(hook, worker)
        tenants.update_destination(hook, ordering=after, actor=TESTER)
        append(source, [message(n) for n in range(6, 12)])
        run_until(hook, worker, has_delivered(hook, 12))
    assert order_breaks(hook) == 0


def test_a_repaired_event_goes_before_what_comes_after_it_and_is_no_break(source: Source, worker: Worker) -> None:
    with Deciding(fails_for({0: [422]})) as receiver:
        hook = connect(source, receiver)
        append(source, [message(n) for n in range(3)])
        run(hook, worker)
        revive(hook)
        append(source, [message(n) for n in range(3, 6)])
        run_until(hook, worker, has_delivered(hook, 6))
        assert receiver.starts()["u1"] == [0, 1, 2, 0, 3, 4, 5]
    assert order_breaks(hook) == 0


def test_an_event_repaired_in_the_middle_of_a_turn_goes_before_those_that_have_not_started(
    source: Source, worker: Worker
) -> None:
    statuses = fails_for({0: [422]})

    def decide(event: dict[str, Any]) -> int:
        time.sleep(0.02)
        return statuses(event)

    with Deciding(decide) as receiver:
        hook = connect(source, receiver)
        append(source, [message(0)])
        run(hook, worker)
        append(source, [message(n) for n in range(1, 150)])
        with turn_in_a_thread(hook, worker):
            assert eventually(lambda: len(receiver.seen) > 5)
            revive(hook)
        run_until(hook, worker, has_delivered(hook, 150))
        started = receiver.starts()["u1"]
        again = started.index(0, 1)
        assert again < len(started) - 50
        assert inversions({"u1": [*started[:again], *started[again + 1 :]]}) == 0
    assert order_breaks(hook) == 0


def test_a_turn_ends_while_a_repaired_event_waits_for_its_users_call(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LONG_TURN_SECONDS", 3.0)
    statuses, is_free = fails_for({0: [422]}), threading.Event()

    def decide(event: dict[str, Any]) -> int:
        if event["properties"]["n"] == 1:
            is_free.wait(10)
        return statuses(event)

    with Deciding(decide) as receiver:
        hook = connect(source, receiver)
        append(source, [message(0)])
        run(hook, worker)
        append(source, [message(n) for n in range(1, 60)])
        with turn_in_a_thread(hook, worker):
            assert eventually(lambda: len(receiver.seen) == 1 and bool(receiver.requests[1:]))
            revive(hook)
            threading.Timer(4.0, is_free.set).start()
        monkeypatch.undo()
        run_until(hook, worker, has_delivered(hook, 60))
        assert receiver.starts()["u1"] == [0, 1, 0, *range(2, 60)]
    assert order_breaks(hook) == 0


def revive(hook: Destination) -> None:
    """Put a dead letter back, as a repair does."""
    with postgres.connect() as connection, connection.transaction():
        connection.execute(
            "INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid,"
            " day, user_key, state, attempts, first_at, next_run_at, reason, status_code, job_id, batch_key)"
            " SELECT workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day, user_key,"
            " 'retry', 0, now(), now(), '', 0, '', '' FROM delivery_dead WHERE destination_id = %s",
            [hook.pk],
        )
        connection.execute("DELETE FROM delivery_dead WHERE destination_id = %s", [hook.pk])
        connection.execute("UPDATE delivery_count SET dead = 0 WHERE destination_id = %s", [hook.pk])
