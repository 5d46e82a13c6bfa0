"""However a replay or a repair is ended, nobody waits for it afterwards and nothing of it is left."""

from __future__ import annotations

import pytest

from hub.delivery import leases
from hub.delivery.admin import figures
from hub.delivery.models import DeadLetter, Pipeline, Replay, RetryRow
from hub.delivery.repair import acts, steps
from hub.delivery.replays import preview, progress, retention, services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Destination, Source
from tests.delivery.deciding import Deciding
from tests.delivery.failed import connect as connect_unordered
from tests.delivery.failed import everything, fail, run_to_its_end
from tests.delivery.logged import append, message, run
from tests.delivery.replaying import books_of, pipeline_of, run_live, start, turn
from tests.delivery.test_replays_order import connect, good, live_of
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def look_after(times: int = 3) -> None:
    with postgres.connect() as connection:
        for _ in range(times):
            progress.look_after(connection)


def test_a_replay_that_was_revived_and_then_cancelled_lets_live_events_go(source: Source, worker: Worker) -> None:
    answers = {"status": 200}
    with Deciding(lambda _request: answers["status"]) as receiver:
        hook = connect(source, receiver)
        append(source, [message(1)])
        run_live(hook, worker)
        answers["status"] = 422
        replay = start(hook)
        turn(replay, worker)
        assert books_of(replay)["dead"] == 1
        assert acts.retry([DeadLetter.objects.get()], TESTER, "again").changed == 1
        look_after()
        assert live_of(hook).held_by_replay == replay.pk
        services.cancel(replay, TESTER, "a test")
        look_after()
        assert live_of(hook).held_by_replay is None
        assert RetryRow.objects.count() == 0


def test_a_cancelled_replay_still_under_way_lets_no_other_begin(source: Source, worker: Worker) -> None:
    with Deciding(good) as receiver:
        hook = connect(source, receiver)
        append(source, [message(number) for number in range(3)])
        run_live(hook, worker)
        first = start(hook)
        with postgres.connect() as connection:
            assert leases.claim(connection, pipeline_of(first).pk, "one") is not None
            services.cancel(first, TESTER, "a test")
            assert leases.claim(connection, pipeline_of(start(hook)).pk, "another") is None


def test_the_circuit_of_a_cancelled_replay_is_open_no_more(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect_unordered(source, receiver)
    append(source, [message(1)])
    run_live(hook, worker)
    replay = start(hook)
    Pipeline.objects.filter(replay_id=replay.pk).update(circuit=Pipeline.Circuit.OPEN)
    services.cancel(replay, TESTER, "a test")
    look_after()
    assert figures._circuits().value == "0"


def test_a_filter_that_the_sample_does_not_meet_may_still_be_replayed(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "LOOKED_AT", 40)
    hook = connect_unordered(source, receiver)
    append(source, [message(number) for number in range(300)])
    run_live(hook, worker)
    assert start(hook, trigger="properties.n = 157").state == "running"


def test_a_job_leaves_the_dead_letters_of_a_destination_that_was_switched_off_meanwhile(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEP", 8)
    monkeypatch.setattr(acts, "AT_ONCE", 10)
    hook = fail(source, receiver, worker, 30)
    (job,) = acts.act(acts.RETRY, [everything(hook)], TESTER, "a test").jobs
    Destination.unscoped.filter(pk=hook.pk).update(is_enabled=False)
    job = run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert job.state == "failed"
    assert DeadLetter.objects.count() == 30


def test_what_is_discarded_while_a_replay_of_dead_letters_runs_is_sent_all_the_same(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = fail(source, receiver, worker, 3)
    other = connect_unordered(source, receiver, slug="other")
    replay = start(other, only="dead", failed_at=hook)
    assert acts.discard(DeadLetter.objects.all(), TESTER, "seen to elsewhere").changed == 3
    turn(replay, worker)
    assert (books_of(replay), replay.expected) == ({"seen": 3, "delivered": 3}, 3)
    with pytest.raises(ReplayError):
        start(other, only="dead", failed_at=hook)


def test_a_replay_that_ended_long_ago_is_forgotten_once_nothing_names_its_pipeline(
    source: Source, worker: Worker
) -> None:
    answers = {"status": 200}
    with Deciding(lambda _request: answers["status"]) as receiver:
        hook = connect(source, receiver)
        append(source, [message(1)])
        run_live(hook, worker)
        done = turn(start(hook), worker)
        answers["status"] = 422
        dead = turn(start(hook), worker)
        running = start(hook)
        with postgres.connect() as connection:
            retention.forget_ended(connection)
            assert Replay.objects.count() == 3
            connection.execute("UPDATE delivery_replay SET ended_at = ended_at - interval '91 days'")
            retention.forget_ended(connection)
            assert not Pipeline.objects.filter(replay_id=done.pk).exists()
            assert {each.pk for each in Replay.objects.all()} == {dead.pk, running.pk}
            DeadLetter.objects.all().delete()
            retention.forget_ended(connection)
        assert [each.pk for each in Replay.objects.all()] == [running.pk]
        assert Pipeline.objects.filter(kind="replay").count() == 1
