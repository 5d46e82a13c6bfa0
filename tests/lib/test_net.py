from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pycurl
import pytest

from hub.lib.net import Answer, Gate, Wire, call
from tests.certificates import own_certificate, server_context
from tests.receivers import Receiver

LOOPBACK = Gate(allow_private=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
V4_ONLY = Gate(allow_private=(ip_network("127.0.0.0/8"),))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def perform(wire: Wire) -> Answer:
    code = 0
    try:
        wire.easy.perform()
    except pycurl.error as error:
        code = error.args[0]
    return wire.answer(code)


@pytest.mark.parametrize(
    ("path", "status", "error", "timeout_seconds"),
    [
        ("/ok", 200, None, 15),
        ("/status/404", 404, None, 15),
        ("/status/500", 500, None, 15),
        ("/hang", 0, "timeout", 0.4),
        ("/drip", 200, "timeout", 0.4),
        ("/slow-headers", 200, "timeout", 0.4),
        ("/processing", 102, "timeout", 0.4),
        ("/endless-headers", 200, "incomplete", 15),
        ("/close", 0, "incomplete", 15),
        ("/cut", 200, "incomplete", 15),
        ("/garbage", 0, "incomplete", 15),
    ],
)
def test_every_misbehaviour_has_its_word(
    receiver: Receiver, path: str, status: int, error: str | None, timeout_seconds: float
) -> None:
    answer = call(LOOPBACK, "POST", receiver.url(path), (), b"{}", timeout_seconds)
    assert (answer.status, answer.error, answer.sent) == (status, error, True)


@pytest.mark.parametrize(("path", "size"), [("/huge", 65_536), ("/huge-declared", 0), ("/gzip-bomb", 65_536)])
def test_an_answer_too_large_is_cut_and_its_status_counts(receiver: Receiver, path: str, size: int) -> None:
    answer = call(LOOPBACK, "POST", receiver.url(path), (), b"{}")
    assert (answer.status, answer.error, answer.truncated, len(answer.body)) == (200, None, True, size)


def test_a_body_of_exactly_the_limit_is_whole(receiver: Receiver) -> None:
    answer = call(LOOPBACK, "POST", receiver.url("/echo"), (), b"x" * 65_536)
    assert (len(answer.body), answer.truncated) == (65_536, False)


def test_a_compressed_answer_is_not_unpacked(receiver: Receiver) -> None:
    assert call(LOOPBACK, "POST", receiver.url("/gzip-bomb")).body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [("/redirect", 302, "http://169.254.169.254/latest/meta-data/"), ("/moved", 307, "/ok")],
)
def test_a_redirect_is_returned_and_not_followed(receiver: Receiver, path: str, status: int, target: str) -> None:
    answer = call(LOOPBACK, "GET", receiver.url(path))
    assert (answer.status, answer.error, answer.header("location")) == (status, None, target)
    assert receiver.paths()[-1] == path


def test_retry_after_is_read(receiver: Receiver) -> None:
    answer = call(LOOPBACK, "GET", receiver.url("/busy"))
    assert (answer.status, answer.retry_after, answer.body) == (503, 7.0, b"later")


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", None, None),
        ("GET", b"q", "1"),
        ("HEAD", None, None),
        ("POST", b"{}", "2"),
        ("POST", None, "0"),
        ("PUT", b"{}", "2"),
        ("PUT", None, "0"),
        ("PATCH", b"{}", "2"),
        ("DELETE", None, None),
        ("DELETE", b"{}", "2"),
    ],
)
def test_a_reused_handle_sends_each_method_as_asked(
    receiver: Receiver, method: str, body: bytes | None, length: str | None
) -> None:
    wire = Wire(LOOPBACK)
    for before in ("HEAD", "POST", "PUT"):
        assert wire.load(before, receiver.url(), (), None, 5_000) is None
        perform(wire)
    assert wire.load(method, receiver.url("/methods"), ["Content-Type: text/x"], body, 5_000) is None
    assert perform(wire).error is None
    request = receiver.requests[-1]
    assert (request.method, request.body) == (method, body or b"")
    assert request.headers.get("content-length") == length
    assert request.header_lines.count("Content-Type: text/x") == 1
    wire.close()


def test_nothing_is_added_that_the_caller_did_not_ask_for(receiver: Receiver) -> None:
    call(LOOPBACK, "POST", receiver.url(), ["X-One: 1"], b"x" * 2_000_000)
    headers = receiver.requests[-1].headers
    assert set(headers) == {"host", "user-agent", "accept", "x-one", "content-length"}
    assert len(receiver.requests[-1].body) == 2_000_000


@pytest.mark.parametrize(
    "line",
    [
        "X-One: 1\r\nX-Two: 2",
        "X-One: 1\nX-Two: 2",
        "X-One: \0",
        "Content-Length: 0",
        "transfer-encoding: chunked",
        "Connection: close",
        "Bad Name: 1",
        ": 1",
        "X-One: ü",
    ],
)
def test_a_header_that_could_forge_a_request_is_never_sent(receiver: Receiver, line: str) -> None:
    count = len(receiver.requests)
    answer = call(LOOPBACK, "POST", receiver.url(), ["X-Fine: 1", line], b"{}")
    assert (answer.error, answer.sent, len(receiver.requests)) == ("send", False, count)


