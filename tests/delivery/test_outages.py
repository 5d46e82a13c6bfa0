"""The circuit through an outage: who is told, what waits, and how calls are let loose again."""

from __future__ import annotations

import pytest

from hub.delivery import services
from hub.delivery.models import RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source
from tests.delivery.logged import audited, books, connect, let_pass, let_time_pass, log, run
from tests.factories import TESTER
from tests.receivers import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_circuit_that_is_open_for_an_hour_is_told_to_the_owner_once(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/redirect"))
    log(source, 3)
    run(hook, worker)
    let_pass(hook, circuit_opened_at="61 minutes")
    for _ in range(2):
        let_pass(hook, held_until="1 hour")
        run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason.partition(":")[0]) == ("active", "redirect")
    assert audited(hook).count("destination.circuit_open") == 1


def test_the_owner_is_told_when_it_closes(source: Source, receiver: Receiver, worker: Worker) -> None:
    moved = [308]
    hook = connect(source, receiver.rule("/p", lambda _: Reply(moved[0])))
    log(source, 5)
    run(hook, worker)
    let_pass(hook, circuit_opened_at="61 minutes", held_until="1 hour")
    run(hook, worker)
    let_pass(hook, held_until="1 hour")
    moved[0] = 200
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason) == ("active", "")
    assert audited(hook)[-2:] == ["destination.circuit_open", "destination.circuit_closed"]
    assert books(hook) == {"eligible": 5, "delivered": 5}


def test_a_circuit_that_is_open_for_five_days_stops_the_destination_and_deletes_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/redirect"))
    log(source, 3)
    run(hook, worker)
    let_pass(hook, circuit_opened_at="5 days 1 minute", held_until="1 hour")
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, books(hook)) == ("stopped", {"eligible": 3, "waiting": 3})


def test_an_outage_costs_no_row_for_the_backlog(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/503"))
    log(source, 400)
    run(hook, worker)
    rows = RetryRow.objects.count()
    for _ in range(3):
        let_pass(hook, held_until="1 hour")
        run(hook, worker)
    assert (rows < 30, RetryRow.objects.count()) == (True, rows)


def test_after_good_probes_calls_come_one_two_and_four_at_a_time(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/delay/20"))
    log(source, 5)
    run(hook, worker)
    with postgres.connect() as own:
        own.execute("UPDATE delivery_pipeline SET circuit = 'open', circuit_opened_at = now()")
    log(source, 40)
    receiver.busiest = 0
    pipeline = run(hook, worker)
    assert pipeline.circuit in {"ramp", "closed"}
    assert books(hook) == {"eligible": 45, "delivered": 45}
    assert receiver.busiest <= 8


def test_a_receiver_that_fails_again_while_calls_are_let_loose_is_probed_soon(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/500"))
    log(source, 20)
    with postgres.connect() as own:
        services.ensure_pipelines(own)
        own.execute("UPDATE delivery_pipeline SET circuit = 'ramp', circuit_reopened = 6, circuit_opened_at = now()")
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.circuit_reopened) == ("open", 0)


def test_a_resumed_destination_forgets_what_its_circuit_had_learnt(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [401, 401]))
    log(source, 3)
    for _ in range(2):
        run(hook, worker)
        let_time_pass(hook)
    services.resume(hook, TESTER)
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.unauthorized_count) == ("closed", 0)
    assert books(hook) == {"eligible": 3, "delivered": 3}


def test_a_receiver_that_fails_a_third_of_the_time_goes_to_the_slow_queue(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.script("/p", [200, 200, 500] * 20))
    log(source, 60)
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.is_slow) == ("closed", True)
