"""Destinations that are down in every way: everything arrives once they are back, and nobody else waits meanwhile."""

from __future__ import annotations

import pytest

from tests.faults.generator import send_many
from tests.faults.product import Product, wait_until
from tests.faults.receiver import CLOSE, HANG, SwitchReceiver
from tests.faults.stage import IN_FLIGHT, SETTLE_SECONDS, Stage

pytestmark = pytest.mark.fault
WENT_WELL, BACKLOG = 2_000, 3_000
DAYS = 3


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


def test_an_outage_of_three_days_costs_one_batch_of_rows_and_ends_by_itself(
    product: Product, switch: SwitchReceiver
) -> None:
    stage = Stage(product, switch)
    sent = send_many(product.url, stage.write_key, WENT_WELL)
    stage.hook.await_all(sent)
    stage.hook.mode = 503
    sent += send_many(product.url, stage.write_key, BACKLOG)
    wait_until(lambda: circuit(stage)[0] == "open", SETTLE_SECONDS, "the circuit does not open")
    for _ in range(DAYS):
        asked = stage.hook.asked
        move_a_day_back(stage)
        wait_until(lambda seen=asked: stage.hook.asked > seen, SETTLE_SECONDS, "it is not probed any more")
        wait_until(lambda: circuit(stage)[0] == "open", SETTLE_SECONDS, "the circuit does not open again")
        assert circuit(stage)[1] <= IN_FLIGHT
        assert stage.waiting() == BACKLOG
    stage.hook.mode = 200
    settle(stage, "hook")
    stage.await_books(delivered=WENT_WELL + BACKLOG, dead=0, expired=0)
    assert stage.hook.missing(sent) == set()
    assert stage.hook.repeats() == 0


def circuit(stage: Stage) -> tuple[str, int]:
    """How the destination's circuit stands, and how many retry rows its failure has cost."""
    return stage.product.query(
        "SELECT p.circuit, (SELECT count(*) FROM delivery_retry r WHERE r.pipeline_id = p.id) FROM delivery_pipeline p "
        "JOIN tenants_workspace w ON w.id = p.workspace_id WHERE w.slug = %s",
        stage.workspace,
    )[0]  # type: ignore[no-any-return]


def move_a_day_back(stage: Stage) -> None:
    """Let a day pass: everything that was to happen within it is due, and first tries lie a day further back."""
    day, own = "interval '1 day'", "workspace_id = (SELECT id FROM tenants_workspace WHERE slug = %s)"
    stage.product.query(
        f"UPDATE delivery_pipeline SET held_until = held_until - {day}, next_run_at = next_run_at - {day}, "
        f"circuit_opened_at = circuit_opened_at - {day} WHERE lease_until IS NULL AND {own}",
        stage.workspace,
    )
    stage.product.query(
        f"UPDATE delivery_retry SET next_run_at = next_run_at - {day}, first_at = first_at - {day} WHERE {own}",
        stage.workspace,
    )


def settle(stage: Stage, destination: str) -> None:
    """Move the clock of holds and retries until nothing waits any more; probes come one at a time."""
    wait_until(lambda: stage.let_time_pass() == 0, SETTLE_SECONDS, f"{stage.row(destination)} does not settle")
