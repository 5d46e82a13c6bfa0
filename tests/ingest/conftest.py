"""A running ingest, and the two doors to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hub.ingest import runtime
from hub.ingest.limits import Limits
from hub.lib import postgres
from tenants.models import Workspace
from tests.ingest.doors import DjangoDoor, Door, FrontDoor
from tests.ingest.parties import Party, make_party
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


@pytest.fixture
def own_runtime() -> Iterator[None]:
    """Limits of one test do not reach the next, and on a slow machine do not wear off."""
    frozen = {name: Limits(clock=lambda: 0.0) for name in ("unknown_keys", "token_requests")}
    runtime.use(replace(runtime.make(), **frozen))
    yield
    runtime.close()


@pytest.fixture
def party(acme: Workspace) -> Party:
    return make_party(acme, slug="shop-backend")
