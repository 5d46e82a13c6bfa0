"""The scheduler's chores, on the connection they are given and no other."""

from __future__ import annotations

import pytest

from hub.delivery import upkeep
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.schedule import CHORES
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("chore", CHORES, ids=lambda chore: chore.name)
def test_every_chore_runs_twice_on_a_fresh_installation(chore: upkeep.PgConnection, source: Source) -> None:
    with postgres.connect() as connection:
        chore.run(connection)
        chore.run(connection)


def test_an_idle_pipeline_is_moved_to_the_horizon_and_reads_on_from_there(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    before = run(hook, worker)
    with postgres.connect() as connection:
        connection.execute("SELECT pg_current_xact_id()")
        connection.execute(upkeep.ADVANCE_IDLE)
    append(source, [message(2)])
    after = run(hook, worker)
    assert after.cursor_xid > before.cursor_xid
    assert len(receiver.requests) == 2


def test_a_pipeline_with_something_to_read_is_not_moved(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
    run(hook, worker)
    append(source, [message(1)])
    with postgres.connect() as connection:
        connection.execute(upkeep.ADVANCE_IDLE)
    run(hook, worker)
    assert len(receiver.requests) == 1
