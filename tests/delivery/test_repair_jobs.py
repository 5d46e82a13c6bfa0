"""Repair of many as a job: paused, cancelled, killed in the middle, it does each of them once."""

from __future__ import annotations

from collections import Counter

import pytest

from hub.delivery.models import DeadLetter, RetryRow
from hub.delivery.repair import acts, steps
from hub.delivery.repair.steps import RetryLetters
from hub.delivery.worker import Worker
from hub.jobs import runner, services
from hub.jobs.models import Job
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import Source
from tests.delivery.failed import MANY, fail, numbers, repair, run_to_its_end
from tests.delivery.logged import append, books, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_become_a_job_that_delivers_each_of_them_once(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    assert (job.total, job.reason, RetryRow.objects.count()) == (MANY, "tests", 0)
    job = run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert (job.state, job.done, job.changed) == ("done", MANY, MANY)
    assert sorted(numbers(receiver)) == list(range(MANY))
    assert books(hook) == {"eligible": MANY, "delivered": MANY}
    assert not DeadLetter.objects.exists()


def test_the_books_balance_after_every_step(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    for step in range(1, 5):
        runner.run(job.pk, turn_seconds=0.0)
        assert books(hook) == {"eligible": MANY, "waiting": step * 8, "dead": MANY - step * 8}


def test_a_worker_that_is_killed_in_mid_job_revives_nothing_twice_and_forgets_nothing(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    with postgres.connect() as dying:
        claim = runner.take(dying, job.pk, "dying")
        assert claim is not None
        runner.take_step(dying, claim, RetryLetters())
        with pytest.raises(KeyboardInterrupt), dying.transaction():  # killed between a step's work and its commit
            dying.execute(runner.LOCK, claim.values)
            state = Job.unscoped.get()
            RetryLetters().step(runner.JobState(state.pk, state.workspace_id, state.kind, state.arguments,
                                                state.cursor, state.done, state.total), dying)  # fmt: skip
            raise KeyboardInterrupt
        assert books(hook) == {"eligible": MANY, "waiting": 8, "dead": MANY - 8}
        dying.execute("UPDATE jobs_job SET lease_until = now() - interval '1 s'")
        run_to_its_end(job, hook, worker)
        assert runner.take_step(dying, claim, RetryLetters()) is None
    run(hook, worker)
    assert Counter(numbers(receiver)) == Counter(range(MANY))
    assert books(hook) == {"eligible": MANY, "delivered": MANY}


def test_what_fails_again_meanwhile_is_not_taken_up_by_the_same_job(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    receiver.script("/strict", [422] * MANY)
    (job,) = repair(hook).jobs
    job = run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert (job.changed, len(receiver.requests)) == (MANY, MANY)
    assert books(hook) == {"eligible": MANY, "dead": MANY}


def test_what_fails_after_a_job_was_started_is_not_its_to_repair(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    receiver.script("/strict", [422] * 3)
    append(source, [message(n, user=f"u{n}") for n in range(100, 103)])
    run(hook, worker)
    job = run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert job.changed == MANY
    assert books(hook) == {"eligible": MANY + 3, "delivered": MANY, "dead": 3}


def test_a_paused_job_goes_on_from_its_place_and_a_cancelled_one_leaves_the_rest_dead(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    runner.run(job.pk, turn_seconds=0.0)
    services.pause(job, TESTER)
    assert runner.run(job.pk, turn_seconds=0.0) is False
    services.resume(job, TESTER)
    runner.run(job.pk, turn_seconds=0.0)
    services.cancel(job, TESTER)
    assert runner.run(job.pk, turn_seconds=0.0) is False
    assert books(hook) == {"eligible": MANY, "waiting": 16, "dead": MANY - 16}


def test_a_job_waits_while_much_that_was_put_back_is_still_due(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_DUE", 20)
    monkeypatch.setattr(steps, "LEAST_STEP", 5)
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    for _ in range(3):
        runner.run(job.pk, turn_seconds=0.0)
    job.refresh_from_db()
    assert (job.done, RetryRow.objects.count()) == (16, 16)
    assert job.note.startswith("Waits until hook has taken more")
    run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert books(hook) == {"eligible": MANY, "delivered": MANY}


def test_a_job_for_a_paused_destination_says_that_it_waits_for_it(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_DUE", 10)
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    tenants.pause_destination(hook, "maintenance", TESTER)
    runner.run(job.pk, turn_seconds=0.0)
    job.refresh_from_db()
    assert job.note == "Waits: hook is paused."


def test_a_job_of_a_destination_that_is_deleted_meanwhile_ends_in_words(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook).jobs
    tenants.delete_destination(hook, actor=TESTER)
    runner.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "The destination was deleted; its dead letters stay as they are.")


def test_discarding_many_is_a_job_too_and_they_stay_dead_in_the_books(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    (job,) = repair(hook, acts.DISCARD).jobs
    runner.run(job.pk)
    assert not DeadLetter.objects.filter(discarded_at=None).exists()
    assert books(hook) == {"eligible": MANY, "dead": MANY}
    assert repair(hook).asked == 0


def test_waiting_retries_are_made_due_by_a_job(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    runner.run(repair(hook).jobs[0].pk)
    RetryRow.objects.update(next_run_at="2099-01-01T00:00:00Z", reason="timeout")
    (job,) = repair(hook, acts.RETRY_NOW, reason="timeout").jobs
    runner.run(job.pk)
    assert RetryRow.objects.filter(next_run_at__lte=clock.now()).count() == MANY
    assert books(hook) == {"eligible": MANY, "waiting": MANY}
