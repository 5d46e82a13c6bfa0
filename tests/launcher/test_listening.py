"""The kernel's time-out for unread answers: set on what listens, taken over by what is accepted, and kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hub.management.listening import limit_unread_answers, set_on_listeners
from tests.faults.product import wait_until


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        yield opened


def limit_of(one: socket.socket) -> int:
    return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def test_it_is_set_on_sockets_that_listen_at_the_port_and_on_no_others(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as client, socket.create_server(("127.0.0.1", 0)) as other:
        assert set_on_listeners(port, 7) == 1
        assert [limit_of(one) for one in (listener, client, other)] == [7_000, 0, 0]


def test_it_is_set_as_soon_as_the_server_listens() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        limit_unread_answers(late.getsockname()[1], 5)
        late.listen()
        wait_until(lambda: limit_of(late) == 5_000, 30, "it is not set")


def test_a_connection_whose_client_does_not_read_ends(listener: socket.socket) -> None:
    set_on_listeners(listener.getsockname()[1], 1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(listener.getsockname())
        served, _ = listener.accept()
        with served:
            served.settimeout(0.1)
            wait_until(lambda: is_ended(served), 30, "it goes on")


def is_ended(served: socket.socket) -> bool:
    try:
        served.send(b"x" * 65_536)
    except TimeoutError as error:
        return error.errno is not None  # the kernel's has a number, that of Python's own wait has none
    except OSError:
        return True
    return False
