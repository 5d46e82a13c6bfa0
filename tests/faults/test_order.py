"""Order per user held through refused calls and killed workers: no event overtakes an earlier one of its user."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from hub.bench.order import OrderWatch
from tests.faults.generator import event, send
from tests.faults.product import Product, wait_until
from tests.faults.receiver import Headers, SwitchReceiver
from tests.faults.stage import IN_FLIGHT, Stage
from tests.faults.telling import teller

pytestmark = pytest.mark.fault
FAILED_SHARE = 0.2
BATCH = 100
USERS, EACH = 1_000, 100
# Of the throughput that the same failures and kills leave without order.
LEAST_RATIO = 0.7
MEASURED_SHARE = 0.95
LOOK_SECONDS, LONGEST_SECONDS = 0.05, 600.0


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
    assert watch.repeats <= kills * IN_FLIGHT * int(stage.options.get("shards", 1))
    breaks = stage.product.query("SELECT coalesce(sum(order_breaks), 0) FROM delivery_pipeline")
    assert breaks == [(0,)]
    stage.await_books(delivered=len(sent), waiting=0)


@pytest.mark.parametrize("shards", [1, 3])
def test_no_event_overtakes_its_users_earlier_ones_though_calls_fail_and_a_worker_dies(
    product: Product, switch: SwitchReceiver, shards: int
) -> None:
    stage = Stage(product, switch, ordering="per_user", shards=shards)
    watching = Watching()
    stage.hook.mode = watching
    sent = send_in_turn(stage, users=100, each=20)
    product.await_another("worker", product.kill("worker"))
    stage.age_leases()
    check_order(stage, watching, sent, kills=1)
    assert stage.pipelines() == shards


class Trial:
    """A hundred events of each of a thousand users on their way to a destination of their own."""

    def __init__(self, product: Product, switch: SwitchReceiver, **options: Any) -> None:
        self.stage, self.watching = Stage(product, switch, **options), Watching()
        self.stage.hook.mode = self.watching
        self.sent: list[str] = []
        self._sending = threading.Thread(target=lambda: self.sent.extend(send_in_turn(self.stage, USERS, EACH)))
        self._sending.start()

    @property
    def arrived(self) -> int:
        return len(self.stage.hook.messages)

    def check(self, kills: int) -> None:
        self._sending.join()
        check_order(self.stage, self.watching, self.sent, kills)


def kill_workers(product: Product, *trials: Trial) -> int:
    """Kill the worker at random until nearly all of one trial has arrived; the rest waits for its slowest tries."""
    chance, kills = random.Random(5), 0
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        next_kill = time.monotonic() + chance.uniform(3, 8)
        while time.monotonic() < next_kill:
            if any(trial.arrived >= USERS * EACH * MEASURED_SHARE for trial in trials):
                return kills
            assert time.monotonic() < deadline, "too few have arrived"
            time.sleep(LOOK_SECONDS)
        product.await_another("worker", product.kill("worker"))
        kills, seen = kills + 1, sum(trial.arrived for trial in trials)
        for trial in trials:
            trial.stage.age_leases()
            assert trial.stage.waiting() >= 0
        wait_until(lambda: sum(trial.arrived for trial in trials) > seen, LONGEST_SECONDS, "no delivery after a kill")  # noqa: B023


@pytest.mark.long
def test_a_thousand_users_keep_their_order_at_little_cost_while_workers_are_killed_at_random(
    product: Product, switch: SwitchReceiver
) -> None:
    free, ordered = Trial(product, switch), Trial(product, switch, ordering="per_user")
    kills = kill_workers(product, free, ordered)
    ratio = ordered.arrived / free.arrived
    teller.told.notes.append(f"{ordered.arrived} in order while {free.arrived} without: {ratio:.2f}")
    ordered.check(kills)
    wait_until(lambda: not free.stage.let_time_pass(), LONGEST_SECONDS, "what is not ordered does not end")
    assert ratio >= LEAST_RATIO


@pytest.mark.long
def test_shards_keep_the_order_of_a_thousand_users_while_workers_are_killed_at_random(
    product: Product, switch: SwitchReceiver
) -> None:
    trial = Trial(product, switch, ordering="per_user", shards=4)
    trial.check(kill_workers(product, trial))
    assert trial.stage.pipelines() == 4
