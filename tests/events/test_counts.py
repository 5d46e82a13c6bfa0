"""Folding of count rows: sums stay, boundaries of intervals stay sharp, also of those that nobody can see yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from django.db import connection as own
from django.db import transaction
from psycopg import Connection

from hub.delivery import ledger, upkeep
from hub.events import counts, cursors
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants import services as tenants
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        opened.execute("DELETE FROM event_count")
        yield opened
    postgres.close_pools()


@pytest.fixture
def source(connection: Connection[Row]) -> Source:
    return factories.make_source(factories.make_workspace())


def age(connection: Connection[Row], seconds: int) -> None:
    """Make all count rows this old, and of one ten-second bucket."""
    connection.execute(
        "UPDATE event_count SET at = to_timestamp(floor(extract(epoch FROM now()) / 10) * 10 - %s)", [seconds]
    )


def rows(connection: Connection[Row]) -> list[Row]:
    return connection.execute(
        "SELECT xid_from::text::bigint, xid_to::text::bigint, accepted FROM event_count ORDER BY 1"
    ).fetchall()


def fold(connection: Connection[Row]) -> int | None:
    return counts.fold_fine(connection, *cursors.horizon(connection))


def difference(source: Source) -> int:
    found: int = ledger.balance(ledger.Scope(workspace=source.workspace.slug))["difference"]
    return found


def test_rows_of_ten_seconds_become_one_range_with_the_same_sum(connection: Connection[Row], source: Source) -> None:
    for n in range(5):
        append(source, [message(n)])
    before = rows(connection)
    age(connection, 30)
    assert fold(connection) == 5
    assert rows(connection) == [(before[0][0], before[-1][1], 5)]


def test_young_rows_are_left_alone(connection: Connection[Row], source: Source) -> None:
    append(source, [message(1)])
    append(source, [message(2)])
    assert fold(connection) == 0
    assert len(rows(connection)) == 2


def test_a_range_never_straddles_the_boundary_of_an_interval(connection: Connection[Row], source: Source) -> None:
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
    fold(connection)
    assert [row[2] for row in rows(connection)] == [2, 2, 1]
    assert ledger.balance(ledger.Scope(workspace=source.workspace.slug)) == before
    assert before["destinations"][0]["eligible"] == 3


def test_a_boundary_that_reaches_back_behind_the_horizon_never_falls_inside_a_range(
    connection: Connection[Row], source: Source
) -> None:
    """A new destination begins at the oldest event in flight. That event may be old enough to fold when it commits,
    together with one before it, while nobody else can see the destination yet."""
    append(source, [message(1)])
    with postgres.connect() as writer:
        writer.execute("BEGIN")
        append(source, [message(2)], writer)
        with transaction.atomic():
            factories.make_destination(source.workspace, "hook", sources=[source])
            writer.execute("COMMIT")
            age(connection, 30)
            assert fold(connection) is None, "a fold must wait for the change"
    assert fold(connection) == 0
    (hook,) = ledger.balance(ledger.Scope(workspace=source.workspace.slug))["destinations"]
    assert (hook["eligible"], hook["waiting"], hook["difference"]) == (1, 1, 0)


def test_a_change_that_begins_during_a_fold_waits_and_then_stays_above_it(
    connection: Connection[Row], source: Source
) -> None:
    with postgres.connect() as folder:
        folder.execute("BEGIN")
        assert folder.execute(counts.TRY_LOCK).fetchone() == (True,)
        with own.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
            with pytest.raises(Exception, match="lock timeout"), transaction.atomic():
                factories.make_destination(source.workspace, "hook", sources=[source])
            cursor.execute("RESET lock_timeout")
        folder.execute("ROLLBACK")


def test_sources_and_workspaces_are_never_mixed(connection: Connection[Row]) -> None:
    workspace = factories.make_workspace()
    for source in (factories.make_source(workspace), factories.make_source(factories.make_workspace())):
        append(source, [message(1)])
        append(source, [message(2)])
    age(connection, 30)
    fold(connection)
    assert [row[2] for row in rows(connection)] == [2, 2]


def test_ranges_do_not_overlap_however_transactions_and_seconds_interleave(
    connection: Connection[Row], source: Source
) -> None:
    for n in range(8):
        append(source, [message(n)])
    for place, (low, _, _) in enumerate(rows(connection)):
        second = (1, 12, 3, 14, 8, 23, 19, 28)[place]
        connection.execute(
            "UPDATE event_count SET at = date_trunc('minute', now()) - interval '2 min' + make_interval(secs => %s) "
            "WHERE xid_from = %s::text::xid8",
            [second, low],
        )
    fold(connection)
    found = [(int(str(low)), int(str(high)), amount) for low, high, amount in rows(connection)]
    assert [amount for _, _, amount in found] == [1, 4, 3]
    assert all(earlier[1] < later[0] for earlier, later in itertools.pairwise(found))


def test_a_row_that_another_fold_took_is_not_counted_again(connection: Connection[Row], source: Source) -> None:
    for n in range(3):
        append(source, [message(n)])
    age(connection, 30)
    with postgres.connect() as other:
        other.execute("BEGIN")
        other.execute("DELETE FROM event_count WHERE xid_from = (SELECT min(xid_from::text::bigint)::text::xid8 "
                      "FROM event_count)")  # fmt: skip
        other.execute("COMMIT")
    fold(connection)
    assert [row[2] for row in rows(connection)] == [2]


def test_ranges_become_hours_only_up_to_the_lowest_cursor(connection: Connection[Row], source: Source) -> None:
    for n in range(4):
        append(source, [message(n)])
    found = rows(connection)
    connection.execute("UPDATE event_count SET at = date_trunc('hour', now()) - interval '3 h'")
    epoch, xid = cursors.horizon(connection)
    reach = counts.Reach(source.workspace_id, epoch, int(str(found[2][0])))
    counts.fold_coarse(connection, counts.HOURS, [reach], epoch, xid)
    assert [row[2] for row in rows(connection)] == [2, 1, 1]


def test_hours_become_days_after_five_weeks(connection: Connection[Row], source: Source) -> None:
    for n in range(3):
        append(source, [message(n)])
    connection.execute(
        "UPDATE event_count SET at = date_trunc('day', now()) - interval '40 days' + xid_from::text::int % 24 * "
        "interval '1 h'"
    )
    upkeep.fold_coarse(connection)
    assert [row[2] for row in rows(connection)] == [3]
    assert difference(source) == 0


def test_the_chore_does_not_look_again_at_what_it_has_folded(connection: Connection[Row], source: Source) -> None:
    chore = upkeep.FoldCounts()
    append(source, [message(1)])
    age(connection, 30)
    chore(connection)
    chore.horizons.appendleft((-1e9, cursors.horizon(connection)))
    chore(connection)
    assert chore.since == cursors.horizon(connection) or chore.since > (0, 0)
    append(source, [message(2)])
    append(source, [message(3)])
    age(connection, 30)
    chore(connection)
    assert sorted(int(str(row[2])) for row in rows(connection)) == [1, 2]
