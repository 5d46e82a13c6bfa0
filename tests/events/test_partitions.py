"""Partitions of the log: made ahead, sealed, dropped, never while somebody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from psycopg import Connection

from hub.delivery import ledger, services, upkeep
from hub.events import partitions
from hub.lib import clock, postgres
from hub.lib.postgres import Row
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        yield opened
    postgres.close_pools()


def numbers(connection: Connection[Row], where: str) -> list[int]:
    found = connection.execute(f"SELECT number FROM event_partition WHERE {where} ORDER BY number").fetchall()
    return [int(str(row[0])) for row in found]


def fill_to(connection: Connection[Row], offset: int = 0) -> None:
    """Move the sequence to the start of the next partition, as a million events would."""
    connection.execute(
        "SELECT setval('event_log_seq', (SELECT p.seq_until FROM event_partition p, event_log_seq s "
        "WHERE p.seq_from <= s.last_value AND s.last_value < p.seq_until) + %s, false)",
        [offset],
    )


def test_there_are_always_seven_partitions_ahead(connection: Connection[Row]) -> None:
    partitions.make_ahead(connection)
    fill_to(connection)
    partitions.make_ahead(connection)
    ahead = connection.execute(
        "SELECT count(*) FROM event_partition p, event_log_seq s WHERE p.seq_from > s.last_value"
    ).fetchone()
    assert ahead is not None
    assert int(str(ahead[0])) >= partitions.AHEAD


def test_making_ahead_twice_makes_nothing_new(connection: Connection[Row]) -> None:
    partitions.make_ahead(connection)
    assert partitions.make_ahead(connection) == 0


def test_every_table_with_the_logs_bounds_gets_its_partition(connection: Connection[Row]) -> None:
    partitions.make_ahead(connection)
    found = connection.execute(
        "SELECT inhparent::regclass::text, count(*) FROM pg_inherits WHERE inhparent IN "
        "('event_log'::regclass, 'delivery_attempt'::regclass, 'delivery_batch'::regclass) GROUP BY 1"
    ).fetchall()
    assert len({row[1] for row in found}) == 1
    assert len(found) == 3


def test_nothing_lands_in_the_net(connection: Connection[Row]) -> None:
    append(factories.make_source(factories.make_workspace()), [message(1)])
    assert partitions.watch_default(connection) == 0


def old_partition(connection: Connection[Row], source: Source) -> int:
    """A sealed partition whose events are all past retention; its number."""
    append(source, [message(n) for n in range(3)])
    number = numbers(
        connection, "seq_from <= (SELECT max(seq) FROM event_log) AND seq_until > (SELECT max(seq) FROM event_log)"
    )[0]
    fill_to(connection)
    partitions.make_ahead(connection)
    partitions.seal_full(connection)
    connection.execute(
        "UPDATE event_partition SET last_received_at = %s WHERE number = %s", [clock.now() - timedelta(days=30), number]
    )
    return number


def test_a_partition_is_sealed_only_when_nobody_can_write_to_it_any_more(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    partitions.seal_full(connection)
    with postgres.connect() as writer:
        writer.execute("BEGIN")
        append(source, [message(1)], writer)
        fill_to(connection)
        partitions.make_ahead(connection)
        assert partitions.seal_full(connection) == []
        writer.execute("COMMIT")
    (sealed,) = partitions.seal_full(connection)
    found = connection.execute(
        "SELECT row_count FROM event_sealed WHERE number = %s AND source_id = %s", [sealed.number, source.pk]
    ).fetchall()
    assert found == [(1,)]


def test_what_a_sealed_partition_held_is_remembered_and_checked_again_only_in_full(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    append(source, [message(n) for n in range(3)])
    fill_to(connection)
    partitions.make_ahead(connection)
    partitions.seal_full(connection)
    append(source, [message(4)])
    scope = ledger.Scope(workspace=source.workspace.slug)
    assert ledger.balance(scope)["difference"] == 0
    connection.execute(
        "DELETE FROM event_log WHERE seq = (SELECT min(seq) FROM event_log WHERE source_id = %s)", [source.pk]
    )
    full = ledger.Scope(workspace=source.workspace.slug, is_full=True)
    assert (ledger.balance(scope)["difference"], ledger.balance(full)["difference"]) == (0, 1)


def test_rows_in_the_net_move_to_their_partition_when_it_is_made(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    partitions.make_ahead(connection)
    connection.execute("SELECT setval('event_log_seq', (SELECT max(seq_until) FROM event_partition) + 5, false)")
    seqs = append(source, [message(1), message(2)])
    assert partitions.watch_default(connection) == 2
    partitions.make_ahead(connection)
    assert partitions.watch_default(connection) == 0
    found = connection.execute("SELECT seq FROM event_log WHERE source_id = %s ORDER BY seq", [source.pk]).fetchall()
    assert [row[0] for row in found] == seqs
    assert ledger.balance(ledger.Scope(workspace=source.workspace.slug))["difference"] == 0


def test_a_partition_that_a_running_pipeline_needs_is_not_dropped(connection: Connection[Row]) -> None:
    connection.execute("DELETE FROM delivery_pipeline")
    source = factories.make_source(factories.make_workspace())
    factories.make_destination(source.workspace, sources=[source])
    services.ensure_pipelines(connection)
    number = old_partition(connection, source)
    connection.execute("UPDATE delivery_pipeline SET lease_until = now() + interval '45 s'")
    upkeep.retire_partitions(connection)
    assert number not in numbers(connection, "dropped_at IS NOT NULL")


def test_a_backlog_past_retention_is_counted_as_expired_before_its_partition_goes(connection: Connection[Row]) -> None:
    connection.execute("DELETE FROM delivery_pipeline")
    source = factories.make_source(factories.make_workspace())
    factories.make_destination(source.workspace, sources=[source])
    services.ensure_pipelines(connection)
    number = old_partition(connection, source)
    upkeep.retire_partitions(connection)
    assert number in numbers(connection, "dropped_at IS NOT NULL")
    books = ledger.balance(ledger.Scope(workspace=source.workspace.slug))
    assert (books["difference"], books["destinations"][0]["expired"]) == (0, 3)


def test_a_partition_that_nobody_needs_is_dropped_and_the_books_still_balance(connection: Connection[Row]) -> None:
    connection.execute("DELETE FROM delivery_pipeline")
    source = factories.make_source(factories.make_workspace())
    number = old_partition(connection, source)
    upkeep.retire_partitions(connection)
    assert number in numbers(connection, "dropped_at IS NOT NULL")
    gone = connection.execute("SELECT to_regclass(%s) IS NULL", [f"event_log_p{number}"]).fetchone()
    assert gone == (True,)
    books = ledger.balance(ledger.Scope(workspace=source.workspace.slug))
    assert (books["difference"], books["sources"][0]["accepted"]) == (0, 3)


def test_a_half_empty_partition_is_closed_after_a_day(connection: Connection[Row]) -> None:
    source = factories.make_source(factories.make_workspace())
    seqs = append(source, [message(1)])
    assert not partitions.close_early(connection)
    connection.execute("UPDATE event_log SET received_at = now() - interval '2 days' WHERE seq = %s", [seqs[0]])
    assert partitions.close_early(connection)
    later = append(source, [message(2)])
    assert later[0] % 1_000_000 == 0 or later[0] > seqs[0] + 1
    assert partitions.watch_default(connection) == 0


def test_dedupe_days_outside_every_window_are_dropped(connection: Connection[Row]) -> None:
    day = clock.now().date() - timedelta(days=20)
    partitions._make_day(connection, day)
    assert f"event_dedupe_{day:%Y%m%d}" in partitions.drop_old_days(connection, 24)
    assert f"event_dedupe_{clock.now().date():%Y%m%d}" not in partitions.drop_old_days(connection, 24)


def test_a_lock_that_cannot_be_had_is_left_for_the_next_round(connection: Connection[Row]) -> None:
    day = clock.now().date() - timedelta(days=21)
    partitions._make_day(connection, day)
    with postgres.connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM event_dedupe")
        assert partitions.drop_old_days(connection, 24) == []
    assert partitions.drop_old_days(connection, 24) == [f"event_dedupe_{day:%Y%m%d}"]
