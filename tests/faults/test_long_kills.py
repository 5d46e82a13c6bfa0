"""The long runs: each part killed again and again with nobody moving a clock, services away for seconds."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.product import Product, children, wait_until
from tests.faults.receiver import SwitchReceiver
from tests.faults.stage import Stage

pytestmark = [pytest.mark.fault, pytest.mark.long]
ROUNDS = 3
EVENTS = 200_000
AWAY_SECONDS = 12.0
# A lease of 45 s must run out, a tick find it, a worker take it: 60 s are promised, the rest is the machine's.
RESUME_SECONDS = 90.0


def kill_web(product: Product) -> None:
    product.await_another("web", product.kill("web"))


def kill_web_processes(product: Product) -> None:
    product.kill_children("web")


def kill_worker(product: Product) -> None:
    product.await_another("worker", product.kill("worker"))


def kill_scheduler(product: Product) -> None:
    product.await_another("scheduler", product.kill("scheduler"))


def kill_postgres(product: Product) -> None:
    product.await_another("postgres", product.kill("postgres"))


def kill_redis(product: Product) -> None:
    product.await_another("redis", product.kill("redis"))


def empty_redis(product: Product) -> None:
    product.redis().flushall()


KILLS = [kill_web, kill_web_processes, kill_worker, kill_scheduler, kill_postgres, kill_redis, empty_redis]


@pytest.fixture
def own_product() -> Iterator[Product]:
    with Product(WEB_WORKERS="2") as running:
        yield running


@pytest.mark.parametrize("kill", KILLS)
def test_nothing_is_lost_however_often_a_part_is_killed(
    own_product: Product, switch: SwitchReceiver, kill: Callable[[Product], None]
) -> None:
    stage = Stage(own_product, switch)
    with stage.load(per_second=1_000) as generator:
        for _ in range(ROUNDS):
            kill(own_product)
            generator.await_more(1_000)
            stage.waiting()
            arrived = len(stage.hook.messages)
            wait_until(lambda seen=arrived: len(stage.hook.messages) > seen + 500, RESUME_SECONDS, "no delivery")
    stage.check(generator.books, kills=ROUNDS)


def test_twenty_kills_at_random_lose_nothing_of_two_hundred_thousand_events(
    own_product: Product, switch: SwitchReceiver
) -> None:
    stage = Stage(own_product, switch)
    chance = random.Random(17)
    parts = ["web", "worker", "scheduler", "postgres"] * 5
    chance.shuffle(parts)
    with stage.load(per_second=4_000, batch=50) as generator:
        for part in parts:
            time.sleep(chance.uniform(2.0, 4.0))
            own_product.await_another(part, own_product.kill(part))
            wait_until(own_product.answers_queries, RESUME_SECONDS, "PostgreSQL does not come back")
            stage.waiting()
        wait_until(lambda: len(generator.books.confirmed) >= EVENTS, RESUME_SECONDS * 5, "too few events were taken")
    stage.check(generator.books, kills=len(parts))


def test_a_frozen_broker_holds_up_no_sender_and_no_delivery(own_product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(own_product, switch)
    redis = own_product.pid("redis")
    assert redis is not None
    with stage.load() as generator:
        os.kill(redis, signal.SIGSTOP)
        time.sleep(AWAY_SECONDS)
        generator.await_more(500)
        os.kill(redis, signal.SIGCONT)
        arrived = len(stage.hook.messages)
        wait_until(lambda: len(stage.hook.messages) > arrived + 500, RESUME_SECONDS, "no delivery")
    assert set(generator.books.answers) == {"200"}
    stage.check(generator.books, kills=1)


def test_a_frozen_postgresql_is_told_with_503_in_time(own_product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(own_product, switch)
    postmaster = own_product.pid("postgres")
    assert postmaster is not None
    with stage.load() as generator:
        frozen = [postmaster, *children(postmaster)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        generator.await_answer("503")
        time.sleep(AWAY_SECONDS)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        generator.await_more(500)
    assert set(generator.books.answers) == {"200", "503"}
    stage.check(generator.books, kills=1)


def test_every_chore_works_again_after_postgresql_has_come_back(own_product: Product) -> None:
    kill_postgres(own_product)
    time.sleep(AWAY_SECONDS)
    failed_before = own_product.log.count("chore_failed")
    time.sleep(2 * AWAY_SECONDS)
    assert own_product.log.count("chore_failed") == failed_before


def test_a_stop_in_the_middle_of_everything_is_clean_each_time(own_product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(own_product, switch)
    for _ in range(ROUNDS):
        with stage.load(per_second=1_000) as generator:
            generator.await_more(2_000)
            assert own_product.stop() == 0
        own_product.start()
        stage.hook.await_all(generator.books.confirmed)
        stage.waiting()


def test_a_destination_that_comes_back_gets_its_backlog_by_itself(own_product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(own_product, switch)
    stage.hook.mode = 503
    with stage.load() as generator:
        time.sleep(AWAY_SECONDS)
        stage.hook.mode = 200
    stage.check(generator.books, kills=0)
