"""The product that tests of one process share, because its start takes longer than most of them."""

from __future__ import annotations

import pytest

from tests.faults.product import Product

KEY = pytest.StashKey[Product]()


def shared_product(config: pytest.Config) -> Product:
    """Start it at the first call; it ends with the test process."""
    if KEY not in config.stash:
        product = Product(WEB_WORKERS="2")
        config.add_cleanup(product.end)
        product.start()
        config.stash[KEY] = product  # one that did not start is nobody's
    return config.stash[KEY]
