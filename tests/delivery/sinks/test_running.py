"""Open sinks between writes: kept for the next one, closed when nobody wants them, never handed to another target."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from connectors.http import ItemOutcome, Outcome
from connectors.records import SinkRequest
from hub.delivery.sinks import EXTRAS, SinkError, driver, running
from hub.delivery.sinks.running import IDLE_SECONDS, OPEN_SECONDS, Runner


class Opened:
    """A sink of the test's own."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.is_closed = False
        self.is_good = True

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        if request.timeout_s == 0:
            raise SinkError(Outcome.RETRY, "broken", "It broke.", sent=True)
        return [ItemOutcome(index, Outcome.DELIVERED) for index in request.covers]

    def is_fresh(self) -> bool:
        return self.is_good

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    """The driver of a protocol, as an installation has it; it keeps what it opened."""
    made: list[Opened] = []
    module = ModuleType("hub.delivery.sinks.redis")

    def open_sink(target: Any, gate: Any, timeout_s: float) -> Opened:
        made.append(Opened(target))
        return made[-1]

    module.open_sink = open_sink  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that stands still until it is set."""
    time = [1_000.0]
    monkeypatch.setattr(running, "monotonic", lambda: time[0])
    yield time


def request(target: str = "a", timeout_s: float = 5.0) -> SinkRequest:
    return SinkRequest("redis", {"host": target, "password": "p"}, (), timeout_s=timeout_s)


def test_a_sink_serves_one_target_write_after_write(opened: list[Opened]) -> None:
    runner = Runner()
    for target in ("a", "b", "a", "a"):
        runner.write(request(target))
    assert [sink.target["host"] for sink in opened] == ["a", "b"]
    runner.close()
    assert all(sink.is_closed for sink in opened)


def test_other_credentials_are_another_target(opened: list[Opened]) -> None:
    runner = Runner()
    runner.write(request())
    runner.write(SinkRequest("redis", {"host": "a", "password": "q"}, ()))
    assert len(opened) == 2
    runner.close()


def test_a_sink_that_failed_or_went_stale_is_closed(opened: list[Opened]) -> None:
    runner = Runner()
    (outcome,), answer = runner.write(request(timeout_s=0))
    assert (outcome.reason, answer.sent, opened[0].is_closed) == ("broken", True, True)
    runner.write(request())
    opened[1].is_good = False
    runner.write(request())
    assert (len(opened), opened[1].is_closed) == (3, True)
    runner.close()


def test_what_nobody_wants_is_closed(opened: list[Opened], now: list[float]) -> None:
    runner = Runner()
    runner.write(request("a"))
    now[0] += IDLE_SECONDS - 1
    runner.write(request("b"))
    assert runner.sweep() > 0
    now[0] += 2
    assert runner.sweep() > 0
    assert [sink.is_closed for sink in opened] == [True, False]
    now[0] += IDLE_SECONDS
    assert runner.sweep() == 0
    assert opened[1].is_closed


def test_no_sink_outlives_a_changed_address_for_long(opened: list[Opened], now: list[float]) -> None:
    runner = Runner()
    for _ in range(int(OPEN_SECONDS // 30) + 2):
        runner.write(request())
        now[0] += 30
    assert [sink.is_closed for sink in opened] == [True, False]
    runner.close()


def test_a_child_of_a_fork_does_not_use_what_its_parent_opened(
    opened: list[Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner()
    runner.write(request())
    monkeypatch.setattr(os, "getpid", lambda: -1)
    runner.write(request())
    assert len(opened) == 2
    runner.close()


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_a_driver_that_is_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    monkeypatch.delitem(sys.modules, f"hub.delivery.sinks.{extra}", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])
    with pytest.raises(SinkError) as missing:
        driver(extra)
    assert (missing.value.outcome, missing.value.reason) == (Outcome.DISABLED, "driver_missing")
    assert f"extra “{extra}”" in str(missing.value)


class Absent:
    """Finds nothing of one package, as where it is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
