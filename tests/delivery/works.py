"""A work for tests of the sender: a list of calls, and a record of everything the sender said about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from hub.delivery.calls import Call
from hub.delivery.lanes import Lane
from hub.lib.net import Answer


class Chunk:
    """Gives one call per URL. `raises` may hold the names of methods that fail, each time they are called."""

    def __init__(
        self,
        lane: Lane,
        urls: Sequence[str],
        timeout_ms: int = 5_000,
        body: bytes = b"{}",
        raises: Sequence[str] = (),
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.lane = lane
        self.finished = False
        self.started: list[Call] = []
        self.answers: list[Answer] = []
        self.errors: list[BaseException] = []
        self.stopped_count = 0
        self.threads: set[str] = set()
        self.done = threading.Event()
        self.stop_told = threading.Event()
        self._urls: Iterator[str] = iter(urls)
        self._count = len(urls)
        self._timeout_ms, self._body = timeout_ms, body
        self._raises, self._before = raises, before

    def next_call(self) -> Call | None:
        self._note("next_call")
        self._before()
        url = next(self._urls, None)
        if url is None:
            self.finished = True
            return None
        self.started.append(Call("POST", url, [], self._body, self._timeout_ms, tag=len(self.started)))
        return self.started[-1]

    def finish(self, call: Call, answer: Answer) -> None:
        self.answers.append(answer)
        if len(self.answers) == self._count:
            self.done.set()
        self._note("finish")

    def crashed(self, error: BaseException) -> None:
        self.errors.append(error)
        self._note("crashed")

    def stopped(self) -> None:
        self.stopped_count += 1
        self.stop_told.set()
        self._note("stopped")

    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]

    def words(self) -> list[str | None]:
        return [answer.error for answer in self.answers]

    def _note(self, method: str) -> None:
        self.threads.add(threading.current_thread().name)
        if method in self._raises:
            raise RuntimeError(method)


class Chain(Chunk):
    """An ordered chunk: one call at a time, and never finished, so that it can be kicked again."""

    is_held = False

    def next_call(self) -> Call | None:
        if self.is_held or len(self.started) > len(self.answers):
            return None
        call = super().next_call()
        self.finished = False
        return call


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait a while for something that another thread is about to bring about."""
    for _ in range(1_000):
        if condition():
            return True
        time.sleep(0.01)
    return False
