"""What each answer does to its event, to the backlog behind it and to the destination, through real turns."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from connectors import registry
from hub.delivery import services
from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.delivery.works import eventually
from tests.factories import TESTER
from tests.receivers import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


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


def log(source: Source, count: int, **extra: Any) -> None:
    append(source, [message(n, user=f"u{n}", **extra) for n in range(count)])


def let_pass(hook: Destination, **columns: str) -> None:
    """Move moments of the destination's pipeline into the past, by intervals."""
    changes = ", ".join(f"{name} = {name} - %({name})s::interval" for name in columns)
    with postgres.connect() as own:
        own.execute(
            f"UPDATE delivery_pipeline SET {changes} WHERE destination_id = %(hook)s", {**columns, "hook": hook.pk}
        )


def audited(hook: Destination) -> list[str]:
    return list(AuditEntry.unscoped.filter(object_id=str(hook.pk)).order_by("id").values_list("action", flat=True))


@pytest.mark.parametrize(
    "status", [400, 404, 405, 406, 409, 411, 412, 414, 415, 416, 417, 421, 422, 431, 451, 501, 505]
)
def test_these_statuses_bury_the_event_and_nobody_waits(
    source: Source, receiver: Receiver, worker: Worker, status: int
) -> None:
    hook = connect(source, receiver.script("/p", [status]))
    log(source, 3)
    pipeline = run(hook, worker)
    assert DeadLetter.objects.get().status_code == status
    assert (pipeline.circuit, books(hook)) == ("closed", {"eligible": 3, "delivered": 2, "dead": 1})


@pytest.mark.parametrize("status", [407, 408, 423, 425, 499, 500, 502, 503, 504, 507, 511, 520, 527, 529, 598, 599])
def test_these_statuses_give_the_event_another_try(
    source: Source, receiver: Receiver, worker: Worker, status: int
) -> None:
    hook = connect(source, receiver.script("/p", [status]))
    log(source, 3)
    pipeline = run(hook, worker)
    assert (RetryRow.objects.get().attempts, RetryRow.objects.get().status_code) == (1, status)
    assert (pipeline.circuit, books(hook)) == ("closed", {"eligible": 3, "delivered": 2, "waiting": 1})


@pytest.mark.parametrize("status", [418, 420, 429])
def test_these_statuses_hold_the_whole_pipeline_and_cost_no_attempt(
    source: Source, receiver: Receiver, worker: Worker, status: int
) -> None:
    hook = connect(source, receiver.url(f"/status/{status}"))
    log(source, 3)
    pipeline = run(hook, worker)
    assert pipeline.held_reason == "throttled: rate_limited"
    assert not RetryRow.objects.filter(attempts__gt=0).exists()
    assert books(hook) == {"eligible": 3, "waiting": 3}


@pytest.mark.parametrize(("status", "reason"), [(402, "billing"), (410, "gone")])
def test_these_statuses_stop_the_destination_and_its_backlog_waits(
    source: Source, receiver: Receiver, worker: Worker, status: int, reason: str
) -> None:
    hook = connect(source, receiver.url(f"/status/{status}"))
    log(source, 3)
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason.partition(":")[0]) == ("stopped", reason)
    assert "destination.stopped" in audited(hook)
    assert books(hook) == {"eligible": 3, "waiting": 3}


def test_an_address_that_is_never_called_stops_the_destination(source: Source, worker: Worker) -> None:
    hook = connect(source, "http://169.254.169.254/latest/meta-data/")
    log(source, 3)
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason.partition(":")[0]) == ("stopped", "config_error")
    assert books(hook) == {"eligible": 3, "waiting": 3}


@pytest.mark.parametrize("path", ["/close", "/cut", "/garbage"])
def test_a_broken_answer_gives_the_event_another_try(
    source: Source, receiver: Receiver, worker: Worker, path: str
) -> None:
    hook = connect(source, receiver.url(path))
    log(source, 1)
    run(hook, worker)
    assert RetryRow.objects.get().attempts == 1


@pytest.mark.parametrize("path", ["/huge", "/huge-declared"])
def test_an_endless_answer_is_cut_and_its_status_counts(
    source: Source, receiver: Receiver, worker: Worker, path: str
) -> None:
    hook = connect(source, receiver.url(path))
    log(source, 1)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "delivered": 1}
    assert len(Attempt.objects.get(destination_id=hook.pk).response) < 5_000


def test_a_redirect_tells_the_owner_where_to_from_the_first_answer_on(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.rule("/p", lambda _: Reply(308, b"", ("Location: https://new.example.test/in",))))
    log(source, 5)
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.held_reason) == ("open", "circuit: redirect")
    assert "https://new.example.test/in" in pipeline.last_failure
    assert books(hook) == {"eligible": 5, "waiting": 5}


# Refusals that mean something else when they are all there is


