"""Jobs that receivers take on: asked about until they have ended, each event by its place, also after crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import registry
from hub.delivery import loop
from hub.delivery.models import Attempt, Batch, DeadLetter, Replay, RetryRow
from hub.delivery.trace import trace
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Mapping, Source
from tests.delivery import replaying
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Receiver, Reply, Request

pytestmark = pytest.mark.django_db(transaction=True)


class Importer:
    """The vendor: takes batches on, and tells of each what the test has decided by then."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.batches: list[list[int]] = []
        receiver.rule("/jobs", self._take)

    def _take(self, request: Request) -> Reply:
        self.batches.append([each["n"] for each in json.loads(request.body)])
        self.says(len(self.batches), "working")
        return Reply(202, json.dumps({"job": str(len(self.batches))}).encode())

    def says(self, job: int, state: str, *results: str, status: int = 200) -> None:
        told = {"state": state, "count": len(self.batches[job - 1]), "results": results}
        self.receiver.rule(f"/jobs/{job}", lambda request: Reply(status, json.dumps(told).encode()))

    def refuses(self, job: str, *numbers: int, following: str = "") -> None:
        told = {"refused": numbers, "next": following}
        self.receiver.rule(f"/jobs/{job}", lambda request: Reply(200, json.dumps(told).encode()))

    def asked(self) -> int:
        return sum(path.startswith("/jobs/") for path in self.receiver.paths())


@pytest.fixture(autouse=True)
def dialects() -> Iterator[None]:
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


@pytest.fixture
def importer(receiver: Receiver) -> Importer:
    return Importer(receiver)


def connect(source: Source, importer: Importer, **options: Any) -> Destination:
    settings = {"api_url": importer.receiver.url("")}
    made = tenants.create_destination(
        source.workspace, "import", "Import", "importing", settings=settings, sources=[source], actor=TESTER, **options
    )
    return made.destination


def log(source: Source, count: int, first: int = 0) -> None:
    append(source, [message(n, user=f"u{n}") for n in range(first, first + count)])


def let_polls_be_due(destination: Destination) -> None:
    change(destination, "next_run_at = now()")


def change(destination: Destination, columns: str) -> None:
    with postgres.connect() as connection:
        connection.execute(f"UPDATE delivery_retry SET {columns} WHERE destination_id = %s", [destination.pk])


def poll(destination: Destination, worker: Worker) -> None:
    let_polls_be_due(destination)
    run(destination, worker)


def rows(destination: Destination) -> list[RetryRow]:
    return list(RetryRow.objects.filter(destination_id=destination.pk).order_by("seq"))


def test_events_wait_as_pending_with_their_place_in_the_job(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 3)
    run(hook, worker)
    found = rows(hook)
    assert [(row.state, row.job_id, row.job_index, row.job_size, row.attempts) for row in found] == [
        ("pending", "1", place, 3, 0) for place in range(3)
    ]
    assert books(hook) == {"eligible": 3, "waiting": 3}
    assert {attempt.outcome for attempt in Attempt.objects.filter(destination_id=hook.pk)} == {"pending"}
    told = trace(source.workspace_id, Attempt.objects.first().message_id)
    assert told["deliveries"][0]["status"] == "pending"


def test_nobody_is_asked_before_it_is_time(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 3)
    run(hook, worker)
    run(hook, worker)
    assert importer.asked() == 0


def test_a_job_that_goes_on_is_asked_about_once_more_and_nothing_is_sent_again(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 3)
    run(hook, worker)
    until = [row.job_until for row in rows(hook)]
    poll(hook, worker)
    poll(hook, worker)
    assert (importer.asked(), len(importer.batches)) == (2, 1)
    assert [row.job_until for row in rows(hook)] == until
    assert sum(Batch.objects.filter(destination_id=hook.pk).values_list("event_count", flat=True)) == 3
    assert books(hook) == {"eligible": 3, "waiting": 3}


