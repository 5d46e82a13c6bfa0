"""A stage in the product that the tests of one process share; the receiver is the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.receiver import SwitchReceiver
from tests.faults.shared import shared_product
from tests.faults.stage import Stage


@pytest.fixture
def stage(pytestconfig: pytest.Config) -> Iterator[Stage]:
    with SwitchReceiver() as switch:
        yield Stage(shared_product(pytestconfig), switch, keeps_bodies=True)
