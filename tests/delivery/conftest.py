"""A source, a receiver that can misbehave, and a worker, for tests of whole turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.delivery.repair import acts, steps
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source, Workspace
from tests import factories
from tests.adminsite import staff
from tests.adminsite.conftest import Scene
from tests.delivery import logged
from tests.receivers import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = logged.make_worker()
    yield made
    made.sender.shutdown(0.0)


@pytest.fixture
def source(transactional_db: None) -> Iterator[Source]:
    """A source of a workspace of its own; everything is committed, for the log's tail is invisible otherwise."""
    yield factories.make_source(factories.make_workspace(), "app")
    postgres.close_pools()


@pytest.fixture
def scene(acme: Workspace) -> Iterator[Scene]:
    """What pages about failures show: a source, a destination and its pipeline, in the test's own transaction."""
    source = factories.make_source(acme, "web")
    destination = factories.make_destination(acme, "hook", sources=[source])
    pipeline = staff.make_pipeline(destination)
    yield Scene(acme, source, destination, pipeline, staff.make_event(source))
    postgres.close_pools()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of eight, and more than ten are a job, so that a few letters take several steps."""
    monkeypatch.setattr(steps, "STEP", 8)
    monkeypatch.setattr(acts, "AT_ONCE", 10)
