"""Who is subscribed, by position of the log: exact also when changes and events are written at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest
from django.db import transaction

from hub.lib import postgres
from tenants import services
from tenants.models import Connection, LogEpoch, SubscriptionInterval, Workspace
from tenants.models.connection import SubscriptionKind
from tenants.positions import current_position
from tests.factories import TESTER, make_connection, make_destination, make_source

MY_XID = "SELECT pg_current_xact_id()::text::bigint"
HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@pytest.fixture
def writer(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Somebody who writes events in a transaction of his own."""
    with psycopg.connect(postgres.dsn(), autocommit=False) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def reader(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Somebody who reads the log below the horizon."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        yield connection


def number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def intervals(of: object) -> list[tuple[int, int | None]]:
    found = SubscriptionInterval.unscoped.filter(object_id=of.pk).order_by("from_xid")
    return [(one.from_xid, one.until_xid) for one in found]


def is_inside(xid: int, of: object) -> bool:
    return any(start <= xid and (end is None or xid < end) for start, end in intervals(of))


@pytest.mark.django_db(transaction=True)
def test_an_event_being_written_when_a_destination_is_made_is_included(
    writer: psycopg.Connection, acme: Workspace
) -> None:
    source = make_source(acme)
    in_flight = number(writer, MY_XID)
    destination = make_destination(acme, sources=[source])
    assert is_inside(in_flight, destination)
    assert is_inside(in_flight, Connection.unscoped.get())


@pytest.mark.django_db(transaction=True)
def test_what_a_reader_passed_before_a_connection_was_seen_stays_outside_of_it(
    writer: psycopg.Connection, reader: psycopg.Connection, acme: Workspace
) -> None:
    source, destination = make_source(acme), make_destination(acme)
    in_flight = number(writer, MY_XID)
    with transaction.atomic():
        connection = make_connection(source, destination)
        writer.commit()
        passed = number(reader, HORIZON)
        assert in_flight < passed, "the reader has judged the event without knowing of the connection"
    assert not is_inside(in_flight, connection)
    assert intervals(connection)[0][0] >= passed


@pytest.mark.django_db(transaction=True)
def test_what_a_reader_passed_before_a_disconnection_was_seen_stays_inside(
    writer: psycopg.Connection, reader: psycopg.Connection, acme: Workspace
) -> None:
    source, destination = make_source(acme), make_destination(acme)
    connection = make_connection(source, destination)
    in_flight = number(writer, MY_XID)
    with transaction.atomic():
        services.disconnect(source, destination, actor=TESTER)
        writer.commit()
        assert in_flight < number(reader, HORIZON)
    assert is_inside(in_flight, connection)
    later = number(writer, MY_XID)
    assert not is_inside(later, connection)


@pytest.mark.django_db(transaction=True)
def test_intervals_of_one_object_never_overlap(writer: psycopg.Connection, acme: Workspace) -> None:
    destination = make_destination(acme)
    for is_enabled in [False, True, False, True]:
        number(writer, MY_XID)
        services.set_destination_enabled(destination, is_enabled, actor=TESTER)
        writer.commit()
    found = intervals(destination)
    assert all(earlier[1] < later[0] for earlier, later in itertools.pairwise(found))
    assert found[-1][1] is None


def test_off_and_on_in_one_transaction_is_one_interval(acme: Workspace) -> None:
    destination = make_destination(acme)
    services.set_destination_enabled(destination, False, actor=TESTER)
    services.set_destination_enabled(destination, True, actor=TESTER)
    assert len(intervals(destination)) == 1
    assert intervals(destination)[0][1] is None


def test_switching_to_what_it_is_moves_nothing(acme: Workspace) -> None:
    source, destination = make_source(acme), make_destination(acme)
    connection = make_connection(source, destination)
    before = intervals(destination) + intervals(connection)
    services.set_destination_enabled(destination, True, actor=TESTER)
    make_connection(source, destination)
    assert intervals(destination) + intervals(connection) == before


def test_a_destination_made_switched_off_has_no_interval(acme: Workspace) -> None:
    assert intervals(make_destination(acme, is_enabled=False)) == []


@pytest.mark.parametrize("change", [services.pause_destination, services.stop_destination])
def test_a_paused_or_stopped_destination_stays_subscribed(acme: Workspace, change) -> None:
    destination = make_destination(acme)
    before = intervals(destination)
    change(destination, "unauthorized")
    assert (destination.status_reason, intervals(destination)) == ("unauthorized", before)
    services.resume_destination(destination)
    assert (destination.status, destination.status_reason, intervals(destination)) == ("active", "", before)


def test_deleting_a_destination_ends_its_interval(acme: Workspace) -> None:
    destination = make_destination(acme)
    services.delete_destination(destination, actor=TESTER)
    assert intervals(destination)[0][1] is not None


def test_deleting_a_source_ends_the_intervals_of_its_connections_only(acme: Workspace) -> None:
    source, destination = make_source(acme), make_destination(acme)
    connection = make_connection(source, destination)
    services.delete_source(source, actor=TESTER)
    assert intervals(connection)[0][1] is not None
    assert intervals(destination)[0][1] is None


def test_a_position_belongs_to_the_present_epoch(acme: Workspace) -> None:
    LogEpoch.objects.update_or_create(id=1, defaults={"epoch": 7})
    destination = make_destination(acme)
    interval = SubscriptionInterval.objects.for_workspace(acme).get(kind=SubscriptionKind.DESTINATION)
    assert (interval.object_id, interval.from_epoch) == (destination.pk, 7)


def test_an_interval_of_an_earlier_epoch_is_not_taken_up_again(acme: Workspace) -> None:
    destination = make_destination(acme)
    services.set_destination_enabled(destination, False, actor=TESTER)
    LogEpoch.objects.update_or_create(id=1, defaults={"epoch": 2})
    services.set_destination_enabled(destination, True, actor=TESTER)
    assert SubscriptionInterval.unscoped.filter(object_id=destination.pk).count() == 2


def test_a_position_without_an_epoch_row_is_in_the_first_epoch(db: None) -> None:
    LogEpoch.objects.all().delete()
    assert current_position().epoch == 1
