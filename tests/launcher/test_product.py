"""What `up` tells its children."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.launcher.address import Address
from hub.launcher.installation import open_installation
from hub.launcher.product import Product, queues_of


@pytest.mark.parametrize("own", [None, "/mnt/postgres"])
def test_children_are_told_where_the_data_is_unless_it_is_said_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {"DATA_FOLDER": own} if own else {})
    with (installation := open_installation(tmp_path)).lock:
        product = Product(Address("127.0.0.1", 8000), installation, services=(), workers=1, demo=False)
        assert product.environment()["DATA_FOLDER"] == (own or str(tmp_path))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_queue_is_served_however_many_workers_there_are(count: int) -> None:
    served = [set(queues_of(number, count).split(",")) for number in range(1, count + 1)]
    assert set.union(*served) == {"deliver_fast", "deliver_slow", "background"}


def test_two_workers_both_deliver_and_of_three_one_is_apart_for_what_is_slow() -> None:
    assert queues_of(1, 2) == queues_of(2, 2) == queues_of(1, 1)
    assert [queues_of(number, 3) for number in (1, 2, 3)] == ["deliver_fast", "deliver_fast", "deliver_slow,background"]
