from __future__ import annotations

import io
import json
import threading
from random import Random

import pytest
from django.core.management import CommandError, call_command

from hub.demo.tracking import Tracker, run_shop
from tests.receivers import Receiver

MESSAGE = {"type": "track", "event": "Product Viewed", "messageId": "m-1", "anonymousId": "a-1"}


class Hurried(threading.Event):
    """Never waits; says to stop after so many waits."""

    def __init__(self, waits: int = 1_000) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._most = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) >= self._most:
            self.set()
        return self.is_set()


def test_a_message_goes_to_the_path_of_its_type_with_the_key_as_user() -> None:
    with Receiver() as server:
        tracker = Tracker(server.url(""), "wk_demo_key", Hurried())
        assert tracker.send(MESSAGE)
        tracker.close()
    request = server.requests[0]
    assert request.path == "/v1/track"
    assert request.headers["authorization"] == "Basic d2tfZGVtb19rZXk6"
    assert json.loads(request.body) == MESSAGE


@pytest.mark.parametrize("statuses", [[503, 500], [429], [502] * 9])
def test_a_server_that_is_not_well_is_asked_again_with_longer_pauses(statuses: list[int]) -> None:
    stop = Hurried()
    with Receiver() as server:
        server.script("/v1/track", statuses)
        tracker = Tracker(server.url(""), "wk_demo_key", stop)
        assert tracker.send(MESSAGE)
        tracker.close()
    assert stop.waits == [min(0.5 * 2**number, 30.0) for number in range(len(statuses))]
    assert {request.body for request in server.requests} == {server.requests[0].body}


def test_a_message_that_is_refused_is_not_sent_again() -> None:
    with Receiver() as server:
        server.script("/v1/track", [400])
        tracker = Tracker(server.url(""), "wk_demo_key", Hurried())
        assert not tracker.send(MESSAGE)
        tracker.close()
    assert len(server.requests) == 1


def test_a_server_that_is_away_is_tried_until_it_is_time_to_stop() -> None:
    stop = Hurried(waits=5)
    assert not Tracker("http://127.0.0.1:9", "wk_demo_key", stop).send(MESSAGE)
    assert len(stop.waits) == 5


def test_a_connection_that_breaks_is_opened_again() -> None:
    with Receiver() as server:
        tracker = Tracker(server.url(""), "wk_demo_key", Hurried())
        assert tracker.send(MESSAGE)
        tracker._connection.sock.close()  # type: ignore[union-attr]
        assert tracker.send(MESSAGE)
        tracker.close()
    assert server.connections == 2


def test_the_shop_closes_when_told_to() -> None:
    stop = Hurried(waits=4)
    with Receiver() as server:
        taken = run_shop(Tracker(server.url(""), "wk_demo_key", stop), stop, 1.0, Random(1))
    assert taken == len(server.requests) == 3


def test_the_command_sends_for_so_long() -> None:
    out = io.StringIO()
    with Receiver() as server:
        call_command(
            "demo_shop", url=server.url(""), write_key="wk_demo_key", rate=200.0, seconds=0.2, json=True, stdout=out
        )
    assert json.loads(out.getvalue()) == {"taken": len(server.requests)}
    assert server.requests


def test_the_command_ends_in_time_though_nobody_answers() -> None:
    out = io.StringIO()
    call_command("demo_shop", url="http://127.0.0.1:9", write_key="wk", rate=200.0, seconds=0.1, json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"taken": 0}


@pytest.mark.django_db
def test_the_command_says_what_is_missing() -> None:
    with pytest.raises(CommandError, match="demo_setup"):
        call_command("demo_shop")
