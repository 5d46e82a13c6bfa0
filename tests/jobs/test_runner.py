"""Turns of a job: every number is written once, whoever dies, waits, fails or is told to stop."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hub.jobs import kinds, runner, services
from hub.jobs.models import Job
from hub.lib import clock, postgres
from tenants.models import AuditEntry, Workspace
from tests.factories import TESTER
from tests.jobs.conftest import let_it_be_due, let_lease_run_out, start, tally
from tests.jobs.counting import Counting

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_is_done_step_by_step_and_each_row_once(counted: Workspace) -> None:
    job = start(counted)
    assert runner.run(job.pk) is False
    job.refresh_from_db()
    assert (job.state, job.done, job.changed, job.owner, job.lease_until) == ("done", 35, 35, "", None)
    assert tally() == list(range(35))


def test_the_end_of_a_job_is_in_the_audit_trail(counted: Workspace) -> None:
    job = start(counted)
    runner.run(job.pk)
    entry = AuditEntry.unscoped.get(action="job.done")
    assert (entry.object_id, entry.after["done"], entry.actor_label) == (str(job.pk), 35, "system")


def test_a_turn_whose_time_is_over_asks_for_another(counted: Workspace) -> None:
    job = start(counted)
    assert runner.run(job.pk, turn_seconds=0.0) is True
    assert tally() == list(range(10))
    while runner.run(job.pk, turn_seconds=0.0):
        pass
    assert tally() == list(range(35))


def test_what_follows_a_step_is_told_after_its_commit(counted: Workspace) -> None:
    runner.run(start(counted, 15).pk)
    assert Counting.told == [0, 10, 15]


def test_a_job_whose_worker_was_killed_goes_on_where_it_was(counted: Workspace) -> None:
    job = start(counted)
    with postgres.connect() as connection:
        claim = runner.take(connection, job.pk, "the one that dies")
        assert claim is not None
        runner.take_step(connection, claim, Counting())
    assert runner.run(job.pk) is False  # the dead one's lease has not run out
    assert tally() == list(range(10))
    let_lease_run_out(job)
    runner.run(job.pk)
    assert tally() == list(range(35))


def test_a_runner_that_was_thought_dead_changes_nothing_any_more(counted: Workspace) -> None:
    job = start(counted)
    with postgres.connect() as slow, postgres.connect() as quick:
        thought_dead = runner.take(slow, job.pk, "slow")
        let_lease_run_out(job)
        other = runner.take(quick, job.pk, "quick")
        assert thought_dead is not None
        assert other is not None
        assert runner.take_step(slow, thought_dead, Counting()) is None
        assert runner.take_step(quick, other, Counting()) is not None
    assert tally() == list(range(10))


def test_a_job_is_nobody_elses_while_a_step_is_open(counted: Workspace) -> None:
    """A step may last longer than its lease; its row is locked, so a second runner finds nothing to take."""
    job = start(counted)
    with postgres.connect() as slow, postgres.connect() as quick:
        claim = runner.take(slow, job.pk, "slow")
        assert claim is not None
        let_lease_run_out(job)
        with slow.transaction():
            slow.execute(runner.LOCK, claim.values)
            assert runner.take(quick, job.pk, "quick") is None
        assert runner.take(quick, job.pk, "quick") is not None


def test_a_step_that_the_database_undoes_is_tried_again_later(counted: Workspace) -> None:
    job = start(counted, stumbles_at=10, error="deadlock")
    assert runner.run(job.pk) is False
    job.refresh_from_db()
    assert (job.state, job.done, job.failure_count) == ("running", 10, 1)
    assert job.next_run_at > clock.now()
    assert tally() == list(range(10))
    Job.unscoped.update(arguments={})
    let_it_be_due(job)
    runner.run(job.pk)
    assert tally() == list(range(35))


def test_a_step_that_is_undone_again_and_again_fails_the_job(counted: Workspace) -> None:
    job = start(counted, stumbles_at=0, error="deadlock")
    for _ in range(runner.FAILURES_BORNE):
        let_it_be_due(job)
        runner.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "The database undid a step: DeadlockDetected.")
    assert job.ended_at is not None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("bug", "ZeroDivisionError: an error in Headwater itself; the log has it."),
        ("refusal", "There is nothing to count with."),
    ],
)
def test_a_failed_job_says_why_and_goes_on_from_its_place_when_resumed(
    counted: Workspace, error: str, told: str
) -> None:
    job = start(counted, stumbles_at=20, error=error)
    runner.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error, job.done) == ("failed", told, 20)
    Job.unscoped.update(arguments={})
    services.resume(job, TESTER)
    runner.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error, tally()) == ("done", "", list(range(35)))


@pytest.mark.parametrize(("verb", "state"), [(services.pause, "paused"), (services.cancel, "cancelled")])
def test_a_job_is_stopped_between_two_steps(counted: Workspace, verb: object, state: str) -> None:
    job = start(counted)
    with postgres.connect() as connection:
        claim = runner.take(connection, job.pk, "worker")
        assert claim is not None
        runner.take_step(connection, claim, Counting())
        verb(job, TESTER)  # type: ignore[operator]
        assert runner.take_step(connection, claim, Counting()) is None
    assert runner.run(job.pk) is False
    job.refresh_from_db()
    assert (job.state, tally()) == (state, list(range(10)))


def test_a_job_that_was_resumed_before_its_runner_noticed_loses_no_step(counted: Workspace) -> None:
    job = start(counted)
    with postgres.connect() as connection:
        claim = runner.take(connection, job.pk, "worker")
        assert claim is not None
        services.pause(job, TESTER)
        services.resume(job, TESTER)
        assert runner.take_step(connection, claim, Counting()) is None
        connection.execute(runner.RELEASE, {**claim.values, "wait": 0.0})
    runner.run(job.pk)
    assert tally() == list(range(35))


def test_a_job_that_wants_to_wait_lets_go_and_says_for_what(counted: Workspace) -> None:
    job = start(counted, wait_seconds=60, note="Waits for the tide.")
    assert runner.run(job.pk) is False
    job.refresh_from_db()
    assert (job.state, job.note, job.lease_until) == ("running", "Waits for the tide.", None)
    assert job.next_run_at > clock.now()
    assert runner.run(job.pk) is False
    assert tally() == list(range(10))


def test_a_job_of_a_kind_that_nothing_is_wired_for_fails_in_words(counted: Workspace) -> None:
    job = start(counted)
    Job.unscoped.update(kind="tests.gone")
    runner.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "Nothing here knows how to do 'tests.gone'.")


def test_a_hint_about_no_job_is_of_no_consequence(counted: Workspace) -> None:
    assert runner.run(uuid4()) is False


@pytest.mark.parametrize("kind", ["repair.retry", "repair.discard", "repair.retry_now"])
def test_every_kind_that_the_settings_wire_can_be_loaded(kind: str) -> None:
    assert kinds.load(kind).title
