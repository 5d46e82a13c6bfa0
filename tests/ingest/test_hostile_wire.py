"""A running server under attack: time-outs, framing that two parties could read differently, slow and greedy clients.

The server is the product's own, with time-outs of seconds instead of half a minute. Each attack is followed by a
request that must be served.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.faults.product import children, free_port, wait_until
from tests.faults.shared import shared_product
from tests.faults.stage import Stage
from tests.ingest.wire import Answer, Wire, chunked, post

TIMES = {"HEADER_SECONDS": "2", "BODY_SECONDS": "3", "UNREAD_SECONDS": "2", "BODIES_MEGABYTES": "4"}
TE = b"Transfer-Encoding: chunked"
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True)
class Server:
    """The web process under attack, and a key that it knows."""

    port: int
    pid: int
    write_key: str
    product: Any

    def event(self, **changes: Any) -> bytes:
        return json.dumps({"event": "e", "userId": "u", "writeKey": self.write_key, **changes}).encode()

    def exchange(self, *raw: bytes) -> list[Answer]:
        """Everything that the server says on one connection until it ends it."""
        with Wire(self.port) as wire:
            for part in raw:
                wire.send(part)
            return wire.answers()

    def ask(self, raw: bytes) -> Answer:
        """The first answer."""
        with Wire(self.port) as wire:
            wire.send(raw)
            answer = wire.answer()
        assert answer is not None
        return answer

    def serves(self) -> bool:
        return self.ask(post(self.event())).status == 200

    def is_stored(self, message_id: str) -> bool:
        return bool(self.product.query("SELECT 1 FROM event_log WHERE message_id = %s", message_id))

    def memory(self) -> int:
        """What the process that serves holds, in bytes."""
        (worker,) = children(self.pid)
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
        return pages * 4096


class NoReceiver:
    """A stage wants a receiver, but here nothing is delivered."""

    def channel(self, name: str, keeps_bodies: bool = False) -> Any:
        return type("Channel", (), {"url": f"http://127.0.0.1:9/{name}"})()


@pytest.fixture(scope="module")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    product = shared_product(pytestconfig)
    stage: Any = Stage(product, NoReceiver())  # type: ignore[arg-type]
    port = free_port()
    with product.beside("web", "--port", str(port), WEB_WORKERS="1", **TIMES) as web:
        wait_until(lambda: listens(web, port), 60, "the server does not listen")
        yield Server(port, web.pid, stage.write_key, product)


def listens(web: Popen[bytes], port: int) -> bool:
    assert web.poll() is None
    with contextlib.suppress(OSError), Wire(port):
        return True
    return False


# Time


def test_a_connection_that_says_nothing_is_ended(server: Server) -> None:
    with Wire(server.port) as wire:
        assert wire.is_ended()
    assert server.serves()


def test_an_idle_connection_is_ended_after_its_answer(server: Server) -> None:
    assert [answer.status for answer in server.exchange(post(server.event()))] == [200]


@pytest.mark.parametrize("earlier", [0, 1], ids=["at first", "on a connection that was good before"])
def test_headers_that_come_byte_by_byte_are_cut_off(server: Server, earlier: int) -> None:
    with Wire(server.port) as wire:
        for _ in range(earlier):
            wire.send(post(server.event()))
            assert wire.answer() is not None
        wire.drip(post(server.event(), b"X-Slow: " + b"x" * 1_000), 0.2)
        assert wire.is_ended()
    assert server.serves()


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n", TE + b"\r\n\r\n3e8\r\n", TE + b"\r\n\r\n5;"])
def test_a_body_that_comes_byte_by_byte_is_answered_408_and_cut_off(server: Server, framing: bytes) -> None:
    with Wire(server.port) as wire:
        wire.send(b"POST /v1/track HTTP/1.1\r\nHost: x\r\n" + framing)
        wire.drip(b"x" * 1_000, 0.2)
        answer = wire.answer()
        assert answer is not None and (answer.status, answer.json["code"]) == (408, "body_timeout")
        assert wire.is_ended()
    assert server.serves()


def test_a_body_of_a_page_that_does_not_come_is_answered_408(server: Server) -> None:
    (answer,) = server.exchange(b"POST /admin/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
    assert answer.status == 408


def test_who_does_not_read_his_answers_loses_his_connection(server: Server) -> None:
    """The server itself would wait for ever; the kernel does not."""
    refused = json.dumps({"batch": [{}] * 2_500, "writeKey": server.write_key}).encode()
    request = post(refused, path=b"/v1/batch")
    with Wire(server.port, receive_buffer=4_096) as wire:
        wire.socket.settimeout(0.5)
        wait_until(lambda: lost(wire, request), 60, "the connection is still there")
    assert server.serves()


def lost(wire: Wire, request: bytes) -> bool:
    try:
        wire.send(request)
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


# Framing


def framings(event: bytes) -> dict[str, tuple[bytes, int]]:
    """What is sent, and the one status that is answered before the connection ends."""
    good = chunked(event)
    size = b"%x\r\n" % len(event)

    def stream(body: bytes) -> bytes:
        return post(body, TE, length=False)

    return {
        "two different lengths": (post(event, b"Content-Length: 5"), 400),
        "a list of lengths": (post(event, b"Content-Length: %d, %d" % (len(event), len(event)), length=False), 400),
        "a negative length": (post(event, b"Content-Length: -5", length=False), 400),
        "a length with a plus": (post(event, b"Content-Length: +%d" % len(event), length=False), 400),
        "a length in hexadecimal": (post(event, b"Content-Length: 0x10", length=False), 400),
        "a length beyond 64 bits": (post(event, b"Content-Length: 99999999999999999999", length=False), 400),
        "the largest length": (post(event, b"Content-Length: 18446744073709551615", length=False), 431),
        "an unknown coding": (post(good, b"Transfer-Encoding: xchunked", length=False), 400),
        "chunked before another coding": (post(good, b"Transfer-Encoding: chunked, gzip", length=False), 400),
        "two codings in two lines": (post(good, TE, b"Transfer-Encoding: identity", length=False), 400),
        "a coding behind a control character": (post(good, b"Transfer-Encoding: \x0bchunked", length=False), 400),
        "a coding in HTTP/1.0": (stream(good).replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        "a blank before the colon": (post(good, b"Transfer-Encoding : chunked", length=False), 400),
        "a blank in a name": (post(event, b"X Y: 1"), 400),
        "a name of nothing": (post(event, b": 1"), 400),
        "a line without a colon": (post(event, b"nothing"), 400),
        "a folded line": (post(event, b"X-A: 1\r\n 2"), 400),
        "NUL in a value": (post(event, b"X-A: 1\x002"), 400),
        "NUL in a name": (post(event, b"X\x00A: 1"), 400),
        "a lone CR in a value": (post(event, b"X-A: 1\r2"), 400),
        "NUL in the path": (post(event, path=b"/v1/\x00track"), 400),
        "another version": (post(event).replace(b"HTTP/1.1", b"HTTP/9.9"), 400),
        "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, 400),
        "more than a hundred headers": (post(event, *(b"X-%d: 1" % n for n in range(101))), 431),
        "headers of 17 KB": (post(event, b"X-A: " + b"x" * 17_000), 431),
        "an address of 70 KB": (post(event, path=b"/v1/track?" + b"x" * 70_000), 414),
        "a chunk size beyond 64 bits": (stream(b"1%016x\r\n%s\r\n0\r\n\r\n" % (len(event), event)), 400),
        "a negative chunk size": (stream(b"-1\r\n" + event + b"\r\n0\r\n\r\n"), 400),
        "a chunk size ended by LF alone": (stream(size.replace(b"\r", b"") + event + b"\n0\n\n"), 400),
        "a chunk longer than it says": (stream(size + event + b"XX0\r\n\r\n"), 400),
        "a chunk extension of 100 KB": (stream(b"%x;a=%s\r\n" % (len(event), b"x" * 100_000) + event), 400),
        "trailers without end": (stream(chunked(event, trailer=b"X-A: 1\r\n" * 20_000)), 400),
    }


@pytest.mark.parametrize("attack", framings(b"{}"))
def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(server: Server, attack: str) -> None:
    message_id = str(uuid.uuid4())
    raw, status = framings(server.event(messageId=message_id))[attack]
    answers = server.exchange(raw + SMUGGLED)
    assert [answer.status for answer in answers] == [status]
    assert server.serves()
    assert not server.is_stored(message_id)


@pytest.mark.parametrize("order", [1, -1], ids=["length first", "coding first"])
def test_of_a_length_and_a_coding_the_coding_counts_and_nothing_behind_is_read(server: Server, order: int) -> None:
    """A proxy that went by the length would have sent the rest as somebody else's request."""
    message_id = str(uuid.uuid4())
    headers = [b"Content-Length: 6", TE][::order]
    answers = server.exchange(post(chunked(server.event(messageId=message_id)), *headers, length=False) + SMUGGLED)
    assert [answer.status for answer in answers] == [200]
    assert server.is_stored(message_id)


