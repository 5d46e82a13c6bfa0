"""Batches: filled by number, size and keys; halved when refused; repeated as they were; judged item by item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors import registry
from hub.delivery import loop, services
from hub.delivery.models import Attempt, DeadLetter, Pipeline, RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver, Reply, Request

pytestmark = pytest.mark.django_db(transaction=True)
Rule = Callable[[Request], Reply]


def connect(source: Source, url: str, batch_size: int = 100, **options: Any) -> Destination:
    settings = {"batch_size": batch_size, **options.pop("settings", {})}
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], settings=settings, **options)


@pytest.fixture
def dialects() -> Iterator[None]:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


def connect_other(source: Source, url: str, connector: str, action: str, **fields: Any) -> Destination:
    mapped = {"data": {"@path": "$."}, **fields}
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": mapped}
    made = tenants.create_destination(
        source.workspace, "hook", "Hook", connector, settings={"url": url}, mappings=[rule], sources=[source],
        actor=TESTER,
    )  # fmt: skip
    return made.destination


def log(source: Source, count: int, **extra: Any) -> None:
    append(source, [message(n, user=f"u{n}", **extra) for n in range(count)])


def numbers(request: Request) -> list[int]:
    return [event["properties"]["n"] for event in json.loads(request.body)]


def sizes(receiver: Receiver) -> list[int]:
    return [len(numbers(request)) for request in receiver.requests]


def refuse_poison(status: int, body: bytes = b"", poison: int = 37) -> Rule:
    return lambda request: Reply(status, body) if poison in numbers(request) else Reply(200)


def refuse_over(most: int) -> Rule:
    return lambda request: Reply(413 if len(numbers(request)) > most else 200)


def let_hold_pass(hook: Destination) -> None:
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_pipeline SET held_until = now() - interval '1 s' WHERE destination_id = %s", [hook.pk]
        )


# Halving


def test_one_poison_event_in_a_hundred_costs_itself_and_at_most_sixteen_requests_more(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    said = b'{"error": "no such field: colour"}' * 200
    hook = connect(source, receiver.rule("/p", refuse_poison(400, said, poison=67)))
    log(source, 130)
    run(hook, worker)
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    attempt = Attempt.objects.get(destination_id=hook.pk, seq=letter.seq)
    assert max(sizes(receiver)) == 100
    assert (letter.message_id[:5], letter.status_code, letter.reason) == ("m-67-", 400, "bad_request")
    assert "no such field: colour" in letter.message
    assert letter.message.endswith("sent alone)")
    assert "isolated=true" in letter.message
    assert 1_000 < len(json.loads(attempt.response)["body"]) <= 2_048
    assert len(receiver.requests) <= 2 + 16
    assert books(hook) == {"eligible": 130, "delivered": 129, "dead": 1}


@pytest.mark.parametrize("status", [400, 406, 409, 422, 451, 499 - 80])
def test_a_refusal_that_names_nobody_halves_the_batch(
    source: Source, receiver: Receiver, worker: Worker, status: int
) -> None:
    hook = connect(source, receiver.rule("/p", refuse_poison(status, poison=3)), batch_size=8)
    log(source, 8)
    run(hook, worker)
    assert books(hook) == {"eligible": 8, "delivered": 7, "dead": 1}


def test_no_event_goes_through_more_rounds_than_halving_takes(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.rule("/p", refuse_poison(422)))
    log(source, 100)
    run(hook, worker)
    assert sum(37 in numbers(request) for request in receiver.requests) <= 8


def test_two_poison_events_are_both_found(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.rule("/p", lambda r: Reply(400 if {5, 60} & set(numbers(r)) else 200)))
    log(source, 100)
    run(hook, worker)
    assert books(hook) == {"eligible": 100, "delivered": 98, "dead": 2}


# Learning sizes


def test_a_batch_that_was_too_large_teaches_a_smaller_one(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.rule("/p", refuse_over(40)))
    log(source, 100)
    pipeline = run(hook, worker)
    assert books(hook) == {"eligible": 100, "delivered": 100}
    assert (pipeline.learned_items, pipeline.learned_at is not None) == (35, True)
    receiver.requests.clear()
    log(source, 100)
    run(hook, worker)
    assert 30 <= max(sizes(receiver)) <= 35


def test_a_learned_size_grows_back_a_tenth_an_hour(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.rule("/p", refuse_over(40)))
    log(source, 100)
    run(hook, worker)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_pipeline SET learned_at = now() - interval '62 minutes'")
    receiver.requests.clear()
    log(source, 108)
    run(hook, worker)
    assert 33 <= max(sizes(receiver)) <= 39


def test_one_event_that_is_too_large_by_itself_teaches_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.rule("/p", refuse_poison(413)))
    log(source, 100)
    pipeline = run(hook, worker)
    assert (pipeline.learned_items, pipeline.learned_bytes) == (None, None)
    assert DeadLetter.objects.get().reason == "payload_too_large"
    assert books(hook) == {"eligible": 100, "delivered": 99, "dead": 1}


def test_a_batch_is_never_larger_than_its_rule_allows(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_other(source, receiver.url("/ok"), "strange", "many")
    log(source, 20, context={"text": "x" * 450})
    run(hook, worker)
    assert all(len(request.body) <= 2_000 for request in receiver.requests)
    assert max(sizes(receiver)) > 1
    assert books(hook) == {"eligible": 20, "delivered": 20}


def test_an_event_larger_than_any_batch_goes_alone(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_other(source, receiver.url("/ok"), "strange", "many")
    append(source, [message(0), message(1, context={"text": "x" * 5_000}), message(2)])
    run(hook, worker)
    assert sorted(map(numbers, receiver.requests)) == [[0], [1], [2]]


def test_only_events_with_equal_batch_keys_share_a_call(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_other(source, receiver.url("/ok"), "strange", "many", list={"@path": "$.properties.list"})
    append(source, [message(n, properties={"n": n, "list": n % 2}) for n in range(8)])
    run(hook, worker)
    assert sorted(map(numbers, receiver.requests)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_events_of_one_user_keep_their_order_in_a_batch(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n, user="one") for n in range(30)])
    run(hook, worker)
    assert [numbers(request) for request in receiver.requests] == [list(range(30))]


# Item by item


def test_a_batch_is_judged_item_by_item(source: Source, receiver: Receiver, worker: Worker) -> None:
    said = [{"status": 200}, {"status": 422, "message": "no email"}, {"status": 503}, {"status": 200}]
    hook = connect(source, receiver.rule("/p", lambda _: Reply(207, json.dumps(said).encode())), batch_size=5)
    log(source, 5)
    run(hook, worker)
    letter = DeadLetter.objects.get()
    assert (letter.status_code, letter.message.startswith("422: no email")) == (422, True)
    rows = RetryRow.objects.order_by("seq")
    assert [(row.reason, row.batch_key) for row in rows] == [("server_error", ""), ("missing_item", "")]
    assert books(hook) == {"eligible": 5, "delivered": 2, "dead": 1, "waiting": 2}


def test_fewer_accepted_than_sent_is_delivered_with_a_warning(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_other(source, receiver.rule("/p", lambda _: Reply(200, b"took 3")), "strange", "many")
    log(source, 5)
    run(hook, worker)
    kept = Attempt.objects.filter(destination_id=hook.pk)
    assert {(attempt.outcome, attempt.reason) for attempt in kept} == {("delivered", "count_mismatch")}
    assert books(hook) == {"eligible": 5, "delivered": 5}


# Once more, as it was


def keys(receiver: Receiver) -> list[str]:
    return [request.headers["idempotency-key"] for request in receiver.requests]


def test_a_batch_that_failed_is_repeated_as_it_was(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [500]), batch_size=10)
    log(source, 10)
    run(hook, worker)
    log(source, 25)
    assert set(RetryRow.objects.values_list("batch_key", flat=True)) == {keys(receiver)[0]}
    assert set(RetryRow.objects.values_list("attempts", flat=True)) == {1}
    let_time_pass(hook)
    run(hook, worker)
    assert keys(receiver).count(keys(receiver)[0]) == 2
    bodies = [request.body for request in receiver.requests if request.headers["idempotency-key"] == keys(receiver)[0]]
    assert bodies[0] == bodies[1]
    assert books(hook) == {"eligible": 35, "delivered": 35}


def test_a_batch_that_was_throttled_is_repeated_as_it_was_and_cost_no_attempt(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [429]), batch_size=100)
    log(source, 7)
    run(hook, worker)
    assert set(RetryRow.objects.values_list("attempts", "batch_key")) == {(0, keys(receiver)[0])}
    log(source, 50)
    let_hold_pass(hook)
    run(hook, worker)
    assert keys(receiver).count(keys(receiver)[0]) == 2
    assert books(hook) == {"eligible": 57, "delivered": 57}


def test_one_member_that_is_due_brings_its_whole_batch(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [500]), batch_size=10)
    log(source, 10)
    run(hook, worker)
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_retry SET next_run_at = now() WHERE id = (SELECT max(id) FROM delivery_retry)"
        )
    run(hook, worker)
    assert keys(receiver)[0] == keys(receiver)[1]
    assert books(hook) == {"eligible": 10, "delivered": 10}


def test_a_repeated_batch_that_is_refused_is_halved_like_any_other(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    poison, known = refuse_poison(400, poison=3), set[str]()

    def fail_once(request: Request) -> Reply:
        key = request.headers["idempotency-key"]
        is_new = len(numbers(request)) == 8 and key not in known
        known.add(key)
        return Reply(500) if is_new else poison(request)

    hook = connect(source, receiver.rule("/p", fail_once), batch_size=8)
    log(source, 8)
    run(hook, worker)
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 8, "delivered": 7, "dead": 1}


def test_an_outage_of_a_batched_destination_costs_rows_for_what_was_sent_only(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/503"), batch_size=10)
    log(source, 400)
    for _ in range(4):
        pipeline = run(hook, worker)
        let_hold_pass(hook)
    assert (pipeline.circuit, RetryRow.objects.count() <= 200) == ("open", True)
    assert books(hook) == {"eligible": 400, "waiting": 400}


# Rates


def test_throttling_lowers_the_rate_and_it_survives_a_restart(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [200, 429]), batch_size=0, rate_limit={"amount": 50, "per_seconds": 1})
    log(source, 5)
    pipeline = run(hook, worker)
    assert pipeline.learned_rate == pytest.approx(35.0)
    assert pipeline.rate_before == 50.0


def test_shards_wait_together_when_one_of_them_is_throttled(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/429"), batch_size=0)
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        connection.execute(
            "INSERT INTO delivery_pipeline (workspace_id, destination_id, cursor_epoch, cursor_xid, cursor_seq, "
            "created_at, shard, shard_count) SELECT workspace_id, destination_id, cursor_epoch, cursor_xid, "
            "cursor_seq, now(), 1, 1 FROM delivery_pipeline WHERE destination_id = %s",
            [hook.pk],
        )
    log(source, 5)
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    run_shard(hook, worker)
    assert Pipeline.objects.filter(destination_id=hook.pk, held_reason__startswith="throttled").count() == 2
    assert len(set(Pipeline.objects.filter(destination_id=hook.pk).values_list("learned_rate", flat=True))) == 1


def run_shard(hook: Destination, worker: Worker) -> None:
    loop.run_turn(Pipeline.objects.get(destination_id=hook.pk, shard=0).pk, worker)


def test_the_vendors_own_limit_counts_where_the_owner_sets_none(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_other(source, receiver.url("/delay/5"), "measured", "send")
    log(source, 30)
    run(hook, worker)
    assert receiver.busiest <= 3
    assert books(hook) == {"eligible": 30, "delivered": 30}
