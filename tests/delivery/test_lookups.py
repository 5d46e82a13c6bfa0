"""Look-ups before a delivery: shared, remembered, in steps, and what their failures mean for whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors import registry
from hub.delivery import remembered
from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.delivery.test_order import turn_in_a_thread
from tests.delivery.works import eventually
from tests.factories import TESTER
from tests.receivers import Receiver, Reply, Request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def dialects() -> Iterator[None]:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


@pytest.fixture
def vendor(receiver: Receiver) -> Receiver:
    """Knows every contact and every list by a number."""
    return receiver


def connect(source: Source, receiver: Receiver, action: str = "send", **options: Any) -> Destination:
    fields = {one.key: one.default for one in registry.get("asking").actions[0].fields}
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": fields}
    settings = {"api_url": receiver.url(""), **options.pop("settings", {})}
    made = tenants.create_destination(
        source.workspace, "asking", "Asking", "asking", settings=settings, mappings=[rule], sources=[source],
        actor=TESTER, **options,
    )  # fmt: skip
    return made.destination


def knows(receiver: Receiver, *emails: str, status: int = 200) -> None:
    for number, email in enumerate(emails):
        receiver.rule(f"/contacts/{email}", answer(status, number))


def answer(status: int, number: int = 0) -> Callable[[Request], Reply]:
    return lambda request: Reply(status, json.dumps({"id": number}).encode())


def log(source: Source, *users: str, first: int = 0, **properties: Any) -> None:
    append(
        source,
        [message(n, user=user, properties={"n": n, **properties}) for n, user in enumerate(users, start=first)],
    )


def sent(receiver: Receiver) -> list[dict[str, Any]]:
    bodies = [json.loads(request.body) for request in receiver.requests if request.path == "/events"]
    return [item for body in bodies for item in body]


def asked(receiver: Receiver) -> list[str]:
    return [path for path in receiver.paths() if path != "/events"]


def test_what_a_look_up_finds_is_in_the_request(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver)
    knows(receiver, "ada", "bob")
    receiver.rule("/events", answer(200))
    log(source, "ada", "bob")
    run(asking, worker)
    assert sorted(sent(receiver), key=lambda item: int(item["n"])) == [{"n": 0, "contact": 0}, {"n": 1, "contact": 1}]
    assert books(asking) == {"eligible": 2, "delivered": 2}


def test_equal_questions_of_a_chunk_share_one_call(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver)
    knows(receiver, "eve")
    receiver.rule("/events", answer(200))
    log(source, *["eve"] * 12)
    run(asking, worker)
    assert asked(receiver) == ["/contacts/eve"]
    assert len(sent(receiver)) == 12


def test_another_worker_remembers_what_was_found(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver)
    knows(receiver, "mia")
    receiver.rule("/events", answer(200))
    log(source, "mia")
    run(asking, worker)
    remembered.memory.cache_clear()  # as a process that has just started
    log(source, "mia", first=1)
    run(asking, worker)
    assert asked(receiver) == ["/contacts/mia"]
    assert sent(receiver)[1] == {"n": 1, "contact": 0}


def test_other_credentials_do_not_see_what_was_found_with_these(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    asking = connect(source, receiver, settings={"api_key": "first-api-key"})
    knows(receiver, "kim")
    receiver.rule("/events", answer(200))
    log(source, "kim")
    run(asking, worker)
    tenants.update_destination(asking, settings={"api_key": "second-api-key"}, actor=TESTER)
    log(source, "kim", first=1)
    run(asking, worker)
    assert asked(receiver) == ["/contacts/kim"] * 2


def test_a_secret_that_a_receiver_gives_back_is_not_remembered(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    asking = connect(source, receiver, settings={"api_key": "very-secret-key"})
    receiver.rule("/contacts/joy", lambda request: Reply(200, b'{"id": "very-secret-key"}'))
    receiver.rule("/events", answer(200))
    log(source, "joy")
    run(asking, worker)
    log(source, "joy", first=1)
    run(asking, worker)
    assert asked(receiver) == ["/contacts/joy"] * 2


def test_that_there_is_none_is_told_but_not_remembered(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver)
    knows(receiver, "new", status=404)
    receiver.rule("/events", answer(200))
    log(source, "new")
    run(asking, worker)
    log(source, "new", first=1)
    run(asking, worker)
    assert asked(receiver) == ["/contacts/new"] * 2
    assert sent(receiver)[0] == {"n": 0, "contact": None}


def test_a_batch_goes_on_without_the_event_whose_look_up_failed(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    asking = connect(source, receiver, "many")
    knows(receiver, *(f"u{n}" for n in range(5)))
    receiver.rule("/contacts/u3", answer(500))
    receiver.rule("/lists/vip", answer(200, 7))
    receiver.rule("/events", answer(200))
    log(source, *(f"u{n}" for n in range(5)), list="vip")
    run(asking, worker)
    assert [item["n"] for item in sent(receiver)] == [0, 1, 2, 4]
    assert {item["list"] for item in sent(receiver)} == {7}
    assert asked(receiver).count("/lists/vip") == 1
    assert books(asking) == {"eligible": 5, "delivered": 4, "waiting": 1}
    row = RetryRow.objects.get(destination_id=asking.pk)
    assert (row.reason, row.attempts, row.batch_key) == ("server_error", 1, "")
    receiver.rule("/contacts/u3", answer(200, 3))
    let_time_pass(asking)
    run(asking, worker)
    assert books(asking) == {"eligible": 5, "delivered": 5}


def test_the_steps_own_word_ends_every_event_that_shares_it(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver, "many")
    receiver.rule("/lists/gone", answer(418))
    log(source, "a1", "a2", list="gone")
    run(asking, worker)
    assert books(asking) == {"eligible": 2, "dead": 2}
    assert {row.reason for row in DeadLetter.objects.all()} == {"no_such_list"}
    assert [path for path in asked(receiver) if "contacts" in path] == []


@pytest.mark.parametrize(("status", "state"), [(401, "unauthorized"), (429, "throttled"), (410, "disabled")])
def test_a_destination_at_fault_in_a_look_up_costs_no_event_anything(
    source: Source, receiver: Receiver, worker: Worker, status: int, state: str
) -> None:
    asking = connect(source, receiver)
    knows(receiver, "zoe", status=status)
    log(source, "zoe", "zoe")
    pipeline = run(asking, worker)
    assert books(asking) == {"eligible": 2, "waiting": 2}
    assert not RetryRow.objects.filter(destination_id=asking.pk).exists()
    assert pipeline.last_failure
    assert {attempt.outcome for attempt in Attempt.objects.filter(destination_id=asking.pk)} == {state}


def test_a_pipeline_whose_look_ups_hang_lets_others_go_on(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver, settings={"api_url": receiver.url("/hang")})
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    log(source, "tom")
    with turn_in_a_thread(asking, worker):
        assert eventually(lambda: "/hang/contacts/tom" in receiver.paths())
        run(hook, worker)
        assert books(hook) == {"eligible": 1, "delivered": 1}
        worker.is_stopping = True
    worker.is_stopping = False
    assert books(asking) == {"eligible": 1, "waiting": 1}


def test_events_of_one_user_keep_their_order_through_look_ups(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    asking = connect(source, receiver, ordering="per_user")
    knows(receiver, "amy", "ben")
    receiver.rule("/events", answer(200))
    log(source, *["amy", "ben"] * 6)
    run(asking, worker)
    numbers = [item["n"] for item in sent(receiver)]
    assert [n for n in numbers if n % 2 == 0] == sorted(n for n in numbers if n % 2 == 0)
    assert books(asking) == {"eligible": 12, "delivered": 12}


def test_what_a_connector_decides_by_itself_needs_no_call(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver, "many")
    knows(receiver, "ivy", "max")
    receiver.rule("/events", answer(200))
    append(source, [message(13, user="ivy"), message(14, user="max")])
    run(asking, worker)
    letter = DeadLetter.objects.get(destination_id=asking.pk)
    assert (letter.reason, letter.message, letter.attempts) == ("unlucky", "Thirteen is not taken.", 1)
    assert [item["n"] for item in sent(receiver)] == [14]
    assert books(asking) == {"eligible": 2, "delivered": 1, "dead": 1}


def test_a_payload_that_does_not_fit_is_a_dead_letter_that_names_the_field(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    asking = connect(source, receiver, "many")
    knows(receiver, "ok")
    receiver.rule("/events", answer(200))
    append(source, [message(1, user="x" * 51), message(2, user="ok")])
    run(asking, worker)
    letter = DeadLetter.objects.get(destination_id=asking.pk)
    assert letter.reason == "invalid_payload"
    assert "email: This must have at most 50 characters." in letter.message
    assert "xxx" not in letter.message
    assert [item["n"] for item in sent(receiver)] == [2]
    assert books(asking) == {"eligible": 2, "delivered": 1, "dead": 1}


def test_a_request_for_another_host_is_never_made(source: Source, receiver: Receiver, worker: Worker) -> None:
    asking = connect(source, receiver)
    knows(receiver, "lea")
    astray = Receiver("127.0.0.1")
    with astray:
        log(source, "lea", astray=astray.url(""))
        run(asking, worker)
        assert astray.requests == []
    asking.refresh_from_db()
    assert (asking.status, asking.status_reason[:12]) == ("stopped", "config_error")
    assert books(asking) == {"eligible": 1, "waiting": 1}
    with postgres.connect() as connection:
        connection.execute("UPDATE tenants_destination SET status = 'active' WHERE id = %s", [asking.pk])
