"""Connectors that go wrong: calls that must not come twice, and errors of our own that cost no event."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from connectors import registry
from hub.delivery.models import DeadLetter, RetryRow
from hub.delivery.worker import Worker
from tenants import services as tenants
from tenants.models import Destination, Source
from tests.delivery.logged import append, books, let_pass, let_time_pass, log, message, run
from tests.delivery.works import eventually
from tests.factories import TESTER
from tests.receivers import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dialects() -> Iterator[None]:
    """Connectors of the tests' own beside the built-in ones."""
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


def connect_strange(source: Source, url: str, action: str = "send", **options: Any) -> Destination:
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}}
    made = tenants.create_destination(
        source.workspace,
        "hook",
        "Hook",
        "strange",
        settings={"url": url},
        mappings=[rule],
        sources=[source],
        actor=TESTER,
        **options,
    )
    return made.destination


def test_a_call_that_must_not_be_repeated_ends_when_it_may_have_arrived(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.url("/close"), "once")
    log(source, 1)
    run(hook, worker)
    assert DeadLetter.objects.get().reason == "unconfirmed"
    assert (len(receiver.requests), books(hook)) == (1, {"eligible": 1, "dead": 1})


def test_a_call_that_must_not_be_repeated_is_repeated_when_nothing_was_sent(
    source: Source, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, "http://127.0.0.1:9/in", "once")
    log(source, 1)
    run(hook, worker)
    assert RetryRow.objects.get().reason == "connect"


def test_a_worker_that_stops_does_not_have_such_a_call_repeated(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.url("/hang"), "once")
    log(source, 1)
    turn = threading.Thread(target=run_beside, args=(hook, worker))
    turn.start()
    assert eventually(lambda: bool(receiver.requests))
    worker.abort_seconds, worker.is_stopping = 0.0, True
    turn.join()
    assert DeadLetter.objects.get(destination_id=hook.pk).reason == "unconfirmed"


def run_beside(hook: Destination, worker: Worker) -> None:
    """A turn in a thread of its own."""
    try:
        run(hook, worker)
    finally:
        connection.close()


def test_a_build_that_raises_is_tried_once_more_and_then_given_up(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.url("/ok"))
    append(source, [message(1, explode=True), message(2)])
    run(hook, worker)
    assert (RetryRow.objects.get().reason, RetryRow.objects.get().attempts) == ("connector_bug", 1)
    let_time_pass(hook)
    pipeline = run(hook, worker)
    assert (DeadLetter.objects.get().reason, pipeline.circuit) == ("connector_bug", "closed")
    assert books(hook) == {"eligible": 2, "delivered": 1, "dead": 1}


def test_an_answer_that_confuses_the_connector_keeps_its_event(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.rule("/p", lambda _: Reply(200, b"confuse")))
    log(source, 1)
    run(hook, worker)
    assert RetryRow.objects.get().reason == "connector_bug"


def test_twenty_mistakes_of_ours_in_five_minutes_pause_the_pipeline(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.url("/ok"))
    log(source, 60, explode=True)
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.held_reason) == ("open", "circuit: connector_bug")
    assert RetryRow.objects.count() == 19
    assert books(hook) == {"eligible": 60, "waiting": 60}


def test_a_probe_that_meets_our_mistake_goes_on_to_the_next_event(
    source: Source, receiver: Receiver, worker: Worker, dialects: None
) -> None:
    hook = connect_strange(source, receiver.url("/ok"))
    log(source, 21, explode=True)
    log(source, 5)
    for _ in range(12):
        run(hook, worker)
        let_pass(hook, held_until="1 hour")
    assert sorted(each["n"] for each in sent(receiver)) == [0, 1, 2, 3, 4]


def sent(receiver: Receiver) -> list[dict[str, Any]]:
    return [event["properties"] for request in receiver.requests for event in json.loads(request.body)]