def test_a_request_hidden_in_a_body_is_no_request(server: Server) -> None:
    hidden = post(SMUGGLED, path=b"/v1/pixel/track?writeKey=" + server.write_key.encode()).replace(b"POST", b"GET", 1)
    answers = server.exchange(hidden + post(server.event()))
    assert [answer.status for answer in answers] == [200, 200]


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    ids = [str(uuid.uuid4()) for _ in range(20)]
    good = [post(server.event(messageId=each)) for each in ids]
    answers = server.exchange(b"".join([*good, post(b"{"), good[0]]))
    assert [answer.status for answer in answers] == [200] * 20 + [400, 200]
    assert all(server.is_stored(each) for each in ids)


def test_chunk_extensions_and_trailers_change_nothing(server: Server) -> None:
    event = server.event()
    body = b"%x;name=value\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(event), event)
    assert server.ask(post(body, TE, length=False)).status == 200


def test_a_client_that_waits_for_100_is_told_to_go_on(server: Server) -> None:
    event = server.event()
    with Wire(server.port) as wire:
        wire.send(post(b"", b"Expect: 100-continue", b"Content-Length: %d" % len(event), length=False))
        first = wire.answer()
        wire.send(event)
        second = wire.answer()
    assert first is not None and second is not None
    assert (first.status, second.status) == (100, 200)


