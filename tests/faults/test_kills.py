"""Each part of the product killed under load: nothing answered with 200 is lost, nothing is invented, the books hold.

The product is the real one with all its processes. A lease that a killed worker leaves behind ends by itself after 45
seconds; these tests move its clock, and those in test_long_kills.py wait.
"""

from __future__ import annotations

import pytest

from tests.faults.generator import send_many
from tests.faults.product import Product
from tests.faults.receiver import SwitchReceiver
from tests.faults.stage import Stage

pytestmark = pytest.mark.fault


def test_killed_web_processes_lose_nothing_that_they_answered(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    with stage.load() as generator:
        assert len(product.kill_children("web")) == 2
        generator.await_more(200)
        stage.waiting()
    assert generator.books.unanswered
    stage.check(generator.books, kills=0)


def test_a_killed_worker_repeats_no_more_than_one_window(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    with stage.load(per_second=800) as generator:
        product.await_another("worker", product.kill("worker"))
        generator.await_more(200)
        assert stage.waiting() > 0
        stage.age_leases()
        generator.await_more(200)
        stage.waiting()
    assert set(generator.books.answers) == {"200"}
    stage.check(generator.books, kills=1)


def test_a_killed_scheduler_is_not_missed(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    with stage.load() as generator:
        killed = product.kill("scheduler")
        generator.await_more(200)
        product.await_another("scheduler", killed)
        stage.waiting()
    assert set(generator.books.answers) == {"200"}
    stage.check(generator.books, kills=0)


def test_a_killed_postgresql_is_told_with_503_and_loses_nothing(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    with stage.load() as generator:
        killed = product.kill("postgres")
        generator.await_answer("503")
        product.await_another("postgres", killed)
        generator.await_more(200)
        stage.age_leases()
        stage.waiting()
    assert set(generator.books.answers) == {"200", "503"}
    stage.check(generator.books, kills=1)


def test_senders_get_their_200_while_the_broker_is_emptied_and_killed(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    with stage.load() as generator:
        product.redis().flushall()
        generator.await_more(200)
        product.await_another("redis", product.kill("redis"))
        generator.await_more(200)
        stage.waiting()
    assert set(generator.books.answers) == {"200"}
    stage.check(generator.books, kills=0)


def test_a_clean_stop_under_load_leaves_no_lease_and_loses_nothing(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    worker = product.pid("worker")
    with stage.load(per_second=800) as generator:
        backlog = send_many(product.url, stage.write_key, 1_000)
        assert product.stop() == 0
    product.start()
    held = "SELECT count(*) FROM delivery_pipeline WHERE lease_until IS NOT NULL AND owner LIKE %s"
    assert product.query(held, f"%:{worker}") == [(0,)]
    generator.books.note(backlog, is_confirmed=True)
    stage.check(generator.books, kills=0)
