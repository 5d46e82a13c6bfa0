"""Order per user held through refused calls and killed workers: no event overtakes an earlier one of its user."""

from __future__ import annotations

import random
import threading

import pytest

from hub.bench.order import OrderWatch
from tests.faults.generator import event, send
from tests.faults.product import Product
from tests.faults.receiver import Headers, SwitchReceiver
from tests.faults.stage import IN_FLIGHT, Stage
from tests.faults.telling import teller

pytestmark = pytest.mark.fault
FAILED_SHARE = 0.2
BATCH = 100


class Watching:
    """A receiver that refuses every fifth call and watches the order of what it is asked."""

    def __init__(self) -> None:
        self.watch = OrderWatch()
        self._lock = threading.Lock()

    def __call__(self, _headers: Headers, body: bytes) -> int:
        with self._lock:
            return 200 if self.watch.take(body, 0, len(body), FAILED_SHARE) else 503


def send_in_turn(stage: Stage, users: int, each: int) -> list[str]:
    """Events of all users in turn, batch after batch, so that the log holds them as their numbers rise."""
    events = [
        event(messageId=f"{number:06d}-{user:04d}", userId=f"user-{user:04d}")
        for number in range(each)
        for user in range(users)
    ]
    for start in range(0, len(events), BATCH):
        send(stage.product.url, stage.write_key, events[start : start + BATCH])
    return [str(one["messageId"]) for one in events]


def check_order(stage: Stage, watching: Watching, sent: list[str], kills: int) -> None:
    stage.hook.await_all(sent, 300.0)
    watch = watching.watch
    told = teller.told
    told.confirmed, told.repeated = len(sent), watch.repeats
    told.notes.append(f"order breaks {watch.inversions}, calls refused {watch.failed}")
    assert watch.inversions == 0
    assert watch.repeats <= kills * IN_FLIGHT
    breaks = stage.product.query("SELECT coalesce(sum(order_breaks), 0) FROM delivery_pipeline")
    assert breaks == [(0,)]
    stage.await_books(delivered=len(sent), waiting=0)


def test_no_event_overtakes_its_users_earlier_ones_though_calls_fail_and_a_worker_dies(
    product: Product, switch: SwitchReceiver
) -> None:
    stage = Stage(product, switch, ordering="per_user")
    watching = Watching()
    stage.hook.mode = watching
    sent = send_in_turn(stage, users=100, each=20)
    product.await_another("worker", product.kill("worker"))
    stage.age_leases()
    check_order(stage, watching, sent, kills=1)


@pytest.mark.long
def test_a_thousand_users_keep_their_order_while_workers_are_killed_at_random(
    product: Product, switch: SwitchReceiver
) -> None:
    stage = Stage(product, switch, ordering="per_user")
    watching = Watching()
    stage.hook.mode = watching
    kills = 0
    chance = random.Random(5)
    sending = threading.Thread(target=lambda: sent.extend(send_in_turn(stage, users=1_000, each=100)))
    sent: list[str] = []
    sending.start()
    while sending.is_alive() or len(stage.hook.messages) < 80_000:
        sending.join(chance.uniform(3, 8))
        product.await_another("worker", product.kill("worker"))
        kills += 1
        stage.age_leases()
        assert stage.waiting() >= 0
    sending.join()
    check_order(stage, watching, sent, kills)
