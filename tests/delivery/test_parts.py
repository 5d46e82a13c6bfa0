"""One event, several mappings: each part is sent, fails and is repeated by itself."""

from __future__ import annotations

import json

import pytest

from hub.delivery import leases, outcomes, services
from hub.delivery.models import Pipeline
from hub.delivery.outcomes import ChunkOutcome, RetryDraft
from hub.delivery.worker import Worker
from hub.events.cursors import Position, read_rows
from hub.lib import postgres
from tenants.models import Destination, Source
from tests.delivery.logged import append, books, connect, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_mappings_are_two_parts_and_only_the_failed_one_is_sent_again(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"',
         "fields": {"data": {"part": name, "properties": {"@path": "$.properties"}}}}
        for name in ("one", "two")
    ]  # fmt: skip
    hook = connect(source, receiver.script("/parts", [200, 500]), mappings=rules)
    append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    parts = [json.loads(request.body)["part"] for request in receiver.requests]
    assert len(parts) == 3
    assert parts[2] == parts[1]
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_parts_that_a_fault_kept_from_being_sent_are_sent_later_and_the_others_not_again(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"part": name}}}
        for name in ("one", "two", "three", "four")
    ]
    hook = connect(source, receiver.script("/parts", [200, 410]), mappings=rules)
    append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    hook.refresh_from_db()
    services.resume(hook, TESTER)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
    parts = [json.loads(request.body)["part"] for request in receiver.requests]
    assert parts[0] not in parts[1:]
    assert sorted({parts[0], *parts[2:]}) == ["four", "one", "three", "two"]


def test_parts_of_a_retried_event_that_a_fault_kept_back_are_not_lost(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"part": name}}}
        for name in ("one", "two", "three", "four")
    ]
    hook = connect(source, receiver.script("/parts", [200, 410]), mappings=rules)
    (seq,) = append(source, [message(1)])
    pipeline = run_nothing(hook)
    wait_as_a_whole(pipeline, source, seq)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    hook.refresh_from_db()
    services.resume(hook, TESTER)
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
    assert {json.loads(request.body)["part"] for request in receiver.requests} == {"one", "two", "three", "four"}


def run_nothing(hook: Destination) -> Pipeline:
    """The destination's pipeline, made and not yet run."""
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return Pipeline.objects.get(destination_id=hook.pk)


def wait_as_a_whole(pipeline: Pipeline, source: Source, seq: int) -> None:
    """Let one event wait in a row of its own, not yet routed, with the cursor behind it, as after a fault."""
    with postgres.connect() as connection:
        row = read_rows(connection, source.workspace_id, [seq])[seq]
        lease = leases.claim(connection, pipeline.pk, "test")
        assert lease is not None
        outcome = ChunkOutcome(Position(1, row.xid, row.seq), retries=[RetryDraft(row, None, "retry", 0, 0.0)])
        assert outcomes.commit(connection, lease, outcome, {}, "test")
        leases.release(connection, lease, has_more=True, is_slow=False)


def test_an_event_with_one_dead_part_is_dead(source: Source, receiver: Receiver, worker: Worker) -> None:
    rules = [
        {"name": name, "action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
        for name in ("one", "two")
    ]
    hook = connect(source, receiver.script("/parts", [200, 400]), mappings=rules)
    append(source, [message(1)])
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "dead": 1}
