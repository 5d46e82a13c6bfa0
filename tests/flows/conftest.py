"""A house with everything in it: workspace, source, ingest, a worker and a receiver, all in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.ingest import runtime
from hub.lib import postgres
from tests.delivery.logged import make_worker
from tests.faults.receiver import SwitchReceiver
from tests.flows.house import House


@pytest.fixture
def switch() -> Iterator[SwitchReceiver]:
    with SwitchReceiver() as running:
        yield running


@pytest.fixture
def house(transactional_db: None, switch: SwitchReceiver) -> Iterator[House]:
    worker = make_worker()
    yield House(worker, switch)
    worker.sender.shutdown(0.0)
    runtime.close()
    postgres.close_pools()
