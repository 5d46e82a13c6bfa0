"""A hundred thousand failures repaired by one command: all arrive, under the ids of their first try."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.generator import send_many
from tests.faults.product import Product, wait_until
from tests.faults.receiver import Headers, SwitchReceiver
from tests.faults.stage import IN_FLIGHT, Stage
from tests.faults.telling import teller

pytestmark = [pytest.mark.fault, pytest.mark.long]
FAILED = 100_000
FAIL_SECONDS, REPAIR_SECONDS = 900.0, 900.0
DEAD = """
SELECT count(*), count(DISTINCT x.seq) FROM delivery_dead x
JOIN tenants_workspace w ON w.id = x.workspace_id WHERE w.slug = %s
"""


class Refusing:
    """Refuses all while its cause lasts, and knows by which ids it was asked for what it refused and what it took."""

    def __init__(self) -> None:
        self.status = 422
        self.refused: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()

    def __call__(self, headers: Headers, _body: bytes) -> int:
        asked = self.refused if self.status == 422 else self.taken
        asked[headers["idempotency-key"]] += 1
        return self.status


def test_a_hundred_thousand_failures_are_repaired_and_none_comes_under_another_id(
    product: Product, switch: SwitchReceiver
) -> None:
    stage, refusing = Stage(product, switch), Refusing()
    stage.hook.mode = refusing
    sent = send_many(product.url, stage.write_key, FAILED)
    wait_until(lambda: not stage.waiting(), FAIL_SECONDS, "not all have failed")
    assert product.query(DEAD, stage.workspace) == [(FAILED, FAILED)]
    refusing.status = 200
    looks = repair_with_a_worker_killed(stage)
    wait_until(lambda: not stage.waiting(), REPAIR_SECONDS, "something still waits")
    told = teller.told
    told.confirmed, told.lost, told.repeated = FAILED, len(stage.hook.missing(sent)), stage.hook.repeats()
    told.notes.append(f"{looks} looks at the books while the repair ran")
    assert looks > 10
    assert set(stage.hook.messages) == set(sent)
    assert refusing.taken.keys() == refusing.refused.keys()
    assert len(refusing.taken) == FAILED
    assert refusing.taken.total() - FAILED == stage.hook.repeats() <= IN_FLIGHT
    assert product.query(DEAD, stage.workspace) == [(0, 0)]
    stage.await_books(eligible=FAILED, delivered=FAILED, dead=0, waiting=0)


def repair_with_a_worker_killed(stage: Stage) -> int:
    """Have all retried, kill the worker in the middle of it; how often the books balanced meanwhile."""
    product, looks, kills = stage.product, 0, 0
    command = ("repair", "retry", "--workspace", stage.workspace, "--status", "422", "--wait")
    with product.beside(*command) as repair:
        while repair.poll() is None:
            stage.waiting()
            looks += 1
            if not kills and len(stage.hook.messages) > FAILED // 2:
                product.await_another("worker", product.kill("worker"))
                stage.age_leases()
                kills += 1
        assert repair.returncode == 0
    assert kills == 1
    return looks
