"""Destinations that are down in every way: everything arrives once they are back, and nobody else waits meanwhile."""

from __future__ import annotations

import pytest

from tests.faults.generator import send_many
from tests.faults.product import Product, wait_until
from tests.faults.receiver import CLOSE, HANG, SwitchReceiver
from tests.faults.stage import SETTLE_SECONDS, Stage

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("trouble", [503, HANG, CLOSE], ids=["503", "hanging", "closing"])
def test_a_failing_destination_delays_no_other_and_gets_everything_later(
    product: Product, switch: SwitchReceiver, trouble: int
) -> None:
    stage = Stage(product, switch, "broken", "sound", settings={"timeout": 1})
    broken, sound = stage.channels["broken"], stage.channels["sound"]
    broken.mode = trouble
    sent = send_many(product.url, stage.write_key, 300)
    sound.await_all(sent)
    wait_until(lambda: broken.asked, SETTLE_SECONDS, "the broken destination was never tried")
    assert stage.row("sound")["delivered"] == 300
    assert stage.row("broken")["waiting"] == 300
    broken.mode = 200
    settle(stage, "broken")
    assert broken.missing(sent) == set()
    assert stage.row("broken")["delivered"] == 300
    assert stage.waiting() == 0


def test_a_destination_whose_port_is_closed_gets_everything_when_it_is_open_again(
    product: Product, switch: SwitchReceiver
) -> None:
    stage = Stage(product, switch)
    switch.close_port()
    sent = send_many(product.url, stage.write_key, 300)
    failed = "SELECT count(*) FROM delivery_pipeline p JOIN tenants_destination d ON d.id = p.destination_id " \
             "JOIN tenants_workspace w ON w.id = d.workspace_id WHERE w.slug = %s AND p.last_failure <> ''"  # fmt: skip
    wait_until(lambda: product.query(failed, stage.workspace) == [(1,)], SETTLE_SECONDS, "it was never tried")
    assert stage.waiting() == 300
    switch.open_port()
    settle(stage, "hook")
    assert stage.hook.missing(sent) == set()
    assert stage.hook.repeats() == 0
    assert stage.row()["delivered"] == 300


def settle(stage: Stage, destination: str) -> None:
    """Move the clock of holds and retries until nothing waits any more; probes come one at a time."""
    wait_until(lambda: stage.let_time_pass() == 0, SETTLE_SECONDS, f"{stage.row(destination)} does not settle")
