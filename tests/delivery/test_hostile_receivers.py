"""Receivers that do their worst: every call ends in time, costs nobody else, and leaves a short and clean record."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from hub.delivery.models import Attempt, DeadLetter, RetryRow
from hub.delivery.sender import Sender
from hub.delivery.worker import Worker
from hub.lib.net import ANSWER_BYTES, HEADER_BYTES, Gate
from tenants.models import Source
from tests import factories
from tests.certificates import own_certificate, server_context
from tests.delivery import hostile
from tests.delivery.hostile import MISCHIEF, TLS_MISCHIEF, RawServer, read_request, wait_for_the_end
from tests.delivery.logged import append, books, message, run
from tests.delivery.works import Chunk
from tests.receivers import Receiver

LOOPBACK = Gate(allow_private=(ip_network("127.0.0.0/8"),))
TIMEOUT_MS = 400
# What may be told of a call that got no answer, and of one that did.
WORDS = {"blocked", "dns", "connect", "tls", "timeout", "incomplete", "send", None}
# Two parts of 2 KB, and the JSON round them.
RECORD_BYTES = 2 * 2_048 * 2
TOKEN = "s3cret-token-of-the-destination"


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender(LOOPBACK)
    yield sender
    sender.shutdown(abort_after=0.0)


def memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


@pytest.fixture(params=["slow", "fast"])
def chunk_of(request: pytest.FixtureRequest, sender: Sender, receiver: Receiver) -> Any:
    """Makes chunks of a lane that has earned its place on either multi handle."""
    lane = sender.lane("hostile", 4, probing=request.param == "slow")
    while request.param == "fast" and lane.starts_slow():
        good = Chunk(lane, [receiver.url()] * 50)
        sender.submit(good)
        assert good.done.wait(10)
    return lambda urls, **options: Chunk(lane, urls, **{"timeout_ms": TIMEOUT_MS, **options})


@pytest.mark.parametrize("mischief", MISCHIEF)
def test_a_call_ends_in_time_and_a_healthy_lane_goes_on(
    sender: Sender, receiver: Receiver, chunk_of: Any, mischief: str
) -> None:
    before = memory_bytes()
    with RawServer(MISCHIEF[mischief]) as server:
        bad = chunk_of([server.url()] * 4, body=b"{}" if mischief != "reads nothing" else b"x" * 4_000_000)
        good = Chunk(sender.lane("healthy", 4), [receiver.url()] * 100)
        sender.submit(bad)
        sender.submit(good)
        assert bad.done.wait(20), "a call did not end"
        assert good.done.wait(20), "the healthy lane was held up"
    assert good.statuses() == [200] * 100
    assert set(bad.words()) <= WORDS
    for answer in bad.answers:
        assert len(answer.body) <= ANSWER_BYTES
        assert sum(map(len, answer.headers)) <= HEADER_BYTES
    assert memory_bytes() - before < 200_000_000


@pytest.mark.parametrize("mischief", TLS_MISCHIEF)
def test_a_handshake_that_comes_to_nothing_ends_in_time(sender: Sender, chunk_of: Any, mischief: str) -> None:
    with RawServer(TLS_MISCHIEF[mischief], "https") as server:
        chunk = chunk_of([server.url()] * 4)
        sender.submit(chunk)
        assert chunk.done.wait(20)
    assert set(chunk.words()) <= {"timeout", "connect"}
    assert not any(answer.sent for answer in chunk.answers)


@pytest.mark.parametrize(("ip", "days_left"), [("127.0.0.1", 1), ("127.0.0.1", -1), ("127.0.0.2", 1)])
def test_a_certificate_that_proves_nothing_gets_no_byte(
    sender: Sender, chunk_of: Any, tmp_path: Path, ip: str, days_left: int
) -> None:
    with Receiver(tls=server_context(own_certificate(tmp_path, ip, days_left))) as receiver:
        chunk = chunk_of([receiver.url()] * 4, timeout_ms=10_000)
        sender.submit(chunk)
        assert chunk.done.wait(20)
        assert not receiver.requests
    assert set(chunk.words()) == {"tls"}


def test_an_answer_sent_ahead_is_not_taken_for_that_of_the_next_call(sender: Sender, chunk_of: Any) -> None:
    """One answer too many on a kept connection must not be read as the answer to what is sent after it."""

    def one_too_many(connection: socket.socket) -> None:
        while True:
            number = read_request(connection).rpartition(b"/")[2][:1]
            connection.sendall(hostile.HEAD + b"Content-Length: 2\r\n\r\nok" * 2 + number)

    with RawServer(one_too_many) as server:
        chunk = chunk_of([server.url("/a")] * 40, timeout_ms=5_000)
        sender.submit(chunk)
        assert chunk.done.wait(20)
        assert all(answer.body == b"ok" or answer.error for answer in chunk.answers)
        assert server.connections >= 30


# Whole turns: what is written down


def echo(connection: socket.socket) -> None:
    """Tell the caller everything it has sent, in the body and in a header, as careless receivers do."""
    while True:
        request = read_request(connection)
        token = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"authorization"))
        body = b"x" * 2_020 + request + b64encode(TOKEN.encode())
        head = f"HTTP/1.1 500 X\r\nX-Seen: {token.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


def floods(connection: socket.socket) -> None:
    read_request(connection)
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"z" * 900) for number in range(200))
    connection.sendall(b"HTTP/1.1 500 X\r\n" + lines + b"Content-Length: 60000\r\n\r\n" + b"\x1b[31m\0\xff" * 10_000)
    wait_for_the_end(connection)


RECORDED = {**MISCHIEF, "echoes": echo, "floods": floods}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mischief", RECORDED)
def test_what_is_kept_of_a_hostile_answer_is_short_clean_and_says_no_more_than_it_may(
    source: Source, worker: Worker, receiver: Receiver, mischief: str
) -> None:
    with RawServer(RECORDED[mischief]) as server:
        settings = {"timeout": 1, "auth": "bearer", "token": TOKEN}
        bad = factories.make_destination(source.workspace, "bad", url=server.url(), sources=[source], settings=settings)
        good = factories.make_destination(source.workspace, "good", url=receiver.url(), sources=[source])
        append(source, [message(1)])
        run(bad, worker)
        run(good, worker)
    assert books(good) == {"eligible": 1, "delivered": 1}
    assert books(bad)["eligible"] == 1
    for attempt in Attempt.objects.filter(destination_id=bad.pk):
        shown = json.loads(attempt.response)
        assert len(attempt.response) <= RECORD_BYTES
        assert len(shown["body"].encode()) <= 2_048
        assert shown["error"] in WORDS
        told = attempt.request + attempt.response + attempt.reason
        assert not any(text in told for text in (TOKEN, b64encode(TOKEN.encode()).decode().rstrip("="), "\\u0000"))
        assert "secret-banner" not in told
        assert "127.0.0.1" not in attempt.response + attempt.reason
    texts = [row.reason for row in RetryRow.objects.filter(destination_id=bad.pk)]
    texts += [f"{row.reason} {row.message}" for row in DeadLetter.objects.filter(destination_id=bad.pk)]
    assert not any(TOKEN in text or "127.0.0.1" in text or "secret-banner" in text for text in texts)
