"""Sends events as an SDK does and keeps a ledger of its own: which message ids got a 200, and which got no answer.

What was answered with 200 must arrive, what was not may. Each batch is sent once, so that the product's own answers
are what is judged, and not the patience of a client.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

from tests.faults.product import wait_until

ANSWER_SECONDS = 10.0
BETWEEN_FAILURES_SECONDS = 0.05


@dataclass(slots=True)
class Books:
    """What a generator knows of what it sent. `sent` has everything, `confirmed` what got a 200."""

    sent: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def unanswered(self) -> set[str]:
        """Sent without a 200: may have arrived or not."""
        return self.sent - self.confirmed

    def note(self, message_ids: Iterable[str], *, is_confirmed: bool) -> None:
        """Write down what was sent, and perhaps got a 200."""
        ids = list(message_ids)
        self.sent.update(ids)
        if is_confirmed:
            self.confirmed.update(ids)


class Generator:
    """Keeps sending from `with` until `stop` or its end, with some threads at a steady pace."""

    def __init__(self, url: str, write_key: str, *, per_second: int = 400, batch: int = 10, threads: int = 4) -> None:
        self.books = Books()
        self._address = url.removeprefix("http://")
        self._write_key = write_key
        self._batch = batch
        self._pause = threads * batch / per_second
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"generator-{n}") for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Books:
        """Send no more, wait for the answers under way, and return the books."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_SECONDS)
        return self.books

    def await_more(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many more events have been confirmed."""
        wanted = len(self.books.confirmed) + count
        wait_until(lambda: len(self.books.confirmed) >= wanted, seconds, "the product does not take events")

    def await_answer(self, answer: str, seconds: float = 30.0) -> None:
        """Wait until the product has once more answered so."""
        before = self.books.answers[answer]
        wait_until(lambda: self.books.answers[answer] > before, seconds, f"nothing was answered with {answer}")

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=ANSWER_SECONDS)
        while not self._stop.is_set():
            started = time.monotonic()
            events = [event() for _ in range(self._batch)]
            answer = self._send(connection, events)
            self._note([each["messageId"] for each in events], answer)
            pause = self._pause - (time.monotonic() - started)
            self._stop.wait(pause if answer == "200" else BETWEEN_FAILURES_SECONDS)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, events: list[dict[str, Any]]) -> str:
        with self._lock:
            self.books.note((each["messageId"] for each in events), is_confirmed=False)
        if has_been_closed(connection):  # as every client looks before it reuses a connection
            connection.close()
        try:
            return str(post(connection, self._write_key, events))
        except TimeoutError:
            connection.close()
            return "no answer in time"
        except (OSError, http.client.HTTPException):
            connection.close()
            return "no connection"

    def _note(self, message_ids: list[str], answer: str) -> None:
        with self._lock:
            self.books.answers[answer] += 1
            self.books.note(message_ids, is_confirmed=answer == "200")


def event(**changes: Any) -> dict[str, Any]:
    """A track call with a message id of its own."""
    message_id = str(uuid4())
    user = f"user-{message_id[:2]}"
    return {"type": "track", "event": "Order Completed", "userId": user, "messageId": message_id,
            "properties": {"total": 42}, **changes}  # fmt: skip


def has_been_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has ended a kept connection: an idle one has nothing to read unless its end has come."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def post(connection: http.client.HTTPConnection, write_key: str, events: list[dict[str, Any]]) -> int:
    """Send one batch and return the status; a 200 that lists refusals is none of ours."""
    token = base64.b64encode(f"{write_key}:".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/batch", json.dumps({"batch": events}), headers)
    response = connection.getresponse()
    answer = response.read()
    assert response.status != 200 or json.loads(answer) == {"success": True}, answer
    return response.status


def send(url: str, write_key: str, events: list[dict[str, Any]]) -> list[str]:
    """Send one batch that must be taken; returns its message ids."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=ANSWER_SECONDS)
    try:
        assert post(connection, write_key, events) == 200
    finally:
        connection.close()
    return [each["messageId"] for each in events]


def send_many(url: str, write_key: str, count: int, make: Callable[[], dict[str, Any]] = event) -> list[str]:
    """Send so many events in batches of a hundred; returns their message ids."""
    sizes = [min(100, count - start) for start in range(0, count, 100)]
    return [name for size in sizes for name in send(url, write_key, [make() for _ in range(size)])]
