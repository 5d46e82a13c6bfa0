"""Owners hear of a backlog at half of its retention, once; at the end of it, it expires with counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.delivery import ageing, services
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from hub.observability import metrics
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[PgConnection]:
    with postgres.connect() as opened:
        yield opened


@pytest.fixture
def hook(source: Source, receiver: Receiver, connection: PgConnection) -> Destination:
    made = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    services.ensure_pipelines(connection)
    tenants.pause_destination(made, "tests", TESTER)
    append(source, [message(1)])
    return made


def age(connection: PgConnection, source: Source, days: float) -> None:
    connection.execute(
        "UPDATE event_count SET at = now() - make_interval(secs => %s) WHERE source_id = %s", [days * 86_400, source.pk]
    )


def entries() -> int:
    return AuditEntry.unscoped.filter(action="destination.backlog_near_retention").count()


@pytest.mark.parametrize(("days", "is_told"), [(3.4, False), (3.6, True)])
def test_the_owner_is_told_at_half_of_retention(
    connection: PgConnection, source: Source, hook: Destination, days: float, is_told: bool
) -> None:
    age(connection, source, days)
    assert ageing.warn(connection) == is_told
    assert ageing.warn(connection) == is_told
    assert entries() == is_told
    assert (Pipeline.objects.get(destination_id=hook.pk).backlog_told_at is not None) is is_told
    assert metrics.backlogs_at_risk._value.get() == is_told


def test_a_longer_retention_of_any_workspace_counts_for_all(
    connection: PgConnection, source: Source, hook: Destination
) -> None:
    tenants.update_workspace(source.workspace, retention_days=30, actor=TESTER)
    age(connection, source, 3.6)
    assert ageing.warn(connection) == 0


def test_a_backlog_that_was_worked_off_is_told_anew_the_next_time(
    connection: PgConnection, source: Source, hook: Destination, worker: Worker
) -> None:
    age(connection, source, 4)
    ageing.warn(connection)
    tenants.resume_destination(hook, TESTER)
    run(hook, worker)
    assert ageing.warn(connection) == 0
    assert Pipeline.objects.get(destination_id=hook.pk).backlog_told_at is None
    tenants.pause_destination(hook, "tests", TESTER)
    append(source, [message(2)])
    age(connection, source, 4)
    assert (ageing.warn(connection), entries()) == (1, 2)
