"""An event that kills workers ends as a dead letter; pipelines that only shared the process lose nothing."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from hub.delivery import careful, leases, loop, services
from hub.delivery.careful import Care
from hub.delivery.models import Batch, DeadLetter, Pipeline, RetryRow
from hub.delivery.outcomes import ChunkOutcome, Decided, Status
from hub.delivery.worker import Worker
from hub.events.cursors import LogRow, read_rows
from hub.lib import postgres
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


def pipeline_of(hook: Destination) -> Pipeline:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return Pipeline.objects.get(destination_id=hook.pk)


def crash(hook: Destination, *, seq: int | None = None, is_row: bool = False) -> Pipeline:
    """A worker takes the lease, in a careful turn writes down an event, and is never heard of again."""
    pipeline = pipeline_of(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline.pk, "victim")
        assert lease is not None
        if lease.crash_count >= careful.CAREFUL_FROM:
            leases.note_inflight(connection, lease, seq, is_row=is_row)
        connection.execute(
            "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s' WHERE id = %s", [pipeline.pk]
        )
    pipeline.refresh_from_db()
    return pipeline


def sent_numbers(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["properties"]["n"] for request in receiver.requests]


@pytest.mark.parametrize("ordering", ["none", "per_user"])
def test_the_event_over_which_a_worker_dies_the_third_time_is_dead_and_the_others_arrive(
    source: Source, receiver: Receiver, worker: Worker, ordering: str
) -> None:
    hook = connect(source, receiver.url("/ok"), ordering=ordering)
    seqs = append(source, [message(n) for n in range(5)])
    for _ in range(3):
        crash(hook, seq=seqs[0])
    run(hook, worker)
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    assert (letter.seq, letter.reason, letter.mapping_id) == (seqs[0], "worker_crash", None)
    assert sorted(sent_numbers(receiver)) == [1, 2, 3, 4]
    assert books(hook) == {"eligible": 5, "delivered": 4, "dead": 1}


def test_two_crashes_cost_no_event(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(5)])
    crash(hook)
    assert crash(hook).crash_count == 1
    run(hook, worker)
    assert books(hook) == {"eligible": 5, "delivered": 5}


def test_a_careful_turn_has_one_event_under_way_and_written_down(source: Source, worker: Worker) -> None:
    with Receiver() as receiver:
        hook = connect(source, receiver.url("/delay/50"))
        seqs = append(source, [message(n, user=f"u{n}") for n in range(6)])
        crash(hook)
        crash(hook)
        run(hook, worker)
        assert receiver.busiest == 1
    assert len(seqs) == 6
    assert books(hook) == {"eligible": 6, "delivered": 6}


def test_a_careful_turn_that_ends_in_peace_makes_the_pipeline_an_ordinary_one(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(3)])
    crash(hook)
    crash(hook)
    pipeline = run(hook, worker)
    assert (pipeline.crash_count, pipeline.crash_seq, pipeline.inflight_seq) == (0, None, None)


def test_after_two_hundred_events_the_backlog_goes_fast_again(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n, user=f"u{n}") for n in range(300)])
    crash(hook)
    crash(hook)
    pipeline = run(hook, worker)
    assert (pipeline.crash_count, len(receiver.requests)) == (0, 200)
    run(hook, worker)
    assert Batch.objects.filter(destination_id=hook.pk, event_count__gt=1).exists()
    assert books(hook) == {"eligible": 300, "delivered": 300}


def test_a_crash_farther_on_begins_a_new_count(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    crash(hook)
    crash(hook)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET cursor_seq = cursor_seq + 1 WHERE destination_id = %s", [hook.pk]
        )
    assert crash(hook).crash_count == 1


def test_a_crash_farther_on_leaves_a_careful_pipeline_careful(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    (seq,) = append(source, [message(1)])
    for _ in range(3):
        crash(hook)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET cursor_seq = cursor_seq + 1 WHERE destination_id = %s", [hook.pk]
        )
    assert crash(hook, seq=seq).crash_count == 2


def test_a_guilty_event_in_a_retry_row_is_dead_and_its_row_gone(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
        for name in ("one", "two")
    ]
    hook = connect(source, receiver.script("/p", [503, 503]), mappings=rules)
    (seq,) = append(source, [message(1)])
    run(hook, worker)
    assert RetryRow.objects.filter(destination_id=hook.pk).count() == 2
    let_time_pass(hook)
    append(source, [message(2)])
    for _ in range(4):
        crash(hook, seq=seq, is_row=True)
    run(hook, worker)
    assert not RetryRow.objects.filter(destination_id=hook.pk).exists()
    assert [letter.reason for letter in DeadLetter.objects.filter(destination_id=hook.pk)] == ["worker_crash"]
    assert books(hook) == {"eligible": 2, "delivered": 1, "dead": 1}


def test_a_row_is_not_blamed_for_crashes_that_it_was_no_part_of(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    """Three workers died at one cursor; only the third had this row under way, as any row that is due goes first."""
    hook = connect(source, receiver.script("/p", [503]))
    (seq,) = append(source, [message(1)])
    run(hook, worker)
    append(source, [message(2, user="other")])
    run(hook, worker)
    let_time_pass(hook)
    for _ in range(3):
        crash(hook, seq=seq, is_row=True)
    run(hook, worker)
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_a_pipeline_that_shared_the_process_loses_nothing(source: Source, receiver: Receiver, worker: Worker) -> None:
    """It died three times as well, but its event had been waiting for its answer, and so was no longer written down."""
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(3)])
    for _ in range(3):
        crash(hook, seq=None)
    run(hook, worker)
    assert books(hook) == {"eligible": 3, "delivered": 3}


def test_an_event_that_waits_for_its_answer_is_not_suspected(
    source: Source, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(careful, "SUSPECT_SECONDS", 0.0)
    with Receiver() as receiver:
        hook = connect(source, receiver.url("/hang"), settings={"timeout": 8})
        append(source, [message(1)])
        crash(hook)
        crash(hook)
        turn = threading.Thread(target=loop.run_turn, args=(pipeline_of(hook).pk, worker))
        turn.start()
        written: list[int | None] = []
        while turn.is_alive():
            found = Pipeline.objects.get(destination_id=hook.pk).inflight_seq
            written += [] if written[-1:] == [found] else [found]
            turn.join(0.1)
    assert [each is None for each in written] == [True, False, True][-len(written) :]


def test_after_a_crash_the_log_waits_for_rows_but_not_for_as_long_as_some_fail(
    source: Source, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    crash(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(hook).pk, "survivor")
    assert lease is not None
    assert Care(lease).holds_live(rows_are_busy=True)
    monkeypatch.setattr(careful, "SUSPECT_SECONDS", 0.0)
    assert not Care(lease).holds_live(rows_are_busy=True)


def test_a_process_runs_one_careful_turn_at_a_time(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    crash(hook)
    crash(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(hook).pk, "other")
        assert lease is not None
        leases.release(connection, lease, has_more=True, is_slow=False)
    other = Care(lease)
    assert other.enter()
    try:
        pipeline = run(hook, worker)
        assert (pipeline.crash_count, len(receiver.requests)) == (2, 0)
    finally:
        other.leave()
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}


@pytest.mark.parametrize(("has_passed", "count"), [(False, 3), (True, 2)])
def test_a_worker_that_dies_after_the_place_was_passed_blames_nobody(
    source: Source, receiver: Receiver, has_passed: bool, count: int
) -> None:
    hook = connect(source, receiver.url("/ok"))
    (seq,) = append(source, [message(1)])
    crash(hook)
    crash(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(hook).pk, "victim")
        assert lease is not None
        row = read_rows(connection, source.workspace_id, [seq])[seq]
        passed = [Decided(row, Status.DELIVERED)] if has_passed else []
        Care(lease).note(ChunkOutcome(lease.position, decided=passed))
        connection.execute(
            "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s' WHERE id = %s", [lease.pipeline_id]
        )
    assert crash(hook).crash_count == count


def test_a_turn_that_had_to_wait_for_another_leaves_the_evidence(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = append(source, [message(n) for n in range(2)])
    for _ in range(3):
        crash(hook, seq=seqs[0])
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(hook).pk, "other")
        assert lease is not None
        leases.release(connection, lease, has_more=True, is_slow=False, has_run=False)
    other = Care(lease)
    assert other.enter()
    try:
        run(hook, worker)
    finally:
        other.leave()
    run(hook, worker)
    assert sent_numbers(receiver) == [1]
    assert books(hook) == {"eligible": 2, "delivered": 1, "dead": 1}


def test_rows_that_are_tried_first_each_time_do_not_hide_who_kills(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = append(source, [message(n) for n in range(2)])
    with postgres.connect() as connection:
        row = read_rows(connection, source.workspace_id, seqs)[seqs[1]]
    for _ in range(4):
        die_after_a_row(hook, row, seqs[0])
    run(hook, worker)
    assert sent_numbers(receiver) == [1]
    assert books(hook) == {"eligible": 2, "delivered": 1, "dead": 1}


def die_after_a_row(hook: Destination, row: LogRow, seq: int) -> None:
    """A worker tries a row that was due, which fails, and dies over the event at the cursor."""
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipeline_of(hook).pk, "victim")
        assert lease is not None
        Care(lease).note(ChunkOutcome(decided=[Decided(row, Status.RETRYING)], is_retry=True))
        leases.note_inflight(connection, lease, seq)
        connection.execute(
            "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s' WHERE id = %s", [lease.pipeline_id]
        )
