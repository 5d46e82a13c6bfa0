"""What each answer does to its event, to the backlog behind it and to the destination, through real turns."""

from __future__ import annotations

import pytest

from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.worker import Worker
from tenants.models import Source
from tests.delivery.logged import audited, books, connect, log, run
from tests.receivers import Receiver, Reply

pytestmark = pytest.mark.django_db(transaction=True)


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
