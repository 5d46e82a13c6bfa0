"""The look-up indexes of sealed partitions, and look-ups while a partition has none yet."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from psycopg import Connection

from hub.delivery import trace
from hub.events import indexes, partitions
from hub.events.admin.search import find_seqs
from hub.lib import postgres
from hub.lib.postgres import Row
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message
from tests.events.test_partitions import fill_to

pytestmark = pytest.mark.django_db(transaction=True)
BUILT = """
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname ~ '^event_log_p[0-9]+_(message|user)$' ORDER BY 1
"""


@pytest.fixture
def connection(transactional_db: None) -> Iterator[Connection[Row]]:
    with postgres.connect() as opened:
        yield opened
    postgres.close_pools()


@pytest.fixture
def source(transactional_db: None) -> Source:
    return factories.make_source(factories.make_workspace())


def seal(connection: Connection[Row]) -> int:
    fill_to(connection)
    partitions.make_ahead(connection)
    (sealed,) = partitions.seal_full(connection)
    return sealed.number


def test_a_partition_gets_its_indexes_when_it_is_sealed_and_not_before(
    connection: Connection[Row], source: Source
) -> None:
    append(source, [message(1)])
    indexes.build_missing(connection)
    before = connection.execute(BUILT).fetchall()
    number = seal(connection)
    names = [f"event_log_p{number}_message", f"event_log_p{number}_user"]
    assert set(names) <= set(indexes.build_missing(connection))
    assert not {str(row[0]) for row in before} & set(names)
    assert indexes.build_missing(connection) == []


def test_an_index_that_a_crash_left_half_built_is_built_again(connection: Connection[Row], source: Source) -> None:
    append(source, [message(1)])
    name = f"event_log_p{seal(connection)}_user"
    indexes.build_missing(connection)
    connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
    assert indexes.build_missing(connection) == [name]
    assert (name, True) in connection.execute(BUILT).fetchall()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_event_is_found_by_message_and_by_person_in_any_partition(
    connection: Connection[Row], source: Source, is_sealed: bool
) -> None:
    wanted = message(1)
    append(source, [wanted, message(2)])
    if is_sealed:
        seal(connection)
        indexes.build_missing(connection)
    workspace_id = UUID(str(source.workspace_id))
    (event,) = trace.find_events(workspace_id, wanted["messageId"])
    assert find_seqs(wanted["messageId"]) == [event.seq]
    assert event.seq in find_seqs(str(event.user_id or event.anonymous_id))


def test_a_person_in_the_open_partition_is_looked_up_in_an_index(connection: Connection[Row]) -> None:
    connection.execute("SET enable_seqscan = off")
    plan = connection.execute(
        "EXPLAIN SELECT seq FROM event_log WHERE workspace_id = gen_random_uuid() AND user_key = 7"
    ).fetchall()
    asked = [str(row[0]) for row in plan if "user_key = " in str(row[0])]
    assert asked
    assert not any("Filter" in line for line in asked), asked
