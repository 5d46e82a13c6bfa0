"""Reading the log in shards, and up to an end: each event by one shard, nothing behind the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import Connection

from hub.events import cursors
from hub.events.cursors import LogReader, Position
from hub.lib import postgres
from hub.lib.ids import key8
from hub.lib.postgres import Row
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)
START = Position(0, 0, 0)
USERS = [f"user-{number}" for number in range(40)]


@pytest.fixture
def source(transactional_db: None) -> Source:
    return factories.make_source(factories.make_workspace(), "app")


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        yield opened
    postgres.close_pools()


def read_all(reader: LogReader, connection: Connection[Row], limit: int) -> list[cursors.LogRow]:
    """Read page by page until the reader says that nothing is left, and see that it always gets further."""
    rows: list[cursors.LogRow] = []
    while True:
        before = reader.position
        rows += reader.read(connection, limit)
        if reader.is_at_end:
            return rows
        assert reader.position > before


def place_of(connection: Connection[Row], seq: int) -> Position:
    found = connection.execute("SELECT epoch, xid::text::bigint, seq FROM event_log WHERE seq = %s", [seq]).fetchone()
    assert found is not None
    return Position(*found)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_the_shards_together_read_every_event_once_and_each_its_own_users(
    source: Source, connection: Connection[Row], limit: int
) -> None:
    appended = [seq for n in range(6) for seq in append(source, [message(n, user) for user in USERS])]
    assert {key8(user) < 0 for user in USERS} == {True, False}
    shards = [read_all(LogReader(source.workspace_id, START, 0, n, 3), connection, limit) for n in range(3)]
    assert sorted(row.seq for rows in shards for row in rows) == sorted(appended)
    for number, rows in enumerate(shards):
        assert {cursors.shard_of(row.user_key, 3) for row in rows} == {number}
        assert [row.seq for row in rows] == sorted(row.seq for row in rows)


def test_a_shard_stands_behind_the_rows_of_others_though_it_gave_out_none(
    source: Source, connection: Connection[Row]
) -> None:
    appended = append(source, [message(n) for n in range(5)])
    mine = cursors.shard_of(key8("u1"), 2)
    reader = LogReader(source.workspace_id, START, 0, 1 - mine, 2)
    assert read_all(reader, connection, 100) == []
    assert reader.position == place_of(connection, appended[-1])


def test_a_shard_reads_nothing_above_the_horizon_and_loses_nothing_of_it(
    source: Source, connection: Connection[Row]
) -> None:
    readers = [LogReader(source.workspace_id, START, 0, n, 2) for n in range(2)]
    with postgres.connect() as other, other.transaction():
        slow = append(source, [message(1, user) for user in USERS], other)
        quick = append(source, [message(2, user) for user in USERS])
        assert [reader.read(connection, 100) for reader in readers] == [[], []]
        assert {reader.position[1:] for reader in readers} == {START[1:]}
    found = [row.seq for reader in readers for row in read_all(reader, connection, 7)]
    assert sorted(found) == sorted(slow + quick)


@pytest.mark.parametrize("shard_count", [1, 2])
def test_a_bounded_reader_reads_up_to_its_end_and_stands_there(
    source: Source, connection: Connection[Row], shard_count: int
) -> None:
    before = append(source, [message(n, user) for n, user in enumerate(USERS)])
    append(source, [message(n, user) for n, user in enumerate(USERS)])
    until = place_of(connection, before[-1])
    found = []
    for shard in range(shard_count):
        reader = LogReader(source.workspace_id, START, 0, shard, shard_count, until)
        found += [row.seq for row in read_all(reader, connection, 7)]
        assert reader.is_over
        assert reader.position == until
        assert reader.read(connection, 100) == []
        assert reader.is_at_end
    assert sorted(found) == before


def test_an_end_in_the_middle_of_a_transaction_is_kept_to(source: Source, connection: Connection[Row]) -> None:
    appended = append(source, [message(n) for n in range(5)])
    reader = LogReader(source.workspace_id, START, until=place_of(connection, appended[2]))
    assert [row.seq for row in read_all(reader, connection, 100)] == appended[:3]


def test_a_bounded_reader_goes_on_into_the_epoch_of_its_end_and_no_further(
    source: Source, connection: Connection[Row]
) -> None:
    before = append(source, [message(1)])
    connection.execute("UPDATE log_epoch SET epoch = epoch + 1")
    after = append(source, [message(2)])
    last = append(source, [message(3)])
    ends_before = LogReader(source.workspace_id, START, until=place_of(connection, before[-1]))
    ends_after = LogReader(source.workspace_id, START, until=place_of(connection, after[-1]))
    read = {name: [] for name in ("before", "after", "open")}  # type: dict[str, list[int]]
    for name, reader in zip(read, (ends_before, ends_after, LogReader(source.workspace_id, START)), strict=True):
        for _ in range(4):
            read[name] += [row.seq for row in reader.read(connection, 100)]
    assert read == {"before": before, "after": before + after, "open": before + after + last}
    connection.execute("UPDATE log_epoch SET epoch = epoch - 1")
