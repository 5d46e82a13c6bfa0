"""Rare meetings: sibling parts, overlapping count ranges, slow limits, our own errors, commits that fail."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest

from hub.delivery import chores, drafts, expiry, loop, outcomes, prepare, services
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.delivery.repair import acts
from hub.delivery.worker import Worker
from hub.events import counts, cursors
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from tenants import services as tenants
from tenants.models import Destination, Mapping, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
FAR = 1_000_000_000_000
PUT_BACK = """
INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day, user_key,
    state, attempts, first_at, next_run_at, reason, status_code, job_id, batch_key)
SELECT e.workspace_id, p.destination_id, p.id, %s, e.source_id, e.seq, e.xid::text::bigint, e.received_at::date,
    e.user_key, 'retry', 0, now(), now(), '', 0, '', ''
FROM event_log e, delivery_pipeline p WHERE p.destination_id = %s AND e.seq = %s
"""


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


def two_parts() -> list[dict[str, Any]]:
    return [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"part": name}}}
        for name in ("one", "two")
    ]


def pipeline_of(hook: Destination) -> Pipeline:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return Pipeline.objects.get(destination_id=hook.pk)


def stand_behind_the_first(connection: PgConnection, source: Source, hook: Destination) -> None:
    """Move the cursor behind the source's first event and book it as delivered."""
    services.ensure_pipelines(connection)
    connection.execute(
        "UPDATE delivery_pipeline SET (cursor_xid, cursor_seq) = (SELECT xid::text::bigint, seq FROM event_log "
        "WHERE source_id = %s ORDER BY xid, seq LIMIT 1) WHERE destination_id = %s",
        [source.pk, hook.pk],
    )
    connection.execute(
        "INSERT INTO delivery_count (workspace_id, destination_id, source_id, day, delivered, filtered, dead, expired) "
        "VALUES (%s, %s, %s, (now() AT TIME ZONE 'UTC')::date, 1, 0, 0, 0)",
        [source.workspace_id, hook.pk, source.pk],
    )


def test_a_part_that_is_refused_while_its_sibling_waits_is_counted_once(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [500, 500]), mappings=two_parts())
    append(source, [message(1)])
    run(hook, worker)
    first = RetryRow.objects.order_by("id")[0]
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_retry SET next_run_at = now() WHERE id = %s", [first.pk])
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "filtered": 1}


def test_one_of_an_events_two_dead_letters_can_be_put_back(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [400, 400]), mappings=two_parts())
    append(source, [message(1)])
    run(hook, worker)
    acts.retry(list(DeadLetter.objects.order_by("id")[:1]), TESTER, "one of two")
    assert books(hook) == {"eligible": 1, "waiting": 1}
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "dead": 1}


@pytest.mark.parametrize("is_whole_first", [False, True])
def test_a_row_for_the_whole_event_beside_one_for_a_part_sends_each_part_once(
    source: Source, receiver: Receiver, worker: Worker, is_whole_first: bool
) -> None:
    """One part was dead when our own code failed on the event; then both dead letters were put back."""
    hook = connect(source, receiver.url("/ok"), mappings=two_parts())
    first, second = append(source, [message(1), message(2)])
    run(hook, worker)
    mapping_id = Mapping.unscoped.filter(destination=hook).order_by("pk")[0].pk
    pair = [None, mapping_id] if is_whole_first else [mapping_id, None]
    with postgres.connect() as connection:
        for seq, part in ((first, mapping_id), *((second, each) for each in pair)):
            connection.execute(PUT_BACK, [part, hook.pk, seq])
        connection.execute("UPDATE delivery_count SET delivered = 0 WHERE destination_id = %s", [hook.pk])
    run(hook, worker)
    assert len(receiver.requests) == 4 + 3
    assert not RetryRow.objects.filter(destination_id=hook.pk).exists()
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_the_books_hold_when_folded_ranges_overlap(source: Source, receiver: Receiver) -> None:
    """A transaction that begins before a ten second edge may draw a higher number than one that begins after it."""
    hook = connect(source, receiver.url("/ok"))
    for number in range(4):
        append(source, [message(number)])
    with postgres.connect() as connection:
        found = connection.execute(
            "SELECT xid_from::text FROM event_count WHERE source_id = %s ORDER BY xid_from", [source.pk]
        ).fetchall()
        for (xid,), second in zip(found, (3, 12, 9, 15), strict=True):
            connection.execute(
                "UPDATE event_count SET at = date_trunc('minute', now() - '2 min'::interval) "
                "+ make_interval(secs => %s) WHERE source_id = %s AND xid_from = %s::xid8",
                [second, source.pk, xid],
            )
        stand_behind_the_first(connection, source, hook)
        before = books(hook)
        counts.fold_fine(connection, *cursors.horizon(connection))
    assert books(hook) == before == {"eligible": 4, "waiting": 3, "delivered": 1}


