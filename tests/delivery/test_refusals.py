"""Refusals that mean something else when they are all there is: a moved receiver, locked credentials, a lost name."""

from __future__ import annotations

import pytest

from hub.delivery.models import DeadLetter
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source
from tests.delivery.logged import append, audited, books, connect, let_pass, let_time_pass, log, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


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
