"""Repair: what failed is delivered once, whoever does it and however often that is interrupted; the books balance."""

from __future__ import annotations

from typing import Any

import pytest

from hub.delivery import leases, outcomes
from hub.delivery.models import DeadLetter, OutcomeCount, Pipeline, Replay, RetryRow
from hub.delivery.outcomes import ChunkOutcome, RetryDraft
from hub.delivery.repair import acts, steps
from hub.delivery.repair.acts import NotOn
from hub.delivery.worker import Worker
from hub.events.cursors import read_rows
from hub.jobs import runner
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Source
from tests.delivery.failed import MANY, connect, fail, numbers, repair, run_to_its_end
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_dead_letter_has_a_signature(source: Source, receiver: Receiver, worker: Worker) -> None:
    fail(source, receiver, worker, 1)
    assert DeadLetter.objects.get().signature == "422 unprocessable"


def test_few_are_done_at_once_and_tried_at_once(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = fail(source, receiver, worker, 5)
    done = repair(hook)
    assert (done.changed, done.asked, done.jobs) == (5, 5, ())
    assert books(hook) == {"eligible": 5, "waiting": 5}
    run(hook, worker)
    assert sorted(numbers(receiver)) == list(range(5))
    assert books(hook) == {"eligible": 5, "delivered": 5}


@pytest.mark.parametrize("verb", [acts.RETRY, acts.RETRY_NOW])
def test_nothing_is_tried_again_where_it_would_end_as_filtered(
    source: Source, receiver: Receiver, worker: Worker, verb: acts.Verb
) -> None:
    hook = fail(source, receiver, worker, 2)
    acts.retry(DeadLetter.objects.all()[:1], TESTER, "one")
    RetryRow.objects.update(next_run_at="2099-01-01T00:00:00Z")
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    with pytest.raises(NotOn, match="hook is switched off"):
        repair(hook, verb)


@pytest.mark.parametrize(
    ("narrowing", "found"),
    [
        ({"signature": "422 unprocessable"}, 3),
        ({"signature": "500 server_error"}, 0),
        ({"reason": "unprocessable"}, 3),
        ({"reason": "timeout"}, 0),
        ({"status_code": 422}, 3),
        ({"status_code": 400}, 0),
        ({"since": clock.now().replace(year=2020)}, 3),
        ({"until": clock.now().replace(year=2020)}, 0),
        ({"ids": ()}, 0),
    ],
)
def test_a_filter_chooses_what_is_repaired(
    source: Source, receiver: Receiver, worker: Worker, narrowing: dict[str, Any], found: int
) -> None:
    hook = fail(source, receiver, worker, 3)
    assert repair(hook, acts.DISCARD, **narrowing).changed == found


def test_one_message_is_found_by_its_id(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = fail(source, receiver, worker, 3)
    letter = DeadLetter.objects.order_by("id")[1]
    assert repair(hook, message_id=letter.message_id).changed == 1
    assert RetryRow.objects.get().seq == letter.seq


def test_another_destination_and_another_workspace_are_never_touched(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = fail(source, receiver, worker, 2)
    other = connect(source, receiver, slug="other", refused=3)
    append(source, [message(9, user="u9")])
    run(other, worker)
    repair(other)
    assert DeadLetter.objects.filter(destination_id=hook.pk).count() == 2


def test_an_act_is_audited_at_its_destination_with_reason_and_filter(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = fail(source, receiver, worker, MANY)
    acts.discard(DeadLetter.objects.order_by("id")[:3], TESTER, "tests of ours")
    (job,) = repair(hook, signature="422 unprocessable").jobs
    few, many = AuditEntry.unscoped.filter(action__startswith="dead_letter.").order_by("at")
    assert (few.action, few.object_label) == ("dead_letter.discarded", "hook")
    assert few.after == {"reason": "tests of ours", "asked": 3, "changed": 3, "which": {"ids": 3}}
    assert many.after == {
        "reason": "tests", "asked": MANY - 3, "job": str(job.pk), "which": {"signature": "422 unprocessable"},
    }  # fmt: skip


def test_what_is_put_back_has_the_full_time_again(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = fail(source, receiver, worker, 1)
    DeadLetter.objects.update(first_at="2020-01-01T00:00:00Z")
    receiver.script("/strict", [500])
    repair(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}


def two_parts() -> list[dict[str, Any]]:
    return [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
        for name in ("one", "two")
    ]


def test_both_dead_parts_of_an_event_go_back_together_wherever_a_step_ends(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEP", 3)
    hook = connect(source, receiver, refused=20, mappings=two_parts())
    append(source, [message(n, user=f"u{n}") for n in range(10)])
    run(hook, worker)
    (job,) = repair(hook).jobs
    runner.run(job.pk, turn_seconds=0.0)
    assert books(hook) == {"eligible": 10, "waiting": 2, "dead": 8}
    job = run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert job.changed == 20
    assert books(hook) == {"eligible": 10, "delivered": 10}


def test_a_part_stays_dead_while_another_of_its_event_is_still_tried(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver, mappings=two_parts())
    receiver.script("/strict", [500, 422])
    append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    assert (repair(hook).changed, DeadLetter.objects.count()) == (0, 1)
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "dead": 1}
    assert repair(hook).changed == 1
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_a_users_events_are_delivered_in_order_after_their_repair(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None
) -> None:
    hook = connect(source, receiver, refused=30, ordering="per_user")
    append(source, [message(n, user=f"u{n % 3}") for n in range(30)])
    run(hook, worker)
    receiver.requests.clear()
    (job,) = repair(hook).jobs
    run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert books(hook) == {"eligible": 30, "delivered": 30}
    by_user = {user: [n for n in numbers(receiver) if n % 3 == user] for user in range(3)}
    assert all(each == sorted(each) for each in by_user.values())


def test_at_an_ordered_destination_only_a_users_first_is_due(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver, refused=6, ordering="per_user")
    append(source, [message(n, user=f"u{n % 2}") for n in range(6)])
    run(hook, worker)
    repair(hook)
    states = RetryRow.objects.order_by("xid", "seq").values_list("state", flat=True)
    assert list(states) == ["retry", "retry", "parked", "parked", "parked", "parked"]


def test_a_user_gets_no_more_rows_than_an_ordered_destination_can_park(
    source: Source, receiver: Receiver, worker: Worker, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_OF_USER", 4)
    hook = connect(source, receiver, refused=15, ordering="per_user")
    append(source, [message(n, user="u1" if n < 10 else "u2") for n in range(15)])
    run(hook, worker)
    receiver.requests.clear()
    (job,) = repair(hook).jobs
    for _ in range(3):
        runner.run(job.pk, turn_seconds=0.0)
    assert RetryRow.objects.count() == 4
    run_to_its_end(job, hook, worker)
    run(hook, worker)
    assert [n for n in numbers(receiver) if n < 10] == list(range(10))
    assert books(hook) == {"eligible": 15, "delivered": 15}


def test_an_event_with_a_row_that_waits_is_not_overtaken_by_a_revived_one(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver, refused=2, ordering="per_user")
    first, *_ = append(source, [message(n, user="u1") for n in range(2)])
    run(hook, worker)
    acts.retry(DeadLetter.objects.filter(seq=first), TESTER, "the first")
    RetryRow.objects.update(next_run_at="2099-01-01T00:00:00Z")
    repair(hook)
    run(hook, worker)
    assert list(RetryRow.objects.order_by("seq").values_list("state", flat=True)) == ["retry", "parked"]
    assert numbers(receiver) == [0, 1]


@pytest.mark.parametrize(("state", "revived"), [("done", 1), ("running", 1), ("cancelled", 0)])
def test_a_dead_letter_of_a_replay_goes_back_to_the_replays_books(
    source: Source, receiver: Receiver, worker: Worker, state: str, revived: int
) -> None:
    hook = fail(source, receiver, worker, 1)
    now = clock.now()
    replay = Replay.objects.create(
        workspace_id=hook.workspace_id, destination_id=hook.pk, since=now, until=now, dead=1, state=state,
        ended_at=now,
    )  # fmt: skip
    pipeline = Pipeline.objects.create(
        workspace_id=hook.workspace_id, destination_id=hook.pk, kind="replay", replay_id=replay.pk, cursor_epoch=1,
        cursor_xid=0, cursor_seq=0,
    )  # fmt: skip
    letter = DeadLetter.objects.get()
    DeadLetter.objects.create(
        **{each.attname: getattr(letter, each.attname) for each in DeadLetter._meta.fields if each.attname != "id"}
        | {"pipeline_id": pipeline.pk}
    )
    done = acts.retry(DeadLetter.objects.filter(pipeline=pipeline), TESTER, "tests")
    replay.refresh_from_db()
    assert (done.changed, replay.dead) == (revived, 1 - revived)
    assert replay.state == ("cancelled" if state == "cancelled" else "running")
    assert DeadLetter.objects.filter(pipeline__kind="live").count() == 1
    assert OutcomeCount.objects.get(destination_id=hook.pk).dead == 1


def test_a_commit_and_a_repair_of_one_pipeline_wait_for_each_other_and_both_happen(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = fail(source, receiver, worker, 3)
    (seq,) = append(source, [message(7, user="u7")])
    pipeline = Pipeline.objects.get(destination_id=hook.pk)
    with postgres.connect() as connection:
        row = read_rows(connection, source.workspace_id, [seq])[seq]
        lease = leases.claim(connection, pipeline.pk, "test")
        assert lease is not None
        repair(hook)
        retry = RetryDraft(row, None, "retry", 0, 0.0)
        moved = type(lease.position)(lease.position.epoch, row.xid, row.seq)
        assert outcomes.commit(connection, lease, ChunkOutcome(moved, retries=[retry]), {}, "test")
        pipeline.refresh_from_db()
        assert pipeline.wanted
        leases.release(connection, lease, has_more=False, is_slow=False)
    assert books(hook) == {"eligible": 4, "waiting": 4}
