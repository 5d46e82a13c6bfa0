"""The books must show what is broken on purpose: each damage of one event is a difference of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.delivery import ledger
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, make_worker, message, run
from tests.factories import TESTER
from tests.faults.receiver import SwitchReceiver

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
DAMAGE = {
    "a row of the log is gone": "DELETE FROM event_log WHERE seq = (SELECT max(seq) FROM event_log)",
    "a cursor has stepped over an event": """
        UPDATE delivery_pipeline p SET cursor_xid = e.xid::text::bigint, cursor_seq = e.seq
        FROM (SELECT xid, seq FROM event_log ORDER BY xid DESC, seq DESC OFFSET 1 LIMIT 1) e""",
    "an outcome is counted that nobody earned": "UPDATE delivery_count SET delivered = delivered + 1",
    "a count row of ingest counts one too many": """
        UPDATE event_count SET received = received + 1, accepted = accepted + 1
        WHERE xid_from = (SELECT xid_from FROM event_count ORDER BY xid_from DESC LIMIT 1)""",
}
# What each damage is seen by: the source's line against the log, the destination's against its ends.
SEEN_BY = {
    "a row of the log is gone": (1, 0),
    "a cursor has stepped over an event": (0, 1),
    "an outcome is counted that nobody earned": (0, -1),
    "a count row of ingest counts one too many": (1, 0),
}


@pytest.fixture
def source(transactional_db: None) -> Iterator[Source]:
    yield factories.make_source(factories.make_workspace(), "app")
    postgres.close_pools()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = make_worker()
    yield made
    made.sender.shutdown(0.0)


@pytest.fixture
def paused(source: Source, switch: SwitchReceiver, worker: Worker) -> Destination:
    """A destination that got five events and was paused; two more wait in one transaction of their own each."""
    hook = factories.make_destination(source.workspace, "hook", url=switch.channel("hook").url, sources=[source])
    append(source, [message(n) for n in range(5)])
    run(hook, worker)
    tenants.pause_destination(hook, "tests", actor=TESTER)
    append(source, [message(5)])
    append(source, [message(6)])
    assert books(hook) == {"eligible": 7, "delivered": 5, "waiting": 2}
    return hook


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damage_shows_in_the_books(paused: Destination, damage: str) -> None:
    with postgres.connect() as connection:
        assert connection.execute(DAMAGE[damage]).rowcount == 1
    found = ledger.balance(ledger.Scope(workspace=paused.workspace.slug))
    (source,), (destination,) = found["sources"], found["destinations"]
    assert (source["difference"], destination["difference"]) == SEEN_BY[damage]
    assert found["difference"] == sum(map(abs, SEEN_BY[damage]))
