"""Gauges tell what the tables hold, and counters count what turns do."""

from __future__ import annotations

from typing import Any

import pytest

from hub.delivery import expiry, gauges, leases, outcomes, services
from hub.delivery.models import Pipeline
from hub.delivery.outcomes import ChunkOutcome
from hub.delivery.scheduler import Scheduler
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.observability import metrics
from tenants.models import Source
from tenants.services.destinations import set_destination_enabled
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def measure() -> None:
    with postgres.connect() as connection:
        gauges.Measure()(connection)


def oldest(workspace: str = "") -> float:
    return metrics.oldest_undelivered.labels(workspace)._value.get()


def value(metric: Any, *labels: str) -> float:
    return (metric.labels(*labels) if labels else metric)._value.get()


def set_all(assignments: str) -> None:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        connection.execute(f"UPDATE delivery_pipeline SET {assignments}")


def test_rows_to_try_again_and_open_circuits_are_told(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.script("/f", [500]), sources=[source])
    append(source, [message(1)])
    run(hook, worker)
    set_all("circuit = 'open'")
    measure()
    assert (value(metrics.retry_rows), value(metrics.circuit_open)) == (1, 1)


def test_an_old_transaction_that_writes_is_told_as_the_horizons_lag(transactional_db: None) -> None:
    with postgres.connect() as writer, writer.transaction():
        writer.execute("SELECT pg_current_xact_id()")
        measure()
        assert value(metrics.horizon_lag) > 0
    measure()
    assert value(metrics.horizon_lag) == 0


def test_the_age_of_what_waits_is_told_for_all_and_for_its_workspace(source: Source) -> None:
    slug, idle = source.workspace.slug, factories.make_source(factories.make_workspace())
    factories.make_destination(source.workspace, sources=[source])
    factories.make_destination(idle.workspace, sources=[idle])
    set_all("held_until = now() + interval '1 hour'")
    append(source, [message(1)])
    with postgres.connect() as connection:
        connection.execute("UPDATE event_count SET at = now() - interval '90 s' WHERE source_id = %s", [source.pk])
    measure()
    assert 90 <= oldest(slug) < 3_600
    assert oldest() == oldest(slug)
    assert oldest(idle.workspace.slug) == 0


def test_an_event_that_is_tried_again_is_undelivered_too(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.script("/f", [500]), sources=[source])
    (seq,) = append(source, [message(1)])
    run(hook, worker)
    with postgres.connect() as connection:
        connection.execute("UPDATE event_log SET received_at = now() - interval '5 min' WHERE seq = %s", [seq])
    measure()
    assert oldest(source.workspace.slug) >= 300


def test_what_nobody_subscribed_to_is_not_undelivered(source: Source) -> None:
    off = factories.make_destination(source.workspace, sources=[source])
    set_all("held_until = now() + interval '1 hour'")
    set_destination_enabled(off, False, actor=factories.TESTER)
    append(source, [message(1)])
    factories.make_destination(source.workspace, sources=[source])
    set_all("held_until = now() + interval '1 hour'")
    measure()
    assert oldest(source.workspace.slug) == 0


def test_a_workspace_that_has_caught_up_goes_back_to_nothing(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    look = gauges.Measure()
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        look(connection)
        assert oldest(source.workspace.slug) > 0
        run(hook, worker)
        look(connection)
    assert oldest(source.workspace.slug) == 0


def test_of_many_workspaces_only_those_furthest_behind_have_a_series() -> None:
    look = gauges.Measure()
    look._publish_ages({f"gauge-{number}": 100.0 - number for number in range(50)})
    assert look.shown == {f"gauge-{number}" for number in range(gauges.WORKSPACES_SHOWN)}


def test_a_key_that_seals_nothing_any_more_shows_none(source: Source, settings: Any) -> None:
    settings.SECRETS_KEYS = f"spare:{'A' * 43}=,{settings.SECRETS_KEYS}"
    metrics.secret_key_rows.labels("spare").set(7)
    measure()
    assert value(metrics.secret_key_rows, "spare") == 0


def test_tries_and_deliveries_that_end_badly_are_counted(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.script("/f", [400]), sources=[source])
    tries, ended = value(metrics.delivery_attempts, "rejected"), value(metrics.dead, "bad_request")
    append(source, [message(1)])
    run(hook, worker)
    assert value(metrics.delivery_attempts, "rejected") == tries + 1
    assert value(metrics.dead, "bad_request") == ended + 1


def test_what_retention_ends_is_counted(source: Source) -> None:
    factories.make_destination(source.workspace, sources=[source])
    before = value(metrics.expired)
    seqs = append(source, [message(1), message(2)])
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        expiry.expire_before(connection, seqs[-1] + 1)
    assert value(metrics.expired) == before + 2


def test_a_commit_of_a_lease_that_has_passed_on_is_counted(source: Source) -> None:
    factories.make_destination(source.workspace, sources=[source])
    before = value(metrics.fenced)
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        lease = leases.claim(connection, Pipeline.objects.get(workspace_id=source.workspace_id).pk, "old")
        assert lease is not None
        connection.execute("UPDATE delivery_pipeline SET fence = fence + 1")
        outcomes.commit(connection, lease, ChunkOutcome(), {}, "old")
    assert value(metrics.fenced) == before + 1


def test_a_lease_that_ran_out_and_a_hint_that_was_lost_are_counted(source: Source) -> None:
    factories.make_destination(source.workspace, sources=[source])
    set_all("lease_until = now() - interval '1 s', next_run_at = now() - interval '1 s', owner = 'gone'")
    expired, lost = value(metrics.lease_expired), value(metrics.hint_lost)
    with postgres.connect() as connection:
        Scheduler().tick(connection)
    assert value(metrics.lease_expired) == expired + 1
    assert value(metrics.hint_lost) == lost + 1
