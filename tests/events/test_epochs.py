"""A restored database: nothing starts while numbers lie in the future; a new epoch is read after the old one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from hub.events import epochs
from hub.events.cursors import LogReader, Position
from hub.lib import postgres
from tenants.models import LogEpoch, Source
from tests import factories
from tests.delivery.logged import append, message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def source(transactional_db: None) -> Iterator[Source]:
    """A source whose rows are gone afterwards, for their numbers would lie in the next test's future."""
    made = factories.make_source(factories.make_workspace())
    yield made
    with postgres.connect() as connection:
        connection.execute("DELETE FROM event_log WHERE workspace_id = %s", [made.workspace_id])


def restore(source: Source) -> None:
    """Make the log look as after a restore into a cluster that counts from lower: its numbers lie in the future."""
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE event_log SET xid = (xid::text::bigint + 1000000)::text::xid8 WHERE workspace_id = %s",
            [source.workspace_id],
        )


def test_a_log_from_the_future_is_refused(source: Source) -> None:
    append(source, [message(1)])
    with postgres.connect() as connection:
        epochs.require_consistent(connection)
        restore(source)
        with pytest.raises(epochs.RestoredDatabase, match="log_new_epoch"):
            epochs.require_consistent(connection)


def test_after_a_new_epoch_old_rows_are_read_first_and_new_ones_after_them(source: Source) -> None:
    old = append(source, [message(1), message(2)])
    restore(source)
    call_command("log_new_epoch")
    new = append(source, [message(3)])
    with postgres.connect() as connection:
        epochs.require_consistent(connection)
        reader = LogReader(source.workspace_id, Position(1, 0, 0))
        read = [row.seq for _ in range(3) for row in reader.read(connection, 10)]
    assert read == [*old, *new]


def test_a_consistent_log_is_left_in_its_epoch(source: Source) -> None:
    with pytest.raises(CommandError, match="needs no new epoch"):
        call_command("log_new_epoch")
    assert LogEpoch.objects.get().epoch == 1
