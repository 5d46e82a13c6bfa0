from __future__ import annotations

import json

import pytest

from hub.bench.receiver import OK, Counting, Tally

BODY = b'{"messageId":"m-1","type":"track"}'


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, piece: bytes) -> None:
        self.written += piece


def request(path: str = "/hook", body: bytes = BODY, length: str = "Content-Length") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}: {len(body)}\r\n\r\n".encode() + body


def feed(raw: bytes, size: int) -> tuple[Tally, bytes]:
    tally, wire = Tally(), Wire()
    protocol = Counting(tally)
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for start in range(0, len(raw), size):
        protocol.data_received(raw[start : start + size])
    return tally, wire.written


@pytest.mark.parametrize("size", [1, 7, 40, 100, 10_000])
@pytest.mark.parametrize("length", ["Content-Length", "content-length"])
def test_requests_are_counted_however_they_are_cut(size: int, length: str) -> None:
    tally, written = feed(request(length=length) * 3, size)
    assert tally.count == 3
    assert written == OK * 3


def test_half_a_request_is_not_counted() -> None:
    assert feed(request() + request()[:-1], 10_000)[0].count == 1


@pytest.mark.parametrize("size", [5, 10_000])
def test_a_traced_message_is_noted_with_its_id(size: int) -> None:
    tally, _ = feed(request("/traced") + request("/hook"), size)
    assert [name for name, _ in tally.arrivals] == ["m-1"]


def test_what_has_arrived_is_told_and_forgotten() -> None:
    tally, written = feed(request("/traced") + b"GET /count HTTP/1.1\r\n\r\nGET /reset HTTP/1.1\r\n\r\n", 10_000)
    assert json.loads(written.removeprefix(OK).split(b"\r\n\r\n")[1].split(b"HTTP")[0])["count"] == 1
    assert (tally.count, tally.arrivals) == (0, [])
