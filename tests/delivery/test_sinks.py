"""Writes to what speaks no HTTP: in threads of their own, judged like calls, and never left behind by a turn."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from connectors import registry
from connectors.http import ItemOutcome, Outcome
from connectors.records import SinkRequest
from hub.delivery import loop, services
from hub.delivery.models import Attempt, DeadLetter, Pipeline, RetryRow
from hub.delivery.sinks import SinkError
from hub.delivery.sinks.running import Runner, runner
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER


class Store:
    """What the driver of the tests writes to; `answers` is asked for each payload."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.opened = self.closed = 0
        self.trouble: Exception | None = None
        self.outcomes: dict[str, Outcome] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.busy = self.busiest = 0

    def open_sink(self, target: Any, gate: Any, timeout_s: float) -> Store:
        self.opened += 1
        return self

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        self.gate.wait(10)
        self.busy -= 1
        if self.trouble is not None:
            raise self.trouble
        values = [str(record.arguments[2]) for record in request.records]  # type: ignore[union-attr]
        self.written.append(values)
        return [
            ItemOutcome(index, self.outcomes.get(value, Outcome.DELIVERED), 0, "told" if value in self.outcomes else "")
            for index, value in zip(request.covers, values, strict=True)
        ]

    def is_fresh(self) -> bool:
        return True

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A driver for the protocol, as an installation has it."""
    made = Store()
    module = ModuleType("hub.delivery.sinks.redis")
    module.open_sink = made.open_sink  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield made
    made.gate.set()
    runner().close()
    registry.use_packages(registry.BUILT_IN)


def connect(source: Source, action: str = "write") -> Destination:
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": {"n": {"@path": "$.properties.n"}}}
    made = tenants.create_destination(
        source.workspace, "store", "Store", "storing", settings={"url": "redis://x"}, mappings=[rule], sources=[source],
        actor=TESTER,
    )  # fmt: skip
    return made.destination


def log(source: Source, count: int) -> None:
    append(source, [message(n, user=f"u{n}") for n in range(count)])


@pytest.mark.django_db(transaction=True)
def test_events_are_written_in_batches_by_an_open_sink(source: Source, store: Store, worker: Worker) -> None:
    hook = connect(source)
    log(source, 25)
    run(hook, worker)
    assert sorted(map(len, store.written)) == [5, 10, 10]
    assert 1 <= store.opened <= 3
    assert books(hook) == {"eligible": 25, "delivered": 25}
    shown = Attempt.objects.filter(destination_id=hook.pk).first()
    assert shown is not None
    assert "RPUSH" in shown.request


@pytest.mark.django_db(transaction=True)
def test_each_record_is_judged_by_itself(source: Source, store: Store, worker: Worker) -> None:
    hook = connect(source)
    store.outcomes = {"1": Outcome.REJECTED, "2": Outcome.RETRY}
    log(source, 4)
    run(hook, worker)
    assert DeadLetter.objects.get(destination_id=hook.pk).reason == "told"
    assert RetryRow.objects.get(destination_id=hook.pk).state == "retry"
    assert books(hook) == {"eligible": 4, "delivered": 2, "dead": 1, "waiting": 1}
    store.outcomes = {}
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 4, "delivered": 3, "dead": 1}


@pytest.mark.django_db(transaction=True)
def test_a_store_that_lets_nobody_in_stops_the_destination(source: Source, store: Store, worker: Worker) -> None:
    hook = connect(source)
    store.trouble = SinkError(Outcome.DISABLED, "no_table", "The table is not there.")
    log(source, 4)
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, "no_table" in hook.status_reason) == ("stopped", True)
    assert books(hook) == {"eligible": 4, "waiting": 4}
    assert store.closed == store.opened


@pytest.mark.django_db(transaction=True)
def test_what_must_not_be_written_twice_is_not_when_nobody_knows(source: Source, store: Store, worker: Worker) -> None:
    hook = connect(source, "once")
    store.trouble = SinkError(Outcome.RETRY, "broken", "The connection broke.", sent=True)
    log(source, 1)
    run(hook, worker)
    assert DeadLetter.objects.get(destination_id=hook.pk).reason == "unconfirmed"


@pytest.mark.django_db(transaction=True)
def test_a_driver_that_fails_is_our_own_fault_and_the_records_are_kept(
    source: Source, store: Store, worker: Worker
) -> None:
    hook = connect(source)
    store.trouble = TypeError("an answer that nobody foresaw")
    log(source, 2)
    run(hook, worker)
    assert {row.reason for row in RetryRow.objects.filter(destination_id=hook.pk)} == {"connector_bug"}
    assert books(hook) == {"eligible": 2, "waiting": 2}


@pytest.mark.django_db(transaction=True)
def test_without_a_driver_the_owner_is_told(source: Source, worker: Worker) -> None:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    with pytest.raises(SinkError) as missing:
        Runner()._write(SinkRequest("nonsense", {}))  # type: ignore[arg-type]
    assert (missing.value.outcome, missing.value.reason) == (Outcome.DISABLED, "driver_missing")
    registry.use_packages(registry.BUILT_IN)


@pytest.mark.django_db(transaction=True)
def test_a_pipeline_writes_a_few_at_once_and_waits_for_them_when_it_is_stopped(
    source: Source, store: Store, worker: Worker
) -> None:
    hook = connect(source)
    log(source, 100)
    store.gate.clear()
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    pipeline = Pipeline.objects.get(destination_id=hook.pk)
    turn = threading.Thread(target=loop.run_turn, args=(pipeline.pk, worker))
    turn.start()
    for _ in range(2_000):
        if store.busiest >= 2:
            break
        turn.join(0.01)
    worker.is_stopping = True
    turn.join(3)
    assert turn.is_alive()  # its writes are under way, and the lease is kept for as long
    assert store.busiest <= 4
    store.gate.set()
    turn.join(15)
    assert not turn.is_alive()
    worker.is_stopping = False
    run(hook, worker)
    assert books(hook) == {"eligible": 100, "delivered": 100}
    assert sorted(int(n) for batch in store.written for n in batch) == list(range(100))