# Content


BOMB = gzip.compress(b"0" * 100_000_000, 9)
CONTENTS: dict[str, tuple[bytes, bytes, int, str]] = {
    "a gzip bomb of 1 to 1,000": (BOMB, b"gzip", 400, "payload_too_large"),
    "a bomb in a bomb": (gzip.compress(BOMB, 9), b"gzip", 400, "bad_request"),
    "gzip twice, and said so": (gzip.compress(BOMB, 9), b"gzip, gzip", 415, "unsupported_encoding"),
    "a second member": (gzip.compress(b"{}") * 2, b"gzip", 400, "bad_request"),
    "garbage behind": (gzip.compress(b"{}") + b"garbage", b"gzip", 400, "bad_request"),
    "a cut member": (gzip.compress(b"{}")[:-5], b"gzip", 400, "bad_request"),
    "a wrong checksum": (gzip.compress(b"{}")[:-8] + b"\x00" * 8, b"gzip", 400, "bad_request"),
    "deflate": (b"x", b"deflate", 415, "unsupported_encoding"),
    "brotli": (b"x", b"br", 415, "unsupported_encoding"),
    "100,000 lists in each other": (b"[" * 100_000 + b"]" * 100_000, b"", 400, "bad_request"),
    "a number of 100,000 digits": (b'{"a": %s}' % (b"9" * 39_000), b"", 401, "unknown_source"),
}


@pytest.mark.parametrize(("body", "encoding", "status", "code"), CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "chunked"])
def test_a_hostile_body_costs_a_4xx_and_nothing_else(
    server: Server, body: bytes, encoding: bytes, status: int, code: str, is_chunked: bool
) -> None:
    headers = [b"Content-Encoding: " + encoding] if encoding else []
    if is_chunked:
        parts = [body[start : start + 10_000] for start in range(0, len(body), 10_000)]
        raw = post(chunked(*parts), *headers, TE, path=b"/v1/batch", length=False)
    else:
        raw = post(body, *headers, path=b"/v1/batch")
    answer = server.ask(raw)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert server.serves()


NUMBERS = ["1e131071", "-1e131071", "9" * 4_301, "1e308", "1e309", "0." + "1" * 5_000, "NaN", "-Infinity", "-0", "-0.0"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:12])
def test_a_hostile_number_is_stored_small_or_not_at_all(server: Server, number: str) -> None:
    message_id = str(uuid.uuid4())
    body = server.event(messageId=message_id, properties={"n": "here"}).replace(b'"here"', number.encode())
    assert server.ask(post(body)).status == 200
    ((size,),) = server.product.query(
        "SELECT length(((body::jsonb) #> '{properties,n}')::text) FROM event_log WHERE message_id = %s", message_id
    )
    assert size is None or size <= 350


# Many


def test_two_hundred_slow_clients_hold_up_nobody_and_little_memory(server: Server) -> None:
    assert server.serves()
    before = server.memory()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port)) for _ in range(200)]
        for number, wire in enumerate(wires):
            wire.send(
                b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" if number % 2 else b"POST"
            )
            wire.send(b"{" * 1_000 if number % 2 else b" /v1/track")
        assert all(server.serves() for _ in range(20))
        assert server.memory() - before < 64 * 1024 * 1024
        assert all(wire.is_ended() for wire in wires)
    assert server.serves()


def test_clients_that_send_much_and_never_end_share_a_bounded_memory(server: Server) -> None:
    """Sixty of them hold 30 MB between them, and all may hold 4: the others are told to come back."""
    statuses: list[int] = []
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port)) for _ in range(60)]
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.send(b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 520000\r\n\r\n" + b" " * 510_000)
        assert server.serves()
        for wire in wires:
            answer = wire.answer()
            statuses.append(answer.status if answer is not None else 0)
    assert 503 in statuses
    assert set(statuses) <= {503, 408, 0}
    wait_until(server.serves, 30, "it does not recover")


def test_nothing_of_all_this_was_a_fault_of_ours(server: Server) -> None:
    assert "front_door_failed" not in server.product.log
    assert "ingest_failed" not in server.product.log
    assert server.write_key not in server.product.log
