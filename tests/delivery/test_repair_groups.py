"""Failures as groups: alike is together, counted by event, named in words, and of one workspace where that is asked."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command

from hub.delivery.models import DeadLetter, RetryRow
from hub.delivery.repair import groups
from hub.delivery.repair.acts import current_connection
from hub.delivery.repair.groups import Question
from hub.jobs.models import Job
from hub.lib import clock
from tenants import services as tenants
from tenants.models import AuditEntry, Workspace
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene
from tests.factories import TESTER

Captured = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


def bury(scene: Scene, count: int, signature: str = "401 unauthorized", **values: object) -> list[DeadLetter]:
    status, _, reason = signature.partition(" ")
    values = {"signature": signature, "status_code": int(status), "reason": reason.partition(":")[0], **values}
    first = DeadLetter.objects.count() + scene.seq
    return [staff.make_letter(scene.pipeline, scene.source, first + n, **values) for n in range(count)]


def found(**question: object) -> groups.Groups:
    return groups.dead(current_connection(), Question(**question))  # type: ignore[arg-type]


def test_a_group_says_status_destination_count_and_since_when(scene: Scene) -> None:
    bury(scene, 3)
    DeadLetter.objects.update(at=clock.now().replace(hour=9, minute=14))
    (group,) = found().groups
    assert group.title == "401 from Hook, 3 events, since 09:14"
    assert group.is_retryable


def test_a_group_that_began_another_day_says_which(scene: Scene) -> None:
    bury(scene, 1, at=clock.now() - timedelta(days=3))
    (group,) = found().groups
    assert group.title.endswith(f"1 event, since {group.first_at:%Y-%m-%d %H:%M}")


def test_a_failure_without_a_status_is_named_by_its_reason(scene: Scene) -> None:
    bury(scene, 1, signature="0 timeout")
    assert found().groups[0].title.startswith("timeout from Hook")


def test_the_largest_group_comes_first_and_all_are_counted(scene: Scene) -> None:
    bury(scene, 1, "422 unprocessable: Field <value> is missing")
    bury(scene, 3)
    bury(scene, 2, "422 unprocessable: <value> is no date")
    told = found()
    assert [(group.signature[:3], group.events) for group in told.groups] == [("401", 3), ("422", 2), ("422", 1)]
    assert (told.events, told.count) == (6, 3)
    assert groups.dead(current_connection(), Question(), 1).count == 3


def test_two_dead_parts_of_an_event_are_one_event(scene: Scene) -> None:
    for _ in range(2):
        staff.make_letter(scene.pipeline, scene.source, scene.seq, signature="400 bad_request")
    (group,) = found().groups
    assert (group.events, group.letters) == (1, 2)


def test_what_somebody_has_seen_to_is_in_no_group(scene: Scene) -> None:
    bury(scene, 2, discarded_at=clock.now())
    assert found().groups == []


def test_samples_are_the_newest_of_each_group(scene: Scene) -> None:
    letters = bury(scene, 5)
    bury(scene, 1, "422 unprocessable")
    first, second = found().groups
    assert [sample.letter_id for sample in first.samples] == [letter.pk for letter in reversed(letters[2:])]
    assert len(second.samples) == 1


def test_a_question_narrows_by_workspace_destination_and_time(scene: Scene, globex: Workspace) -> None:
    bury(scene, 1)
    elsewhere = factories.make_destination(globex, "hook")
    staff.make_letter(staff.make_pipeline(elsewhere), factories.make_source(globex, "web"), 99)
    assert [group.workspace_id for group in found(workspace_id=globex.pk).groups] == [globex.pk]
    assert [group.destination_id for group in found(destination_id=scene.destination.pk).groups] == [
        scene.destination.pk
    ]
    assert found(since=clock.now() + timedelta(minutes=1)).groups == []
    assert found(until=clock.now() - timedelta(minutes=1)).groups == []


@pytest.mark.parametrize("end", [tenants.delete_destination, lambda each, actor: tenants.set_destination_enabled(
    each, False, actor=actor)], ids=["deleted", "off"])  # fmt: skip
def test_nothing_is_retryable_at_a_destination_that_is_off_or_deleted(scene: Scene, end: object) -> None:
    bury(scene, 1)
    end(scene.destination, actor=TESTER)  # type: ignore[operator]
    assert not found().groups[0].is_retryable


def test_what_is_still_tried_is_grouped_by_state_and_reason(scene: Scene) -> None:
    for n, state in enumerate(["retry", "retry", "parked"]):
        staff.make_retry(scene.pipeline, scene.source, scene.seq + n, state=state)
    told = groups.waiting(current_connection(), Question(workspace_id=scene.workspace.pk))
    assert [(each.state, each.reason, each.events, each.destination) for each in told] == [
        ("retry", "timeout", 2, "hook"), ("parked", "timeout", 1, "hook"),
    ]  # fmt: skip


committed = pytest.mark.django_db(transaction=True)


@committed
def test_failures_prints_groups_for_people_and_for_scripts(scene: Scene, capsys: Captured) -> None:
    bury(scene, 2)
    staff.make_retry(scene.pipeline, scene.source, scene.seq + 9)
    call_command("failures", "--workspace", "acme")
    out = capsys.readouterr().out
    assert "acme: 401 from Hook, 2 events, since" in out
    assert "1 events of Hook still retry, timeout" in out
    call_command("failures", "--workspace", "acme", "--destination", "hook", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["events"], told["groups"][0]["signature"], told["groups"][0]["samples"]) == (
        2, "401 unauthorized", ["m", "m"],
    )  # fmt: skip
    assert told["waiting"][0]["state"] == "retry"


@committed
def test_failures_says_when_there_are_none(scene: Scene, capsys: Captured) -> None:
    call_command("failures")
    assert "nothing has failed for good" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["failures", "--workspace", "nowhere"], "no workspace 'nowhere'"),
        (["failures", "--destination", "hook"], "Say whose destination"),
        (["failures", "--workspace", "acme", "--destination", "x"], "acme has no destination 'x'"),
        (["failures", "--since", "yesterday"], "Give times like"),
        (["repair", "retry", "--workspace", "acme"], "Say which"),
        (["repair", "retry", "--workspace", "nowhere", "--status", "401"], "no workspace 'nowhere'"),
        (["repair", "retry", "--workspace", "acme", "--destination", "x"], "acme has no destination 'x'"),
        (["repair", "retry-now", "--workspace", "acme", "--signature", "x"], "neither signature nor message id"),
        (["repair", "discard", "--workspace", "acme", "--since", "soon"], "Give times like"),
    ],
)
def test_what_cannot_be_meant_is_told_in_words(scene: Scene, arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command(*arguments)


def test_a_dry_run_counts_and_changes_nothing(scene: Scene, capsys: Captured) -> None:
    bury(scene, 3)
    call_command("repair", "discard", "--workspace", "acme", "--status", "401", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == {"asked": 3, "changed": 0, "jobs": []}
    assert DeadLetter.objects.filter(discarded_at=None).count() == 3


def test_repair_retries_a_signature_and_audits_why(scene: Scene, capsys: Captured) -> None:
    bury(scene, 3)
    bury(scene, 1, "422 unprocessable")
    call_command("repair", "retry", "--workspace", "acme", "--signature", "401 unauthorized", "--why", "new key")
    assert "3 found, 3 changed" in capsys.readouterr().out
    assert (RetryRow.objects.count(), DeadLetter.objects.count()) == (3, 1)
    entry = AuditEntry.unscoped.get(action="dead_letter.retried")
    assert (entry.actor_label, entry.after["reason"]) == ("manage.py repair", "new key")


def test_repair_of_many_starts_a_job_and_says_so(scene: Scene, capsys: Captured) -> None:
    bury(scene, 101)
    call_command("repair", "discard", "--workspace", "acme", "--destination", "hook", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["asked"], told["changed"], told["jobs"][0]["state"]) == (101, 0, "queued")


def test_waiting_for_a_job_that_no_worker_takes_up_ends_with_advice(scene: Scene) -> None:
    bury(scene, 101)
    with time_machine.travel(clock.now() + timedelta(minutes=1)), pytest.raises(CommandError, match="No worker"):
        call_command("repair", "discard", "--workspace", "acme", "--destination", "hook", "--wait", "--json")
    assert Job.unscoped.get().state == "queued"


def test_repair_retry_at_a_destination_that_is_off_is_refused(scene: Scene) -> None:
    bury(scene, 1)
    tenants.set_destination_enabled(scene.destination, False, actor=TESTER)
    with pytest.raises(CommandError, match="hook is switched off"):
        call_command("repair", "retry", "--workspace", "acme", "--destination", "hook")


def test_repair_makes_retries_due(scene: Scene, capsys: Captured) -> None:
    staff.make_retry(scene.pipeline, scene.source, scene.seq, next_run_at="2099-01-01T00:00:00Z")
    call_command("repair", "retry-now", "--workspace", "acme", "--reason", "timeout")
    assert "1 found, 1 changed" in capsys.readouterr().out
