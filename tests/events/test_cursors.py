"""Reading the log: every committed event once and in order, however the commits interleave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import Connection

from hub.events import cursors
from hub.events.cursors import LogReader, Position
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def source(transactional_db: None) -> Source:
    return factories.make_source(factories.make_workspace(), "app")


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        yield opened
    postgres.close_pools()


@pytest.fixture
def other(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        yield opened


def reader_of(source: Source) -> LogReader:
    return LogReader(source.workspace_id, Position(0, 0, 0))


def seqs(reader: LogReader, connection: Connection[Row], limit: int = 100) -> list[int]:
    return [row.seq for row in reader.read(connection, limit)]


def seqs_after(connection: Connection[Row], source: Source, last: int) -> list[int]:
    """What a reader that trusts the sequence alone would read next."""
    found = connection.execute(
        "SELECT seq FROM event_log WHERE workspace_id = %s AND seq > %s ORDER BY seq", [source.workspace_id, last]
    )
    return [int(str(row[0])) for row in found.fetchall()]


def test_a_late_commit_with_a_lower_number_is_read_and_a_reader_of_numbers_alone_loses_it(
    source: Source, connection: Connection[Row], other: Connection[Row]
) -> None:
    reader = reader_of(source)
    with other.transaction():
        slow = append(source, [message(1)], other)
        quick = append(source, [message(2)])
        seen_by_number = seqs_after(connection, source, 0)
        assert seqs(reader, connection) == []
    assert seen_by_number == quick
    assert seqs_after(connection, source, max(seen_by_number)) == []
    assert seqs(reader, connection) == slow + quick


def test_a_newer_transaction_with_a_lower_number_is_not_passed_by(
    source: Source, connection: Connection[Row], other: Connection[Row]
) -> None:
    (drawn,) = other.execute("SELECT nextval('event_log_seq')").fetchone() or (0,)
    older = append(source, [message(1)])
    reader = reader_of(source)
    assert seqs(reader, connection) == older
    newer = append(source, [message(2)])
    other.execute("UPDATE event_log SET seq = %s WHERE seq = %s", [drawn, newer[0]])
    assert int(str(drawn)) < older[0]
    assert seqs(reader, connection) == [drawn]


def test_a_rolled_back_transaction_leaves_nothing_to_wait_for(
    source: Source, connection: Connection[Row], other: Connection[Row]
) -> None:
    with other.transaction(force_rollback=True):
        append(source, [message(1)], other)
    later = append(source, [message(2)])
    assert seqs(reader_of(source), connection) == later


def test_an_open_transaction_that_has_written_nothing_holds_nobody_up(
    source: Source, connection: Connection[Row], other: Connection[Row]
) -> None:
    with other.transaction():
        other.execute("SELECT count(*) FROM event_log")
        appended = append(source, [message(1)])
        assert seqs(reader_of(source), connection) == appended


def test_pages_join_without_gap_or_overlap(source: Source, connection: Connection[Row]) -> None:
    appended = [number for _ in range(12) for number in append(source, [message(n) for n in range(3)])]
    reader = reader_of(source)
    pages = [seqs(reader, connection, limit=5) for _ in range(9)]
    assert [len(page) for page in pages] == [5] * 7 + [1, 0]
    assert [number for page in pages for number in page] == appended


def test_transactions_are_ordered_as_numbers_and_not_as_text(source: Source, connection: Connection[Row]) -> None:
    (ninth,), (tenth,) = append(source, [message(1)]), append(source, [message(2)])
    connection.execute("UPDATE event_log SET xid = '9' WHERE seq = %s", [ninth])
    connection.execute("UPDATE event_log SET xid = '10' WHERE seq = %s", [tenth])
    reader = reader_of(source)
    assert [seqs(reader, connection, limit=1) for _ in range(3)] == [[ninth], [tenth], []]


def test_another_workspace_is_never_read(source: Source, connection: Connection[Row]) -> None:
    stranger = factories.make_source(factories.make_workspace(), "app")
    append(stranger, [message(1)])
    assert seqs(reader_of(source), connection) == []


def test_a_reader_finishes_a_past_epoch_and_goes_on_in_the_present_one(
    source: Source, connection: Connection[Row]
) -> None:
    before = append(source, [message(1)])
    connection.execute("UPDATE log_epoch SET epoch = epoch + 1")
    after = append(source, [message(2)])
    reader = reader_of(source)
    assert seqs(reader, connection) == before
    assert seqs(reader, connection) == after
    connection.execute("UPDATE log_epoch SET epoch = epoch - 1")


def test_the_horizon_is_below_an_open_writer(connection: Connection[Row], other: Connection[Row]) -> None:
    with other.transaction():
        (xid,) = other.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
        assert cursors.horizon(connection)[1] <= int(str(xid))
    assert cursors.horizon(connection)[1] > int(str(xid))