def test_404_to_everything_for_ten_minutes_is_the_destinations_fault(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/404"))
    log(source, 5)
    run(hook, worker)
    assert books(hook) == {"eligible": 5, "dead": 5}
    let_pass(hook, streak_since="10 minutes")
    log(source, 5)
    pipeline = run(hook, worker)
    assert (pipeline.circuit, pipeline.held_reason) == ("open", "circuit: not_found")
    assert books(hook) == {"eligible": 10, "dead": 5, "waiting": 5}


def test_probes_go_on_finding_a_lasting_404_and_burn_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/404"))
    log(source, 5)
    run(hook, worker)
    let_pass(hook, streak_since="10 minutes")
    log(source, 5)
    for _ in range(3):
        pipeline = run(hook, worker)
        let_time_pass(hook)
    assert (pipeline.circuit, pipeline.circuit_reopened) == ("open", 2)
    assert books(hook) == {"eligible": 10, "dead": 5, "waiting": 5}


def test_one_good_answer_ends_a_streak_of_404(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [404] * 5))
    log(source, 5)
    run(hook, worker)
    log(source, 1)
    pipeline = run(hook, worker)
    assert (pipeline.streak_reason, pipeline.streak_count, pipeline.streak_since) == ("", 0, None)


def test_403_ten_times_in_a_row_burns_nothing(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/403"))
    log(source, 40)
    pipeline = run(hook, worker)
    assert pipeline.held_reason == "unauthorized: forbidden"
    assert not DeadLetter.objects.exists()
    assert books(hook) == {"eligible": 40, "waiting": 40}


def test_403_to_a_small_backlog_is_held_back_until_it_can_be_decided(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/403"))
    for _ in range(2):
        log(source, 6)
        run(hook, worker)
    assert not DeadLetter.objects.exists()
    assert books(hook) == {"eligible": 12, "waiting": 12}


def test_a_lone_403_among_good_answers_buries_its_event(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [200, 403]))
    log(source, 10)
    pipeline = run(hook, worker)
    assert (DeadLetter.objects.get().status_code, pipeline.circuit) == (403, "closed")
    assert books(hook) == {"eligible": 10, "delivered": 9, "dead": 1}


def test_a_403_that_comes_again_with_nothing_to_compare_it_with_buries_its_event(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/403"))
    log(source, 1)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "waiting": 1}
    let_time_pass(hook)
    run(hook, worker)
    assert books(hook) == {"eligible": 1, "dead": 1}


def test_a_403_to_an_ordered_user_holds_only_that_user_back(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/p", [200, 403]), ordering="per_user")
    append(source, [message(n, user=f"u{n % 2}") for n in range(10)])
    run(hook, worker)
    assert books(hook) == {"eligible": 10, "delivered": 9, "dead": 1}


def test_a_whole_batch_of_403_is_about_the_credentials(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/403"), settings={"batch_size": 10})
    log(source, 10)
    pipeline = run(hook, worker)
    assert pipeline.held_reason == "unauthorized: forbidden"
    assert books(hook) == {"eligible": 10, "waiting": 10}


def test_401_three_times_within_ten_minutes_pauses_and_tells_the_owner(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/status/401"))
    log(source, 20)
    for _ in range(2):
        run(hook, worker)
        let_time_pass(hook)
    hook.refresh_from_db()
    assert hook.status == "active"
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason.partition(":")[0]) == ("paused", "unauthorized")
    assert "destination.paused" in audited(hook)
    assert books(hook) == {"eligible": 20, "waiting": 20}


def test_401_now_and_then_does_not_pause(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/status/401"))
    log(source, 20)
    for _ in range(5):
        pipeline = run(hook, worker)
        let_time_pass(hook)
        let_pass(hook, unauthorized_since="11 minutes")
    hook.refresh_from_db()
    assert (hook.status, pipeline.unauthorized_count) == ("active", 1)


def test_a_name_that_is_not_found_for_an_hour_stops_the_destination(source: Source, worker: Worker) -> None:
    hook = connect(source, "http://nowhere.invalid/in")
    log(source, 8)
    run(hook, worker)
    with postgres.connect() as own:
        own.execute(
            "UPDATE delivery_pipeline SET streak_since = now() - interval '1 hour' WHERE destination_id = %s", [hook.pk]
        )
    let_time_pass(hook)
    run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, hook.status_reason.partition(":")[0]) == ("stopped", "dns")
    assert books(hook) == {"eligible": 8, "waiting": 8}


def test_a_name_that_is_not_found_for_a_moment_is_tried_again(source: Source, worker: Worker) -> None:
    hook = connect(source, "http://nowhere.invalid/in")
    log(source, 8)
    pipeline = run(hook, worker)
    hook.refresh_from_db()
    assert (hook.status, pipeline.streak_reason) == ("active", "dns")


# Calls that must not come twice


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


# Our own mistakes


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


# The circuit


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
