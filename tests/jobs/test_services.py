"""Starting, pausing, resuming and cancelling jobs: which state allows what, and what the audit trail keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.jobs import runner, services, upkeep
from hub.jobs.errors import UnknownKind, WrongState
from hub.jobs.models import Job
from hub.lib import postgres
from hub.observability import metrics
from tenants.models import AuditEntry, Workspace
from tests import factories
from tests.factories import TESTER
from tests.jobs.conftest import start

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
committed = pytest.mark.django_db(transaction=True)


@committed
def test_a_job_is_audited_with_its_reason_and_size(counted: Workspace) -> None:
    job = start(counted)
    services.pause(job, TESTER, "lunch")
    services.resume(job, TESTER, "back")
    services.cancel(job, TESTER, "enough")
    entries = AuditEntry.unscoped.filter(object_id=str(job.pk)).order_by("at")
    assert [(each.action, each.after["reason"]) for each in entries] == [
        ("job.started", "tests"), ("job.paused", "lunch"), ("job.resumed", "back"), ("job.cancelled", "enough"),
    ]  # fmt: skip
    assert {each.workspace_id for each in entries} == {counted.pk}


@committed
@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("done", services.pause), ("paused", services.pause), ("failed", services.pause),
        ("running", services.resume), ("done", services.resume), ("cancelled", services.resume),
        ("done", services.cancel), ("cancelled", services.cancel),
    ],
)  # fmt: skip
def test_what_the_state_does_not_allow_is_refused_in_words(counted: Workspace, state: str, verb: object) -> None:
    job = start(counted)
    Job.unscoped.update(state=state)
    with pytest.raises(WrongState, match=f"The job is {state}; this can be done when it is"):
        verb(job, TESTER)  # type: ignore[operator]
    assert Job.unscoped.get().state == state


@committed
def test_a_kind_that_nothing_is_wired_for_is_not_started(counted: Workspace) -> None:
    with pytest.raises(UnknownKind):
        services.start("tests.none", counted, {}, TESTER)
    assert not Job.unscoped.exists()


@committed
def test_a_job_that_is_due_and_free_is_hinted_at_again(counted: Workspace) -> None:
    start(counted)
    taken, waiting, paused = start(counted), start(counted), start(counted)
    with postgres.connect() as connection:
        runner.take(connection, taken.pk, "worker")
        Job.unscoped.filter(pk=waiting.pk).update(next_run_at=NOON + timedelta(days=36_500))
        services.pause(paused, TESTER)
        assert upkeep.hint_due(connection) == 1


@committed
def test_workspaces_take_turns_when_many_jobs_are_due(counted: Workspace) -> None:
    many = [start(counted) for _ in range(3)]
    one = start(factories.make_workspace())
    with postgres.connect() as connection:
        found = [row[0] for row in connection.execute(upkeep.DUE, [2]).fetchall()]
    assert found == [many[0].pk, one.pk]


@committed
def test_the_gauge_counts_jobs_by_state(counted: Workspace) -> None:
    start(counted)
    services.cancel(start(counted), TESTER)
    with postgres.connect() as connection:
        upkeep.measure(connection)
    shown = {sample.labels["state"]: sample.value for sample in metrics.jobs.collect()[0].samples}
    assert (shown["queued"], shown["cancelled"], shown["done"]) == (1, 1, 0)


@committed
def test_a_job_that_ended_long_ago_is_forgotten_and_an_open_one_never(counted: Workspace) -> None:
    ended, kept = start(counted), start(counted)
    Job.unscoped.update(created_at=NOON - timedelta(days=3_650))
    services.cancel(ended, TESTER)
    Job.unscoped.filter(pk=ended.pk).update(ended_at=NOON - timedelta(days=3_650))
    with postgres.connect() as connection:
        upkeep.forget_old(connection)
    assert list(Job.unscoped.values_list("pk", flat=True)) == [kept.pk]


def job(**values: object) -> Job:
    return Job(**{"state": "running", "total": 1_000, "resumed_at": NOON, "next_run_at": NOON, **values})


def test_the_rate_is_that_of_the_time_since_it_last_went_on() -> None:
    assert job(done=300, resumed_done=100, stepped_at=NOON + timedelta(seconds=10)).per_second == 20


def test_the_time_left_follows_from_the_rate() -> None:
    assert job(done=200, stepped_at=NOON + timedelta(seconds=10)).seconds_left == 40


@pytest.mark.parametrize(
    "values",
    [
        {"stepped_at": None},
        {"done": 0},
        {"stepped_at": NOON},
        {"stepped_at": NOON - timedelta(hours=1)},
        {"state": "paused"},
        {"total": None},
    ],
)
def test_no_time_is_guessed_where_there_is_nothing_to_go_by(values: dict[str, object]) -> None:
    assert job(**{"done": 100, "stepped_at": NOON + timedelta(seconds=10), **values}).seconds_left is None


@pytest.mark.parametrize(
    ("values", "is_unattended"),
    [
        ({"state": "queued"}, True),
        ({"state": "running", "lease_until": NOON - timedelta(seconds=1)}, True),
        ({"state": "running", "lease_until": NOON + timedelta(minutes=2)}, False),
        ({"state": "queued", "next_run_at": NOON + timedelta(seconds=20)}, False),
        ({"state": "paused"}, False),
        ({"state": "done"}, False),
    ],
)
def test_a_job_that_nobody_takes_up_for_half_a_minute_is_unattended(
    values: dict[str, object], is_unattended: bool
) -> None:
    assert job(**values).is_unattended(NOON + timedelta(seconds=31)) is is_unattended