def test_each_event_ends_by_its_own_place(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 4)
    run(hook, worker)
    importer.says(1, "done", "ok", "bad", "again", "ok")
    poll(hook, worker)
    assert importer.asked() == 1
    letter = DeadLetter.objects.get(destination_id=hook.pk)
    assert (letter.message_id[:4], letter.reason, letter.attempts) == ("m-1-", "bad", 1)
    (row,) = rows(hook)
    assert (row.state, row.job_id, row.attempts, row.batch_key, row.job_until) == ("retry", "", 1, "", None)
    assert books(hook) == {"eligible": 4, "delivered": 2, "dead": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert importer.batches == [[0, 1, 2, 3], [2]]
    importer.says(2, "done", "ok")
    poll(hook, worker)
    assert books(hook) == {"eligible": 4, "delivered": 3, "dead": 1}


def test_an_answer_that_names_events_by_what_is_in_them_ends_each_of_them_page_by_page(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 4)
    run(hook, worker)
    importer.refuses("1", 2, following="1-errors")
    importer.refuses("1-errors", 0, 99)
    poll(hook, worker)
    assert [(row.state, row.job_id, row.job_index, row.job_size) for row in rows(hook)] == [
        ("pending", "1-errors", place, 4) for place in (0, 1, 3)
    ]
    poll(hook, worker)
    letters = DeadLetter.objects.filter(destination_id=hook.pk).order_by("message_id")
    assert [(letter.message_id[:4], letter.reason) for letter in letters] == [("m-0-", "refused"), ("m-2-", "refused")]
    assert books(hook) == {"eligible": 4, "delivered": 2, "dead": 2}
    assert len(importer.batches) == 1


def test_an_event_that_its_mapping_makes_nothing_of_any_more_shares_the_fate_of_the_unnamed(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    for mapping in hook_mappings(hook):
        tenants.update_mapping(mapping, fields={"n": "no number"}, actor=TESTER)
    importer.refuses("1", 0)
    poll(hook, worker)
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_the_events_at_hand_read_their_own_places_when_others_of_the_job_are_not(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 4)
    run(hook, worker)
    first = rows(hook)[0]
    first.delete()
    importer.says(1, "done", "ok", "bad", "ok", "ok")
    poll(hook, worker)
    assert DeadLetter.objects.get(destination_id=hook.pk).message_id[:4] == "m-1-"


def test_a_job_past_its_time_is_a_failed_try(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    change(hook, "job_until = now() - interval '1 s'")
    poll(hook, worker)
    assert {(row.state, row.reason, row.attempts) for row in rows(hook)} == {("retry", "job_timeout", 1)}
    let_time_pass(hook)
    run(hook, worker)
    assert sorted(n for batch in importer.batches[1:] for n in batch) == [0, 1]


def test_a_job_past_its_time_and_the_events_too_is_a_dead_letter(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    change(hook, "job_until = now() - interval '1 s', first_at = now() - interval '25 h'")
    poll(hook, worker)
    assert {letter.reason for letter in DeadLetter.objects.filter(destination_id=hook.pk)} == {"job_timeout"}
    assert books(hook) == {"eligible": 2, "dead": 2}


def test_a_question_that_fails_costs_the_events_nothing(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    importer.says(1, "broken", status=500)
    poll(hook, worker)
    assert {(row.state, row.attempts) for row in rows(hook)} == {("pending", 0)}
    importer.says(1, "done", "ok", "ok")
    poll(hook, worker)
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_a_receiver_that_asks_to_wait_is_waited_for(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    importer.says(1, "working", status=429)
    let_polls_be_due(hook)
    assert run(hook, worker).held_reason
    assert {row.state for row in rows(hook)} == {"pending"}
    assert books(hook) == {"eligible": 2, "waiting": 2}


def test_a_job_that_the_receiver_has_lost_is_judged_by_the_connector(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    importer.says(1, "gone", status=404)
    poll(hook, worker)
    assert {(row.state, row.reason) for row in rows(hook)} == {("retry", "job_lost")}


def test_a_job_outlives_the_worker_that_asked(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer)
    log(source, 2)
    pipeline = run(hook, worker)
    let_polls_be_due(hook)
    with postgres.connect() as connection:  # a worker that died after it had asked
        connection.execute("UPDATE delivery_pipeline SET fence = fence + 1 WHERE id = %s", [pipeline.pk])
    importer.says(1, "done", "ok", "ok")
    loop.run_turn(pipeline.pk, worker)
    assert books(hook) == {"eligible": 2, "delivered": 2}
    assert len(importer.batches) == 1


def test_what_waits_for_a_job_ends_as_filtered_when_the_destination_is_switched_off(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    poll(hook, worker)
    assert importer.asked() == 0
    assert books(hook) == {"eligible": 2, "filtered": 2}


def test_a_filter_made_meanwhile_does_not_end_what_the_receiver_has_taken_on(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    for mapping in hook_mappings(hook):
        tenants.update_mapping(mapping, trigger='type = "page"', actor=TESTER)
    importer.says(1, "done", "ok", "ok")
    poll(hook, worker)
    assert books(hook) == {"eligible": 2, "delivered": 2}


def hook_mappings(destination: Destination) -> list[Any]:
    return list(Mapping.unscoped.filter(destination=destination))


def test_later_events_of_a_user_wait_for_the_job(source: Source, importer: Importer, worker: Worker) -> None:
    hook = connect(source, importer, ordering="per_user")
    append(source, [message(1, user="ada"), message(2, user="bob"), message(3, user="ada")])
    run(hook, worker)
    assert importer.batches == [[1, 2]]
    assert books(hook) == {"eligible": 3, "waiting": 3}
    importer.says(1, "done", "ok", "bad")
    poll(hook, worker)
    run(hook, worker)
    assert importer.batches == [[1, 2], [3]]
    importer.says(2, "done", "ok")
    poll(hook, worker)
    run(hook, worker)
    assert books(hook) == {"eligible": 3, "delivered": 2, "dead": 1}
    hook_pipeline = run(hook, worker)
    assert hook_pipeline.order_breaks == 0


def test_a_replay_is_over_when_its_jobs_are_and_its_books_are_its_own(
    source: Source, importer: Importer, worker: Worker
) -> None:
    hook = connect(source, importer)
    log(source, 2)
    run(hook, worker)
    importer.says(1, "done", "ok", "ok")
    poll(hook, worker)
    replay = replaying.start(hook)
    replaying.turn(replay, worker)
    assert replaying.turn(replay, worker).state == Replay.State.RUNNING
    importer.says(2, "done", "ok", "bad")
    let_polls_be_due(hook)
    ended = replaying.turn(replay, worker)
    assert (ended.state, ended.seen, ended.delivered, ended.dead) == (Replay.State.DONE, 2, 1, 1)
    assert books(hook) == {"eligible": 2, "delivered": 2}
