"""Twelve writers whose commits overtake each other, read while they write: nothing is passed by, nothing read twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from hub.events.cursors import LogReader, Position
from hub.lib import postgres
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message
from tests.faults.product import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
WRITERS = 12
TRANSACTIONS = 40
EVENTS = 3
SLOW_SHARE = 0.05
SLOWEST_SECONDS = 0.03
BY_NUMBER = "SELECT seq FROM event_log WHERE workspace_id = %s AND seq > %s ORDER BY seq LIMIT 500"


@pytest.fixture
def source(transactional_db: None) -> Iterator[Source]:
    yield factories.make_source(factories.make_workspace(), "app")
    postgres.close_pools()


class Writer(threading.Thread):
    """Commits small transactions, some of which dawdle between their insert and their commit."""

    def __init__(self, source: Source, number: int) -> None:
        super().__init__(name=f"writer-{number}")
        self.seqs: list[int] = []
        self._source = source
        self._chance = random.Random(number)

    def run(self) -> None:
        with postgres.connect() as connection:
            for _ in range(TRANSACTIONS):
                with connection.transaction():
                    self.seqs += append(self._source, [message(n) for n in range(EVENTS)], connection)
                    if self._chance.random() < SLOW_SHARE:
                        time.sleep(self._chance.uniform(0, SLOWEST_SECONDS))


class Reading(threading.Thread):
    """Reads on until it is stopped, and once more after that."""

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(name=type(self).__name__)
        self.workspace_id = workspace_id
        self.seqs: list[int] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with postgres.connect() as connection:
            while not self.stop.wait(0.002):
                self.read(connection)
            while self.read(connection):
                pass

    def read(self, connection: postgres.PgConnection) -> bool:
        raise NotImplementedError


class ByPosition(Reading):
    """The product's reader."""

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(workspace_id)
        self.reader = LogReader(workspace_id, Position(0, 0, 0))

    def read(self, connection: postgres.PgConnection) -> bool:
        rows = self.reader.read(connection, 500)
        self.seqs += [row.seq for row in rows]
        return bool(rows)


class ByNumber(Reading):
    """The reader that everybody writes first: whatever has a higher sequence number than the last one seen."""

    def read(self, connection: postgres.PgConnection) -> bool:
        rows = connection.execute(BY_NUMBER, [self.workspace_id, max(self.seqs, default=0)]).fetchall()
        self.seqs += [int(str(row[0])) for row in rows]
        return bool(rows)


def test_every_committed_event_is_read_once_where_a_reader_of_numbers_alone_loses_some(source: Source) -> None:
    by_position, by_number = ByPosition(source.workspace_id), ByNumber(source.workspace_id)
    writers = [Writer(source, number) for number in range(WRITERS)]
    with postgres.connect() as connection, connection.transaction():
        overtaken = append(source, [message(0)], connection)
        for thread in [by_position, by_number, *writers]:
            thread.start()
        wait_until(lambda: by_number.seqs, 30.0, "nothing was read")
    for writer in writers:
        writer.join()
    for reading in (by_position, by_number):
        reading.stop.set()
        reading.join()
    committed = {*overtaken, *(seq for writer in writers for seq in writer.seqs)}
    assert len(committed) == 1 + WRITERS * TRANSACTIONS * EVENTS
    assert sorted(by_position.seqs) == sorted(committed)
    assert set(overtaken) <= committed - set(by_number.seqs)
