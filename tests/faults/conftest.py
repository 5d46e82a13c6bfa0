"""One product for all tests of a test process that can share it, and a receiver for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.product import Product
from tests.faults.receiver import SwitchReceiver
from tests.faults.shared import shared_product


@pytest.fixture
def product(pytestconfig: pytest.Config) -> Product:
    return shared_product(pytestconfig)


@pytest.fixture
def switch() -> Iterator[SwitchReceiver]:
    with SwitchReceiver() as running:
        yield running
