"""Turns of pipelines whose token ends, is refused or taken back: no event is lost, burned or sent twice for it."""

from __future__ import annotations

from typing import Any

import pytest

from hub.delivery import loop, services
from hub.delivery.grants import errors, store, tokens
from hub.delivery.loop import Ended
from hub.delivery.models import Attempt, DeadLetter, Pipeline, RetryRow
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tenants.models.destination import Status
from tests.delivery import authorising, logged
from tests.delivery.authorising import Vendor, in_threads, make_destination
from tests.delivery.granting import dialects, vendor
from tests.delivery.logged import append, books, let_time_pass, message, run
from tests.factories import TESTER
from tests.receivers import Request

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(source: Source, vendor: Vendor) -> Destination:
    made = make_destination(source, vendor)
    authorising.connect(made, vendor)
    return made


def log(source: Source, count: int, first: int = 0, **more: Any) -> None:
    append(source, [message(n, user=f"u{n % 7}", **more) for n in range(first, first + count)])


def turn(destination: Destination, worker: Worker) -> Ended:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    return loop.run_turn(Pipeline.objects.get(destination_id=destination.pk).pk, worker)


def refuses_after(vendor: Vendor, count: int) -> None:
    """The vendor's API forgets every token once, when it has been called so often."""
    called = iter(range(1_000_000))

    def takes(request: Request) -> bool:
        if next(called) == count:
            vendor.access.clear()
        return request.headers.get("authorization", "").removeprefix("Bearer ") in vendor.access

    vendor.takes = takes


def taken(vendor: Vendor) -> list[str]:
    return [token for token in vendor.seen() if token in vendor.access]


def status_of(destination: Destination) -> tuple[str, str]:
    destination.refresh_from_db()
    return destination.status, destination.status_reason.partition(":")[0]


@pytest.mark.parametrize("ordering", ["none", "per_user"])
@pytest.mark.parametrize("action", ["send", "many"])
def test_a_token_that_ends_in_mid_run_costs_one_renewal_and_no_event(
    source: Source, vendor: Vendor, worker: Worker, ordering: str, action: str
) -> None:
    destination = make_destination(source, vendor, action, ordering=ordering)
    authorising.connect(destination, vendor)
    log(source, 200)
    refuses_after(vendor, 5)
    assert turn(destination, worker).again  # and nothing has to come and wake it
    while turn(destination, worker).again:
        pass
    assert books(destination) == {"eligible": 200, "delivered": 200}
    assert vendor.renewals == ["refresh_token"]
    assert not RetryRow.objects.exists() and not DeadLetter.objects.exists()
    assert Pipeline.objects.get(destination_id=destination.pk).circuit == "closed"
    assert status_of(destination) == (Status.ACTIVE, "")


def test_each_event_arrives_once_with_a_token_that_is_good(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 60)
    refuses_after(vendor, 20)
    while turn(destination, worker).again:
        pass
    good = [token for token in vendor.seen() if token == "at-2"]
    assert len(good) == 40
    assert set(vendor.events()) == set(range(60))


def test_a_refusal_that_was_renewed_away_counts_as_no_attempt(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 1)
    vendor.access.clear()
    turn(destination, worker)
    turn(destination, worker)
    found = Attempt.objects.filter(destination_id=destination.pk).order_by("at")
    tried = [(each.outcome, each.attempt) for each in found]
    assert tried == [("unauthorized", 1), ("delivered", 1)]
    assert Pipeline.objects.get(destination_id=destination.pk).unauthorized_count == 0


def test_a_fresh_token_that_is_refused_too_goes_the_usual_way_and_pauses(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 3)
    vendor.takes = lambda request: False
    assert turn(destination, worker).again
    for _ in range(3):
        run(destination, worker)
        let_time_pass(destination)
    assert status_of(destination) == (Status.PAUSED, "unauthorized")
    assert vendor.renewals == ["refresh_token"]
    assert books(destination) == {"eligible": 3, "waiting": 3}


def test_a_token_is_renewed_before_a_turn_and_the_call_carries_the_new_one(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 2)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET expires_at = now() - interval '1 s', refresh_at = now()")
    run(destination, worker)
    assert vendor.seen() == ["at-2", "at-2"]
    assert books(destination) == {"eligible": 2, "delivered": 2}


def test_consent_taken_back_pauses_at_once_tells_the_owner_and_burns_nothing(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 30)
    vendor.access.clear()
    vendor.refresh.clear()
    assert not turn(destination, worker).again
    assert status_of(destination) == (Status.PAUSED, errors.REVOKED)
    assert "Connect the destination again." in destination.status_reason
    entry = AuditEntry.unscoped.get(action="destination.paused")
    assert (entry.actor_label, entry.object_id) == ("delivery", str(destination.pk))
    assert books(destination) == {"eligible": 30, "waiting": 30}
    assert not DeadLetter.objects.exists()


def test_after_connecting_again_the_backlog_goes_out(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 30)
    vendor.access.clear()
    vendor.refresh.clear()
    turn(destination, worker)
    log(source, 5, first=30)
    authorising.connect(destination, vendor)
    services.resume(destination, TESTER)
    run(destination, worker)
    assert books(destination) == {"eligible": 35, "delivered": 35}


