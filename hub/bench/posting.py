"""The limit of delivery: libcurl's multi handle posting ready-made bodies, with nothing around it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence

import pycurl

HANDLES = 64
# As many headers as a signed delivery has, of about the same length.
HEADERS = (
    "idempotency-key: msg_0ZBKpuq7PTomJmYwMnbgBz",
    "content-type: application/json",
    "user-agent: Headwater/1.0",
    "webhook-id: msg_0ZBKpuq7PTomJmYwMnbgBz",
    "webhook-timestamp: 1772366400",
    "webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "Expect:",
)
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Opened:
    """A socket that pycurl duplicates and drops."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def fileno(self) -> int:
        return self._opened.fileno()

    def __del__(self) -> None:
        self._opened.close()


def post_all(url: str, bodies: Sequence[bytes], handles: int = HANDLES) -> float:
    """Post every body once over kept connections; how many a second."""
    poller, multi = select.epoll(), pycurl.CurlMulti()
    waiting = iter(bodies)
    began_at = time.monotonic()
    flying = sum(_next(multi, _handle(url, poller), waiting) for _ in range(handles))
    while flying:
        multi.perform()
        ended = _ended(multi)
        flying += sum(_next(multi, easy, waiting) for easy in ended) - len(ended)
        if not ended:
            poller.poll(0.05)
    seconds = time.monotonic() - began_at
    multi.close()
    poller.close()
    return len(bodies) / seconds


def _handle(url: str, poller: select.epoll) -> pycurl.Curl:
    easy = pycurl.Curl()
    easy.setopt(pycurl.URL, url)
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.PROXY, "")
    easy.setopt(pycurl.HTTPHEADER, list(HEADERS))
    easy.setopt(pycurl.WRITEFUNCTION, len)
    easy.setopt(pycurl.OPENSOCKETFUNCTION, _opener(poller))
    return easy


def _opener(poller: select.epoll) -> Callable[[int, tuple[int, int, int, object]], Opened]:
    def open_socket(_purpose: int, target: tuple[int, int, int, object]) -> Opened:
        opened = socket.socket(*target[:3])
        poller.register(opened.fileno(), EDGES)
        return Opened(opened)

    return open_socket


def _next(multi: pycurl.CurlMulti, easy: pycurl.Curl, waiting: object) -> int:
    """Start the next call on a free handle; 0 when there is none left."""
    body = next(waiting, None)  # type: ignore[call-overload]
    if body is None:
        return 0
    easy.setopt(pycurl.POSTFIELDS, body)
    multi.add_handle(easy)
    return 1


def _ended(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    ended: list[pycurl.Curl] = []
    left = 1
    while left:
        left, good, bad = multi.info_read()
        ended += [*good, *(easy for easy, _code, _text in bad)]
    for easy in ended:
        multi.remove_handle(easy)
    return ended
