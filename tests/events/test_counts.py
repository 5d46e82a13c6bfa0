"""Folding of count rows: sums stay, boundaries of intervals stay sharp."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import Connection

from hub.delivery import ledger
from hub.events import counts, cursors
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants import services as tenants
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        opened.execute("DELETE FROM event_count")
        yield opened
    postgres.close_pools()


def age(connection: Connection[Row], seconds: int) -> None:
    connection.execute(
        "UPDATE event_count SET at = to_timestamp(floor(extract(epoch FROM now()) / 10) * 10 - %s)", [seconds]
    )


def rows(connection: Connection[Row]) -> list[Row]:
    return connection.execute(
        "SELECT xid_from::text::bigint, xid_to::text::bigint, accepted FROM event_count ORDER BY 1"
    ).fetchall()


def test_rows_of_ten_seconds_become_one_range_with_the_same_sum(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    for n in range(5):
        append(source, [message(n)] * 1)
    before = rows(connection)
    age(connection, 30)
    counts.fold_fine(connection, *cursors.horizon(connection))
    assert rows(connection) == [(before[0][0], before[-1][1], 5)]


def test_young_rows_are_left_alone(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    append(source, [message(1)])
    append(source, [message(2)])
    counts.fold_fine(connection, *cursors.horizon(connection))
    assert len(rows(connection)) == 2


def test_a_range_never_straddles_the_boundary_of_an_interval(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    hook = factories.make_destination(source.workspace, sources=[source])
    append(source, [message(1)])
    append(source, [message(2)])
    tenants.set_destination_enabled(hook, False, actor=factories.TESTER)
    append(source, [message(3)])
    append(source, [message(4)])
    tenants.set_destination_enabled(hook, True, actor=factories.TESTER)
    append(source, [message(5)])
    before = ledger.balance(ledger.Scope(workspace=source.workspace.slug))
    age(connection, 30)
    counts.fold_fine(connection, *cursors.horizon(connection))
    assert [row[2] for row in rows(connection)] == [2, 2, 1]
    assert ledger.balance(ledger.Scope(workspace=source.workspace.slug)) == before
    assert before["destinations"][0]["eligible"] == 3


def test_sources_and_workspaces_are_never_mixed(connection: Connection[Row]) -> None:
    workspace = factories.make_workspace()
    for source in (factories.make_source(workspace), factories.make_source(factories.make_workspace())):
        append(source, [message(1)])
        append(source, [message(2)])
    age(connection, 30)
    counts.fold_fine(connection, *cursors.horizon(connection))
    assert [row[2] for row in rows(connection)] == [2, 2]
