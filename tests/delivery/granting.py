"""What tests of tokens share: the dialects with loopback opened, a vendor, a look at what would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors import registry
from hub.delivery import trials
from hub.delivery.config import Config
from hub.delivery.grants import tokens
from hub.delivery.grants.signing import Bearer
from tenants.models import Destination, Source
from tests.delivery.authorising import Vendor, make_destination
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


def by_credentials(source: Source, vendor: Vendor, **more: object) -> Destination:
    return make_destination(source, vendor, settings={"auth": "oauth2_client_credentials", **more})


def token_of(config: Config) -> str:
    assert isinstance(config.signer, Bearer)
    return config.signer.line.rpartition(" ")[2]


def ensured(destination: Destination) -> str:
    """The token that a worker which has just started would send."""
    config = trials.usable(destination)
    tokens.ensure(config)
    return token_of(config)
