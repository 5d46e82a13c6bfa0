from __future__ import annotations

import threading

import pytest

from hub.ingest.hints import Hints


def test_the_first_hint_goes_out_at_once_and_the_next_after_a_pause() -> None:
    hints = Hints(send=lambda name: None)
    hints._wanted.add("acme")
    assert hints.due(10.0) == (["acme"], None)
    hints._wanted.add("acme")
    ready, wait = hints.due(10.04)
    assert ready == []
    assert wait == pytest.approx(0.06)
    assert hints.due(10.1) == (["acme"], None)
    assert hints.due(10.3) == ([], None)


def test_the_thread_is_not_woken_again_for_what_it_knows_to_be_wanted() -> None:
    hints = Hints(send=lambda name: None)
    hints._thread = threading.current_thread()
    wakings: list[str] = []
    hints._change.notify = lambda n=1: wakings.append("woken")  # type: ignore[method-assign]
    hints.want(["acme"])
    hints.want(["acme"])
    hints.want(["acme", "globex"])
    assert wakings == ["woken", "woken"]
    hints._thread = None


def test_one_workspace_does_not_hold_up_another() -> None:
    hints = Hints(send=lambda name: None)
    hints._wanted.add("acme")
    hints.due(10.0)
    hints._wanted.update({"acme", "globex"})
    ready, wait = hints.due(10.05)
    assert ready == ["globex"]
    assert wait == pytest.approx(0.05)


def test_the_last_wish_is_always_sent() -> None:
    sent: list[str] = []
    twice = threading.Event()

    def send(name: str) -> None:
        sent.append(name)
        if len(sent) == 2:
            twice.set()

    hints = Hints(send)
    hints.want(["acme"])
    while not sent:
        twice.wait(0.001)
    hints.want(["acme"])
    assert twice.wait(5)
    hints.close()
    assert sent == ["acme", "acme"]


def test_a_broker_that_fails_does_not_end_the_thread() -> None:
    arrived = threading.Event()
    calls: list[str] = []

    def send(name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            raise OSError("gone")
        arrived.set()

    hints = Hints(send)
    hints.want(["acme"])
    hints.want(["globex"])
    assert arrived.wait(5)
    hints.close()