def test_a_destination_that_nobody_has_connected_is_paused_and_says_so(
    source: Source, vendor: Vendor, worker: Worker
) -> None:
    destination = make_destination(source, vendor)
    log(source, 2)
    run(destination, worker)
    assert status_of(destination) == (Status.PAUSED, errors.NOT_CONNECTED)
    assert vendor.seen() == []
    assert books(destination) == {"eligible": 2, "waiting": 2}


def test_trouble_at_the_token_endpoint_is_a_fault_of_the_destination_and_passes(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 4)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET expires_at = now() - interval '1 s', refresh_at = now()")
    vendor.mood = "503"
    pipeline = run(destination, worker)
    assert (pipeline.circuit, pipeline.held_reason) == ("open", "circuit: token_endpoint")
    assert status_of(destination) == (Status.ACTIVE, "")
    vendor.mood = ""
    for _ in range(4):
        let_time_pass(destination)
        run(destination, worker)
    assert books(destination) == {"eligible": 4, "delivered": 4}


def test_a_pipeline_that_waits_for_another_workers_renewal_is_looked_at_again(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE_SECONDS", 0.1)
    log(source, 1)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET expires_at = now() - interval '1 s', refresh_at = now()")
    assert store.claim(store.Place(destination.workspace_id, destination.pk), 1) is not None
    pipeline = run(destination, worker)
    assert pipeline.next_run_at is not None and pipeline.circuit == "closed"
    assert pipeline.held_reason == "retry: token_pending"


def test_two_workers_with_two_shards_renew_once(source: Source, vendor: Vendor) -> None:
    destination = make_destination(source, vendor, shards=2)
    authorising.connect(destination, vendor)
    log(source, 40)
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        connection.execute("UPDATE delivery_pipeline SET shard_count = 2 WHERE destination_id = %s", [destination.pk])
        connection.execute(
            "INSERT INTO delivery_pipeline (workspace_id, destination_id, cursor_epoch, cursor_xid, cursor_seq, shard,"
            " shard_count, created_at) SELECT workspace_id, destination_id, cursor_epoch, cursor_xid, cursor_seq, 1, 2,"
            " now() FROM delivery_pipeline WHERE destination_id = %s",
            [destination.pk],
        )
        connection.execute("UPDATE delivery_token SET expires_at = now() - interval '1 s', refresh_at = now()")
    vendor.mood = "slow"
    pipelines = list(Pipeline.objects.filter(destination_id=destination.pk).values_list("pk", flat=True))
    workers = [logged.make_worker() for _ in pipelines]
    work = iter(list(zip(pipelines, workers, strict=True)))
    in_threads(2, lambda: loop.run_turn(*next(work)))
    for each in workers:
        each.sender.shutdown(0.0)
    assert books(destination) == {"eligible": 40, "delivered": 40}
    assert vendor.renewals == ["refresh_token"]


def test_a_look_up_carries_the_token_and_its_refusal_renews_it(source: Source, vendor: Vendor, worker: Worker) -> None:
    destination = make_destination(source, vendor, "look")
    authorising.connect(destination, vendor)
    log(source, 3)
    vendor.access.clear()
    while turn(destination, worker).again:
        pass
    assert set(vendor.seen("/known")) == {"at-1", "at-2"}
    assert vendor.seen() == ["at-2"] * 3
    assert vendor.renewals == ["refresh_token"]
    assert books(destination) == {"eligible": 3, "delivered": 3}


def test_a_request_that_must_not_have_it_has_it_not(source: Source, vendor: Vendor, worker: Worker) -> None:
    destination = make_destination(source, vendor, "open")
    authorising.connect(destination, vendor)
    log(source, 1)
    run(destination, worker)
    assert vendor.seen("/open") == [""]


def test_a_disconnected_destination_stops_in_mid_turn_and_its_neighbour_does_not(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 2)
    run(destination, worker)
    store.forget(store.Place(destination.workspace_id, destination.pk))
    log(source, 2, first=2)
    run(destination, worker)
    assert status_of(destination) == (Status.PAUSED, errors.NOT_CONNECTED)
    assert books(destination) == {"eligible": 4, "delivered": 2, "waiting": 2}


def test_no_token_is_written_down_with_an_attempt(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    vendor.access.clear()
    log(source, 1)
    vendor.receiver.rule("/events", lambda request: authorising.Reply(401, request.headers["authorization"].encode()))
    turn(destination, worker)
    kept = Attempt.objects.get(destination_id=destination.pk)
    assert "at-1" not in kept.request and "at-1" not in kept.response
    assert "••••" in kept.request and "••••" in kept.response


def test_a_destination_of_an_access_key_signs_what_goes_out(source: Source, vendor: Vendor, worker: Worker) -> None:
    settings = {"auth": "aws_sigv4", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-access-key"}
    destination = make_destination(source, vendor, settings=settings)
    vendor.takes = lambda request: "Signature=" in request.headers["authorization"]
    log(source, 2)
    run(destination, worker)
    assert books(destination) == {"eligible": 2, "delivered": 2}
    signed = vendor.receiver.requests[0].headers["authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date," in signed


def test_a_destination_that_is_switched_off_asks_nobody(
    source: Source, vendor: Vendor, worker: Worker, destination: Destination
) -> None:
    log(source, 2)
    tenants.set_destination_enabled(destination, False, actor=TESTER)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET expires_at = now() - interval '1 s', refresh_at = now()")
    run(destination, worker)
    assert vendor.forms == []
    assert books(destination) == {"eligible": 2, "filtered": 2}