def test_a_backlog_of_a_past_epoch_expires_with_counts(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    old = append(source, [message(number) for number in range(3)])
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        shift = f"::text::bigint + {FAR})::text::xid8"
        connection.execute(f"UPDATE event_log SET xid = (xid{shift} WHERE source_id = %s", [source.pk])
        connection.execute(
            f"UPDATE event_count SET xid_from = (xid_from{shift}, xid_to = (xid_to{shift} WHERE source_id = %s",
            [source.pk],
        )
        connection.execute("UPDATE delivery_pipeline SET cursor_xid = cursor_xid + %s", [FAR])
        connection.execute("UPDATE tenants_subscriptioninterval SET from_xid = from_xid + %s", [FAR])
        connection.execute("UPDATE log_epoch SET epoch = 2")
        found = expiry.expire_before(connection, old[-1] + 1)
        balanced = books(hook)
        connection.execute("DELETE FROM event_log WHERE source_id = %s", [source.pk])
        connection.execute("DELETE FROM event_count WHERE source_id = %s", [source.pk])
    assert (found.waiting, balanced) == (3, {"eligible": 3, "expired": 3})


def test_a_pipeline_that_was_throttled_once_is_not_due_for_ever(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [429]))
    append(source, [message(1)])
    run(hook, worker)
    let_time_pass(hook)
    pipeline = run(hook, worker)
    assert (books(hook), pipeline.next_run_at) == ({"eligible": 1, "delivered": 1}, None)


def test_text_that_the_database_refuses_in_an_answer_stops_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/unstorable"))
    append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "dead": 1}


def test_a_limit_of_one_call_an_hour_holds_over_turns_and_holds_no_slot(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), rate_limit={"amount": 1, "per_seconds": 3600})
    append(source, [message(number) for number in range(3)])
    for _ in range(3):
        pipeline = run(hook, worker)
    assert len(receiver.requests) == 1
    assert pipeline.lease_until is None
    assert books(hook) == {"eligible": 3, "delivered": 1, "waiting": 2}


@pytest.mark.parametrize(("before", "after"), [("per_user", "none"), ("none", "per_user")])
def test_changing_the_order_in_mid_turn_ends_the_turn(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setattr(loop, "RELOAD_SECONDS", 0.0)
    hook = connect(source, receiver.url("/delay/300"), ordering=before)
    append(source, [message(number, user="u1") for number in range(3)])
    pipeline = pipeline_of(hook)
    turn = threading.Thread(target=loop.run_turn, args=(pipeline.pk, worker))
    turn.start()
    tenants.update_destination(hook, ordering=after, actor=TESTER)
    turn.join(15)
    assert not turn.is_alive()
    run(hook, worker)
    assert books(hook) == {"eligible": 3, "delivered": 3}


def test_an_event_on_which_our_own_code_fails_costs_nobody_else(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    serialise = prepare.serialise

    def failing(spec: Any) -> bytes | None:
        body = serialise(spec)
        if body and b"poison" in body:
            raise TypeError("a value that no serialiser takes")
        return body

    monkeypatch.setattr(prepare, "serialise", failing)
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1), message(2, poison=True), message(3)])
    for _ in range(3):
        run(hook, worker)
        let_time_pass(hook)
    assert {json.loads(request.body)["properties"]["n"] for request in receiver.requests} == {1, 3}
    assert books(hook) == {"eligible": 3, "delivered": 2, "dead": 1}


@pytest.mark.parametrize("waits_in_a_row", [False, True])
def test_a_part_on_whose_answer_our_own_code_fails_is_not_lost_when_its_sibling_has_arrived(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch, waits_in_a_row: bool
) -> None:
    def failing(run: Any, call: Any, answer: Any) -> tuple[str, str]:
        if answer.status == 422:
            raise TypeError("an answer that nobody foresaw")
        return "{}", "{}"

    hook = connect(source, receiver.script("/p", [200, 422]), mappings=two_parts())
    (seq,) = append(source, [message(1)])
    if waits_in_a_row:
        pipeline = pipeline_of(hook)
        with postgres.connect() as connection:
            stand_behind_the_first(connection, source, hook)
            connection.execute("UPDATE delivery_count SET delivered = 0 WHERE destination_id = %s", [hook.pk])
            connection.execute(PUT_BACK, [None, hook.pk, seq])
        assert pipeline.circuit == "closed"
    with monkeypatch.context() as patch:
        patch.setattr(drafts, "texts_of", failing)
        run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert len(receiver.requests) > 2
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_a_chore_that_times_out_does_not_starve_the_others(transactional_db: None) -> None:
    ran: list[str] = []

    def slow(_: object) -> None:
        ran.append("slow")
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    due = [chores.Chore("slow", 10, "", slow), chores.Chore("other", 10, "", lambda _: ran.append("other"))]
    with postgres.connect() as connection:
        chores.Housekeeping(due).do_due(connection, 1.0)
    assert ran == ["slow", "other"]


def test_a_commit_that_the_server_rolled_back_is_tried_again_and_nothing_is_sent_twice(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, failures = outcomes.commit, [psycopg.errors.DeadlockDetected("deadlock detected")]

    def failing(*arguments: Any) -> bool:
        if failures:
            raise failures.pop()
        return commit(*arguments)

    monkeypatch.setattr(outcomes, "commit", failing)
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(number) for number in range(3)])
    run(hook, worker)
    assert len(receiver.requests) == 3
    assert books(hook) == {"eligible": 3, "delivered": 3}


def test_an_error_of_our_own_in_a_turn_holds_the_pipeline_and_loses_nothing(
    source: Source, receiver: Receiver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> bool:
        raise psycopg.DataError("a value that no column takes")

    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    with monkeypatch.context() as patch, pytest.raises(psycopg.DataError):
        patch.setattr(outcomes, "commit", failing)
        run(hook, worker)
    pipeline = pipeline_of(hook)
    assert (pipeline.circuit, pipeline.lease_until) == ("open", None)
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
