"""A running ingest, and the two doors to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.ingest import runtime
from hub.lib import postgres
from tests.ingest.doors import DjangoDoor, Door, FrontDoor
from tests.ingest.running import Ingest


@pytest.fixture
def log_dsn(db: None) -> str:
    return postgres.dsn()


@pytest.fixture
def ingest(log_dsn: str) -> Iterator[Ingest]:
    started = Ingest(log_dsn)
    started.start()
    yield started
    runtime.close()


@pytest.fixture(params=[DjangoDoor, FrontDoor], ids=["django", "front"])
def door(request: pytest.FixtureRequest) -> Door:
    return request.param()