def test_a_bad_header_value_is_found_on_a_reused_handle_too(receiver: Receiver) -> None:
    wire = Wire(LOOPBACK)
    assert wire.load("POST", receiver.url(), ["X-One: 1"], b"", 5_000) is None
    assert wire.load("POST", receiver.url(), ["X-One: 1\r\nX-Two: 2"], b"", 5_000) == "send"
    wire.close()


@pytest.mark.parametrize("method", ["get", "GET /x", "", "GET\r\n"])
def test_a_method_that_is_none_is_never_sent(receiver: Receiver, method: str) -> None:
    assert call(LOOPBACK, method, receiver.url()).error == "send"


def test_a_dead_port_is_a_connect_error() -> None:
    answer = call(LOOPBACK, "POST", f"http://127.0.0.1:{closed_port()}/", (), b"{}")
    assert (answer.error, answer.status, answer.sent) == ("connect", 0, False)


def test_an_unknown_name_is_a_dns_error() -> None:
    assert call(LOOPBACK, "GET", "http://no-such-name.invalid/").error == "dns"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_gate_stops_a_call_before_a_byte_is_sent(receiver: Receiver, host: str) -> None:
    connections = receiver.connections
    gate = Gate(extra_ports=frozenset({receiver.port}))
    answer = call(gate, "POST", receiver.url("/ok", host), (), b"{}")
    assert (answer.error, answer.status, answer.sent) == ("blocked", 0, False)
    assert receiver.connections == connections


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::ffff:127.0.0.1]", "localhost"]
)
def test_the_resolved_address_is_judged_whatever_the_text_says(receiver: Receiver, host: str) -> None:
    wire = Wire(Gate(extra_ports=frozenset({receiver.port})))
    assert wire.load("GET", "https://example.com/", (), None, 2_000) is None
    wire.easy.setopt(pycurl.URL, f"http://{host}:{receiver.port}/")
    assert perform(wire).error == "blocked"
    wire.close()


def test_a_mapped_address_reaches_what_is_opened(receiver: Receiver) -> None:
    assert call(V4_ONLY, "GET", receiver.url("/ok", "::ffff:127.0.0.1")).status == 200


def test_a_name_with_one_open_and_one_closed_address_uses_the_open_one(receiver: Receiver) -> None:
    assert call(V4_ONLY, "GET", receiver.url("/ok", "localhost")).status == 200


def test_a_name_whose_open_address_is_dead_is_a_connect_error() -> None:
    assert call(V4_ONLY, "GET", f"http://localhost:{closed_port()}/").error == "connect"


def test_the_environments_proxy_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{closed_port()}")
    assert call(LOOPBACK, "GET", receiver.url()).status == 200


def test_one_handle_keeps_its_connection(receiver: Receiver) -> None:
    wire = Wire(LOOPBACK)
    for _ in range(3):
        assert wire.load("POST", receiver.url(), (), b"{}", 5_000) is None
        assert perform(wire).status == 200
    assert len({request.connection for request in receiver.requests[-3:]}) == 1
    wire.close()


def test_headers_are_collected_only_when_asked_for(receiver: Receiver) -> None:
    wire = Wire(LOOPBACK)
    wire.load("GET", receiver.url("/busy"), (), None, 5_000, collect=True)
    assert perform(wire).header("Retry-After") == "7"
    wire.load("GET", receiver.url("/busy"), (), None, 5_000)
    assert perform(wire).headers == ()
    wire.close()


def test_a_certificate_that_nobody_vouches_for_is_a_tls_error(tmp_path: Path) -> None:
    path = own_certificate(tmp_path)
    with Receiver(tls=server_context(path)) as receiver:
        answer = call(LOOPBACK, "POST", receiver.url(), (), b"{}")
        assert (answer.error, answer.sent) == ("tls", False)
        assert trusting(path, receiver).status == 200


@pytest.mark.parametrize(("ip", "days_left"), [("127.0.0.2", 1), ("127.0.0.1", -1)])
def test_a_trusted_certificate_for_another_host_or_of_another_time_is_a_tls_error(
    tmp_path: Path, ip: str, days_left: int
) -> None:
    path = own_certificate(tmp_path, ip, days_left)
    with Receiver(tls=server_context(path)) as receiver:
        answer = trusting(path, receiver)
        assert (answer.error, answer.sent) == ("tls", False)
        assert not receiver.requests


def trusting(certificate: Path, receiver: Receiver) -> Answer:
    """Call a receiver whose certificate is believed as far as it goes."""
    wire = Wire(LOOPBACK, ca_file=str(certificate))
    wire.load("POST", receiver.url(), (), b"{}", 5_000)
    answer = perform(wire)
    wire.close()
    return answer
