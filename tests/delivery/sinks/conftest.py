"""Sinks written to as delivery writes to them: through the runner, past the gate, with loopback opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.http import ItemOutcome
from connectors.records import SinkRequest
from hub.delivery.sinks.running import Runner
from hub.lib.net import Answer
from tests.delivery.logged import LOOPBACK

Write = Callable[[SinkRequest], list[ItemOutcome]]


@pytest.fixture
def runner(settings: Any) -> Iterator[Runner]:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    made = Runner()
    yield made
    made.close()


@pytest.fixture
def write(runner: Runner) -> Write:
    return lambda request: runner.write(request)[0]


@pytest.fixture
def tell(runner: Runner) -> Callable[[SinkRequest], tuple[list[ItemOutcome], Answer]]:
    return runner.write
