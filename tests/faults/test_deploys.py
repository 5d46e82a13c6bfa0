"""A new version comes under load: processes are replaced and stopped in good order, and nobody outside notices."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest
from celery import Celery

from hub.launcher.serving import serves
from tests.faults.generator import event, send_many
from tests.faults.product import Product, free_port, wait_until
from tests.faults.receiver import HANG, SwitchReceiver
from tests.faults.stage import Stage

pytestmark = pytest.mark.fault
# Calls are given up after 3 s under `up`; those of the test would hang for 30.
LONGEST_STOP_SECONDS = 15.0


@pytest.fixture
def own_product() -> Iterator[Product]:
    with Product("--workers", "2", WEB_WORKERS="2") as running:
        yield running


def test_processes_replaced_under_load_lose_and_repeat_nothing(own_product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(own_product, switch)
    with stage.load(per_second=400) as generator:
        own_product.roll()
        generator.await_more(400)
        stage.waiting()
    assert set(generator.books.answers) == {"200"}
    stage.check(generator.books, kills=0)
    assert "goes on as it was" not in own_product.log


def test_a_worker_told_to_stop_leaves_hanging_receivers_and_its_leases(
    product: Product, switch: SwitchReceiver
) -> None:
    names = [f"hook-{number}" for number in range(4)]
    stage = Stage(product, switch, *names, settings={"timeout": 30})
    for channel in stage.channels.values():
        channel.mode = HANG
    sent = send_many(product.url, stage.write_key, 300)
    wait_until(lambda: all(channel.asked for channel in stage.channels.values()), 60, "nothing was called")
    worker = product.pid("worker")
    assert worker is not None
    ended = product.log.count("worker    | ended with code 0")
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: product.pid("worker") != worker, LONGEST_STOP_SECONDS, "the worker sits its calls out")
    product.await_another("worker", worker)
    assert product.log.count("worker    | ended with code 0") == ended + 1
    held = "SELECT count(*) FROM delivery_pipeline WHERE lease_until IS NOT NULL AND owner LIKE %s"
    assert product.query(held, f"%:{worker}") == [(0,)]
    # Nothing was decided: a worker that had sat the time-outs out would have counted the tries.
    tried = "SELECT count(*) FROM delivery_retry r JOIN tenants_workspace w ON w.id = r.workspace_id WHERE w.slug = %s"
    assert product.query(f"{tried} AND attempts > 0", stage.workspace) == [(0,)]
    assert {row["delivered"] for row in product.ledger(stage.workspace)["destinations"]} == {0}
    for channel in stage.channels.values():
        channel.mode = 200
    wait_until(lambda: not stage.let_time_pass(), 120, "something still waits")
    for channel in stage.channels.values():
        assert set(channel.messages) == set(sent)
        assert channel.repeats() == 0


def test_a_worker_outlives_messages_of_a_newer_version(product: Product, switch: SwitchReceiver) -> None:
    stage = Stage(product, switch)
    worker = product.pid("worker")
    publisher = Celery("newer", broker=product.announced["redis_url"], set_as_current=False)
    with stage.load() as generator:
        for queue in ("deliver_fast", "deliver_slow", "background"):
            publisher.send_task("hub.delivery.tasks.run_pipeline", [1, "more"], {"hint": {"v": 2}}, queue=queue)
            publisher.send_task("hub.delivery.tasks.wake_workspace", [str(uuid4())], {"since": 7}, queue=queue)
            publisher.send_task("hub.delivery.tasks.of_a_newer_version", [1], queue=queue)
            publisher.send_task("hub.delivery.tasks.run_pipeline", ["no number"], queue=queue)
        generator.await_more(400)
    wait_until(lambda: "of_a_newer_version" in product.log, 60, "the message was not seen")
    stage.check(generator.books, kills=0)
    assert product.pid("worker") == worker
    publisher.close()


def test_a_web_server_told_to_stop_finishes_the_request_that_is_under_way(
    product: Product, switch: SwitchReceiver
) -> None:
    stage, port = Stage(product, switch), free_port()
    with product.beside("web", "--port", str(port), WEB_WORKERS="1") as web:
        wait_until(lambda: serves(web.pid, port), 60, "it does not listen")
        body = json.dumps(event()).encode()
        token = base64.b64encode(f"{stage.write_key}:".encode()).decode()
        head = f"POST /v1/track HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {token}\r\n"
        idle = socket.create_connection(("127.0.0.1", port), timeout=20)
        with idle, socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            slow.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            assert slow.recv(4_096).startswith(b"HTTP/1.1 100")  # the application waits for the body
            web.send_signal(signal.SIGTERM)
            wait_until(lambda: not serves(web.pid, port), 20, "it goes on listening")
            slow.sendall(body)
            assert slow.recv(4_096).startswith(b"HTTP/1.1 200")
            assert web.wait(20) == 0
