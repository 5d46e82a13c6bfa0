"""Reading ahead in a log where most events are for others: they are left out early, and no own event is missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.delivery import config, leases, services
from hub.delivery.ahead import FIRST_READ_EVENTS, ReadAhead
from hub.delivery.config import Config
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.lib.postgres import PgConnection
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other(source: Source) -> Source:
    """A source of the same workspace whose events are for other destinations."""
    return factories.make_source(source.workspace, "other")


@pytest.fixture
def connection() -> Iterator[PgConnection]:
    with postgres.connect() as opened:
        yield opened


def begin(connection: PgConnection, hook: Destination) -> tuple[ReadAhead, Config]:
    services.ensure_pipelines(connection)
    lease = leases.claim(connection, Pipeline.objects.get(destination_id=hook.pk).pk, "reader")
    assert lease is not None
    return ReadAhead(lease), config.load(connection, lease.workspace_id, lease.destination_id)


def taken(ahead: ReadAhead, found: Config) -> list[int]:
    deliveries, _ = ahead.take(found.plan, 1_000)
    return [each.row.seq for each in deliveries]


def test_after_a_page_of_others_events_only_its_own_are_read(
    source: Source, other: Source, connection: PgConnection
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url="http://localhost:1/", sources=[source])
    append(other, [message(n) for n in range(FIRST_READ_EVENTS * 2)])
    own = append(source, [message(n) for n in range(5)])
    ahead, found = begin(connection, hook)
    ahead.read(connection, found, is_crowded=False)
    assert taken(ahead, found) == []
    ahead.read(connection, found, is_crowded=False)
    assert len(ahead._rows) == len(own)
    assert taken(ahead, found) == own
    assert not ahead.has_more


def test_a_source_that_joins_while_its_events_are_left_out_misses_none(
    source: Source, other: Source, connection: PgConnection
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url="http://localhost:1/", sources=[source])
    append(other, [message(n) for n in range(FIRST_READ_EVENTS)])
    ahead, found = begin(connection, hook)
    ahead.read(connection, found, is_crowded=False)
    tenants.connect(other, hook, actor=TESTER)
    theirs = append(other, [message(n) for n in range(5)])
    ahead.read(connection, found, is_crowded=False)
    assert taken(ahead, found) == theirs


def test_a_destination_that_is_off_passes_what_comes_later_without_reading_it(
    source: Source, receiver: Receiver, worker: Worker, connection: PgConnection
) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
    append(source, [message(n) for n in range(3)])
    run(hook, worker)
    tenants.set_destination_enabled(hook, False, actor=TESTER)
    append(source, [message(n) for n in range(FIRST_READ_EVENTS * 3)])
    ahead, found = begin(connection, hook)
    ahead.read(connection, found, is_crowded=False)
    ahead.read(connection, found, is_crowded=False)
    assert len(ahead._rows) == FIRST_READ_EVENTS + 1
    assert taken(ahead, found) == []
    assert not ahead.has_more
    assert books(hook) == {"eligible": 3, "delivered": 3}


def test_many_sources_of_a_workspace_cost_no_event_and_no_order(
    source: Source, other: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(
        source.workspace, "hook", url=receiver.url("/ok"), sources=[source], ordering="per_user"
    )
    for n in range(40):
        append(other, [message(n, user=f"u{k}") for k in range(10)])
        append(source, [message(n, user=f"u{n % 3}")])
    run(hook, worker)
    assert books(hook) == {"eligible": 40, "delivered": 40}
