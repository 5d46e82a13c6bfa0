"""Whole turns of a pipeline against a real receiver: what is sent, what is written down, what happens when it fails."""

from __future__ import annotations

import json

import pytest

from hub.delivery import services
from hub.delivery.models import Attempt, Batch, DeadLetter, RetryRow
from hub.delivery.repair import acts
from hub.delivery.trace import trace
from hub.delivery.worker import Worker
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, connect, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def sent_numbers(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["properties"]["n"] for request in receiver.requests]


def test_every_event_arrives_once_and_the_books_balance(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(120)])
    run(hook, worker)
    assert sorted(sent_numbers(receiver)) == list(range(120))
    assert books(hook) == {"eligible": 120, "delivered": 120}


def test_a_second_turn_sends_nothing_again(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    run(hook, worker)
    run(hook, worker)
    assert sent_numbers(receiver) == [1]


def test_an_event_from_before_the_destination_was_made_is_not_its_own(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    append(source, [message(1)])
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(2)])
    run(hook, worker)
    assert sent_numbers(receiver) == [2]
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_an_event_of_another_workspace_is_never_sent(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    stranger = factories.make_source(factories.make_workspace(), "app")
    append(stranger, [message(1)])
    append(source, [message(2)])
    run(hook, worker)
    assert sent_numbers(receiver) == [2]


def test_an_event_of_an_unconnected_source_is_stepped_over(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    other = factories.make_source(source.workspace, "other")
    append(other, [message(1)])
    append(source, [message(2)])
    run(hook, worker)
    assert sent_numbers(receiver) == [2]
    assert books(hook) == {"eligible": 1, "delivered": 1}


@pytest.mark.parametrize("excluded", [{"All": False}, {"all": False}, {"Webhook": False}, {"Hook": False}])
def test_the_integrations_object_of_an_event_excludes_it(
    source: Source, receiver: Receiver, worker: Worker, excluded: dict[str, bool]
) -> None:
    hook = connect(source, receiver.url("/ok"))
    excluded_message = message(1, integrations=excluded)
    append(source, [excluded_message, message(2)])
    run(hook, worker)
    assert sent_numbers(receiver) == [2]
    assert books(hook) == {"eligible": 2, "delivered": 1, "filtered": 1}
    found = trace(source.workspace_id, excluded_message["messageId"])
    assert found is not None
    assert (found["deliveries"][0]["status"], found["deliveries"][0]["reason"]) == (
        "filtered", "filtered_by_integrations_object",
    )  # fmt: skip


def test_a_server_error_is_tried_again_under_the_same_delivery_id(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/flaky", [500]))
    append(source, [message(1)])
    run(hook, worker)
    row = RetryRow.objects.get(destination_id=hook.pk)
    assert (row.attempts, row.reason, row.status_code) == (1, "server_error", 500)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert [each.attempt for each in Attempt.objects.filter(destination_id=hook.pk).order_by("id")] == [1, 2]


def test_a_retry_is_not_made_before_its_time(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/flaky", [500]))
    append(source, [message(1)])
    run(hook, worker)
    run(hook, worker)
    assert len(receiver.requests) == 1


def test_a_refused_event_becomes_a_dead_letter_and_costs_nobody_else(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/strict", [422]))
    append(source, [message(n, user=f"u{n}") for n in range(10)])
    run(hook, worker)
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    assert (letter.reason, letter.status_code) == ("unprocessable", 422)
    assert books(hook) == {"eligible": 10, "delivered": 9, "dead": 1}


def test_a_dead_letter_can_be_put_back_and_delivered(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/strict", [422]))
    append(source, [message(1)])
    run(hook, worker)
    done = acts.retry(list(DeadLetter.objects.all()), TESTER, "fixed the mapping")
    assert done.changed == 1
    assert books(hook) == {"eligible": 1, "waiting": 1}
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
    assert not DeadLetter.objects.exists()


def test_a_discarded_dead_letter_stays_dead_in_the_books(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/400"))
    append(source, [message(1)])
    run(hook, worker)
    acts.discard(list(DeadLetter.objects.all()), TESTER, "a test event")
    assert books(hook) == {"eligible": 1, "dead": 1}
    assert acts.retry(list(DeadLetter.objects.all()), TESTER, "no").changed == 0


def test_a_dead_receiver_stops_the_cursor_and_costs_few_rows(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/503"))
    append(source, [message(n, user=f"u{n}") for n in range(500)])
    pipeline = run(hook, worker)
    assert pipeline.circuit == "open"
    assert RetryRow.objects.count() < 100
    assert books(hook) == {"eligible": 500, "waiting": 500}


def test_a_held_pipeline_calls_nobody(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/503"))
    append(source, [message(n, user=f"u{n}") for n in range(50)])
    run(hook, worker)
    calls = len(receiver.requests)
    run(hook, worker)
    assert len(receiver.requests) == calls


def test_good_probes_close_the_circuit_and_the_backlog_drains(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/outage", [503] * 15))
    append(source, [message(n, user=f"u{n}") for n in range(300)])
    for _ in range(10):
        pipeline = run(hook, worker)
        let_time_pass(hook)
    assert pipeline.circuit == "closed"
    assert books(hook) == {"eligible": 300, "delivered": 300}


def test_a_throttling_receiver_holds_the_pipeline_and_burns_no_attempt(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/busy"))
    append(source, [message(n, user=f"u{n}") for n in range(20)])
    pipeline = run(hook, worker)
    assert pipeline.held_until is not None
    assert pipeline.held_reason.startswith("throttled")
    assert not RetryRow.objects.filter(attempts__gt=0).exists()
    assert books(hook) == {"eligible": 20, "waiting": 20}


def test_refused_credentials_pause_the_destination_and_lose_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/401"))
    append(source, [message(n, user=f"u{n}") for n in range(20)])
    for _ in range(3):
        run(hook, worker)
        let_time_pass(hook)
    hook.refresh_from_db()
    assert hook.status == "paused"
    assert hook.status_reason.startswith("unauthorized")
    assert books(hook) == {"eligible": 20, "waiting": 20}


def test_a_receiver_that_is_gone_stops_the_destination(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/410"))
    append(source, [message(1)])
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, books(hook)) == ("stopped", {"eligible": 1, "waiting": 1})


def test_a_resumed_destination_delivers_its_backlog(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/gone", [410]))
    append(source, [message(1)])
    run(hook, worker)
    hook.refresh_from_db()
    services.resume(hook, TESTER)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}


def test_a_redirect_is_never_followed(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/redirect"))
    append(source, [message(1)])
    pipeline = run(hook, worker)
    assert {request.path for request in receiver.requests} == {"/redirect"}
    assert (pipeline.circuit, books(hook)) == ("open", {"eligible": 1, "waiting": 1})


def test_what_waits_when_a_source_is_disconnected_ends_as_filtered(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1), message(2)])
    tenants.disconnect(source, hook, actor=TESTER)
    append(source, [message(3)])
    run(hook, worker)
    assert sent_numbers(receiver) == []
    assert books(hook) == {"eligible": 2, "filtered": 2}


def test_what_waits_when_a_destination_is_deleted_ends_as_filtered(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    tenants.delete_destination(hook, actor=TESTER)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "filtered": 1}


def test_off_and_on_again_leaves_out_what_came_between(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    append(source, [message(2)])
    tenants.set_destination_enabled(hook, True, actor=TESTER)
    append(source, [message(3)])
    run(hook, worker)
    assert sorted(sent_numbers(receiver)) == [1, 3]
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_only_events_that_a_trigger_takes_are_sent(source: Source, receiver: Receiver, worker: Worker) -> None:
    rule = {"name": "Second", "action": "send", "trigger": 'event = "Event 2"', "fields": {"data": {"@path": "$."}}}
    hook = connect(source, receiver.url("/ok"), mappings=[rule])
    append(source, [message(1), message(2)])
    run(hook, worker)
    assert sent_numbers(receiver) == [2]
    assert books(hook) == {"eligible": 2, "delivered": 1, "filtered": 1}


def test_a_batch_that_is_refused_is_halved_until_the_guilty_event_is_alone(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/poison"), settings={"batch_size": 100})
    append(source, [message(n, user=f"u{n}", poison=n == 37) for n in range(100)])
    run(hook, worker)
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    assert letter.message_id.startswith("m-37-")
    assert books(hook) == {"eligible": 100, "delivered": 99, "dead": 1}


def test_events_of_one_user_keep_their_order_when_some_fail(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/flaky", [200, 503, 200, 200, 503]), ordering="per_user")
    append(source, [message(n, user=f"u{n % 3}") for n in range(30)])
    for _ in range(12):
        run(hook, worker)
        let_time_pass(hook)
    good = _numbers_in_order_of_success(receiver, hook)
    assert books(hook) == {"eligible": 30, "delivered": 30}
    assert all(numbers == sorted(numbers) for numbers in good.values())


def _numbers_in_order_of_success(receiver: Receiver, hook: Destination) -> dict[str, list[int]]:
    """What each user's events were accepted as: the last request of each event, in order of arrival."""
    last = {json.loads(request.body)["messageId"]: place for place, request in enumerate(receiver.requests)}
    order: dict[str, list[int]] = {}
    for place in sorted(last.values()):
        body = json.loads(receiver.requests[place].body)
        order.setdefault(body["userId"], []).append(body["properties"]["n"])
    return order


def test_a_hanging_receiver_is_given_up_on_and_its_event_kept(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/hang"), settings={"timeout": 1})
    append(source, [message(1)])
    run(hook, worker)
    row = RetryRow.objects.get(destination_id=hook.pk)
    assert row.reason == "timeout"


def test_a_worker_that_stops_lets_go_at_once_and_loses_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(20)])
    worker.is_stopping = True
    pipeline = run(hook, worker)
    assert pipeline.lease_until is None
    assert books(hook) == {"eligible": 20, "waiting": 20}


def test_batch_rows_say_what_became_of_each_event(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/strict", [422]))
    append(source, [message(n, user=f"u{n}") for n in range(60)])
    run(hook, worker)
    batches = Batch.objects.filter(destination_id=hook.pk)
    assert sum(batch.event_count for batch in batches) == 60
    assert (sum(batch.delivered for batch in batches), sum(batch.failed for batch in batches)) == (59, 1)
