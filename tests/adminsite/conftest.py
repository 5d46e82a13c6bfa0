"""A workspace with a source, a destination, its pipeline, and one row in every table of the admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hub.delivery.models import Pipeline
from hub.lib import postgres
from tenants.models import Destination, Source, Workspace
from tests import factories
from tests.adminsite import staff


@dataclass(frozen=True, slots=True)
class Scene:
    """What most tests of the admin look at."""

    workspace: Workspace
    source: Source
    destination: Destination
    pipeline: Pipeline
    seq: int


@pytest.fixture(autouse=True)
def _no_pool_left() -> Iterator[None]:
    """A pool that a page opened would keep the test's database from being dropped."""
    yield
    postgres.close_pools()


@pytest.fixture
def scene(acme: Workspace) -> Scene:
    source = factories.make_source(acme, "web")
    destination = factories.make_destination(acme, "hook", sources=[source])
    pipeline = staff.make_pipeline(destination)
    return Scene(acme, source, destination, pipeline, staff.make_event(source))
