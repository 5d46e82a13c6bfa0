"""Where the web server listens and how it is reached."""

from __future__ import annotations

import socket

import pytest

from hub.launcher.address import Address, claim_address
from hub.launcher.errors import LaunchError


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("hub.test", "http://hub.test:8000"),
    ],
)
def test_the_url_is_one_that_this_machine_can_open(host: str, url: str) -> None:
    assert Address(host, 8000).url == url


def test_a_busy_port_is_refused_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LaunchError, match=f"Port {port} on 127.0.0.1 cannot be used .*--port"):
            claim_address("127.0.0.1", port)


def test_port_zero_takes_a_free_one() -> None:
    assert claim_address("127.0.0.1", 0).port > 0


def test_an_address_where_nobody_listens_is_not_ready() -> None:
    assert not Address("127.0.0.1", claim_address("127.0.0.1", 0).port).answers_ready()
