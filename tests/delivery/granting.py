"""Fixtures of whoever tests tokens: the dialects, loopback opened, a vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors import registry
from tests.delivery.authorising import Vendor
from tests.delivery.logged import LOOPBACK
from tests.receivers import Receiver


@pytest.fixture
def dialects(settings: Any) -> Iterator[None]:
    settings.ALLOW_PRIVATE_NETWORKS = LOOPBACK
    registry.use_packages([*registry.BUILT_IN, "tests.delivery.dialects"])
    yield
    registry.use_packages(registry.BUILT_IN)


@pytest.fixture
def vendor(dialects: None, receiver: Receiver) -> Vendor:
    return Vendor(receiver)
