"""The two ways to drive many calls at once with libcurl.

*Fast* lets `perform` walk all calls: the cheapest way while most of them have something to do. *Slow* is told socket by
socket what happened (`socket_action`), which costs more a call and nothing for one that waits. Neither uses pycurl's
`select` and `fdset`: both are built on select(2) and break quietly from file descriptor 1,024 on.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sized
from functools import partial
from time import monotonic

import pycurl

from hub.lib.net import ABORTED, Wire
from hub.observability import log

logger = log.get(__name__)

LONGEST_SLEEP_SECONDS = 1.0
# The fast side wakes by edges alone; should one be missed, the call loses this and no more.
LONGEST_FAST_SLEEP_SECONDS = 0.05
# Room for the idle connections of all lanes, both well under the 8,192 descriptors that are checked at start.
FAST_CONNECTIONS, SLOW_CONNECTIONS = 2_048, 4_096
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
ENDS = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP


class Alarm:
    """Wakes a thread out of its epoll, and costs the other side nothing while that thread is awake."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._is_asleep = self._is_closed = False
        self._lock = threading.Lock()
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        epoll.register(self.descriptor, select.EPOLLIN)

    def ring(self) -> None:
        """Called after something was put where the sleeper looks."""
        if self._is_asleep:
            self._is_asleep = False
            with self._lock:  # a closed descriptor's number may be somebody else's by now
                if not self._is_closed:
                    os.eventfd_write(self.descriptor, 1)

    def sleep(self, seconds: float, inbox: Sized) -> list[tuple[int, int]]:
        """Wait for a socket, the alarm or the time. The inbox is looked at last, after saying so: no call is missed."""
        self._is_asleep = True
        events = self._epoll.poll(0 if inbox else seconds)
        self._is_asleep = False
        for descriptor, _ in events:
            if descriptor == self.descriptor:
                os.eventfd_read(descriptor)
        return events

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            os.close(self.descriptor)


class Fast:
    """Many quick calls, in the thread of its owner."""

    def __init__(self) -> None:
        self.count = 0
        self._epoll = select.epoll()
        self.alarm = Alarm(self._epoll)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, FAST_CONNECTIONS)

    def start(self, wire: Wire) -> None:
        wire.watch = self._watch
        self._multi.add_handle(wire.easy)
        self.count += 1

    def abort(self, wire: Wire) -> None:
        self._multi.remove_handle(wire.easy)
        self.count -= 1

    def turn(self) -> list[tuple[Wire, int]]:
        """Do what can be done without waiting; the calls that ended, with libcurl's code."""
        if not self.count:
            return []
        self._multi.perform()
        ended = ended_calls(self._multi)
        self.count -= len(ended)
        return ended

    def sleep(self, seconds: float, inbox: Sized) -> None:
        """Wait until a call can go on, or the alarm rings."""
        if self.count:
            wait_ms = self._multi.timeout()
            seconds = min(seconds, LONGEST_FAST_SLEEP_SECONDS, wait_ms / 1000 if wait_ms >= 0 else seconds)
        self.alarm.sleep(seconds, inbox)

    def close(self) -> None:
        self._multi.close()
        self.alarm.close()
        self._epoll.close()

    def _watch(self, opened: socket.socket) -> None:
        # libcurl works on a duplicate of this descriptor. The registration belongs to the open file, so it outlives
        # this socket object and ends by itself when libcurl closes its own.
        self._epoll.register(opened.fileno(), EDGES)


class Slow:
    """Calls that wait, in a thread of their own; `hand_back` is told of each that ended, in that thread."""

    def __init__(self, hand_back: Callable[[Wire, int], None]) -> None:
        self._hand_back = hand_back
        self._orders: deque[Callable[[], None]] = deque()
        self._flying: set[Wire] = set()
        self._sockets: set[int] = set()
        self._timer_at: float | None = None
        self._is_ending = False
        self._epoll = select.epoll()
        self._alarm = Alarm(self._epoll)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, SLOW_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._follow)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._thread = threading.Thread(target=self._run, name="sender-slow", daemon=True)
        self._thread.start()

    def start(self, wire: Wire) -> None:
        self._order(partial(self._add, wire))

    def abort(self, wire: Wire) -> None:
        self._order(partial(self._remove, wire))

    def close(self) -> None:
        """End the thread. Nothing may be under way any more."""
        self._order(self._end)
        self._thread.join()

    def _order(self, act: Callable[[], None]) -> None:
        self._orders.append(act)
        self._alarm.ring()

    def _end(self) -> None:
        self._is_ending = True

    def _run(self) -> None:
        while not self._is_ending:
            try:
                self._turn()
            except Exception:
                logger.exception("sender_slow_turn_failed", flying_count=len(self._flying))
        self._multi.close()
        self._alarm.close()
        self._epoll.close()

    def _turn(self) -> None:
        while self._orders:
            self._orders.popleft()()
        if self._is_ending:
            return
        for descriptor, event in self._alarm.sleep(self._patience(), self._orders):
            if descriptor != self._alarm.descriptor:
                self._multi.socket_action(descriptor, curl_events(event))
        if self._timer_at is not None and self._timer_at <= monotonic():
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        for wire, code in ended_calls(self._multi):
            self._flying.discard(wire)
            self._hand_back(wire, code)

    def _patience(self) -> float:
        if self._timer_at is None:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, self._timer_at - monotonic()))

    def _add(self, wire: Wire) -> None:
        wire.watch = None
        try:
            self._multi.add_handle(wire.easy)
        except pycurl.error:
            logger.exception("sender_slow_add_failed")
            self._hand_back(wire, pycurl.E_FAILED_INIT)
        else:
            self._flying.add(wire)

    def _remove(self, wire: Wire) -> None:
        if wire in self._flying:
            self._flying.discard(wire)
            self._multi.remove_handle(wire.easy)
            self._hand_back(wire, ABORTED)

    def _follow(self, what: int, descriptor: int, _multi: object, _own: object) -> None:
        """libcurl says what it waits for on a socket."""
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._sockets:
                self._sockets.discard(descriptor)
                self._epoll.unregister(descriptor)
            return
        events = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if descriptor in self._sockets:
            self._epoll.modify(descriptor, events)
        else:
            self._sockets.add(descriptor)
            self._epoll.register(descriptor, events)

    def _set_timer(self, wait_ms: int) -> None:
        self._timer_at = None if wait_ms < 0 else monotonic() + wait_ms / 1000


def curl_events(event: int) -> int:
    mask = pycurl.CSELECT_IN if event & (select.EPOLLIN | ENDS) else 0
    mask |= pycurl.CSELECT_OUT if event & select.EPOLLOUT else 0
    return int(mask | (pycurl.CSELECT_ERR if event & select.EPOLLERR else 0))


def ended_calls(multi: pycurl.CurlMulti) -> list[tuple[Wire, int]]:
    """Take every call that ended out of a multi handle."""
    ended: list[tuple[Wire, int]] = []
    left = 1
    while left:
        left, succeeded, failed = multi.info_read()
        for easy in succeeded:
            multi.remove_handle(easy)
            ended.append((easy.wire, 0))
        for easy, code, _ in failed:
            multi.remove_handle(easy)
            ended.append((easy.wire, code))
    return ended
