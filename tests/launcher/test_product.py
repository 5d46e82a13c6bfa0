"""What `up` tells its children."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.launcher.address import Address
from hub.launcher.installation import open_installation
from hub.launcher.product import Product


@pytest.mark.parametrize("own", [None, "/mnt/postgres"])
def test_children_are_told_where_the_data_is_unless_it_is_said_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {"DATA_FOLDER": own} if own else {})
    with (installation := open_installation(tmp_path)).lock:
        product = Product(Address("127.0.0.1", 8000), installation, services=(), workers=1, demo=False)
        assert product.environment()["DATA_FOLDER"] == (own or str(tmp_path))
