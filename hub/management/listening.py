"""A time-out for clients that do not read their answers, which the HTTP server does not have: the kernel's.

A connection takes the option over from the socket that it was accepted by. Once answers lie unread for so long, because
the client's window is closed or its machine is gone, the kernel ends the connection, and the server lets go of what it
holds for it.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time

from hub.observability import log

LOOK_EVERY_SECONDS = 0.05
GIVE_UP_AFTER_SECONDS = 30.0
logger = log.get(__name__)


def limit_unread_answers(port: int, seconds: int) -> None:
    """Set it on this process's sockets that listen at the port, as soon as the server has opened them."""
    threading.Thread(target=_when_open, args=(port, seconds), name="unread-answers", daemon=True).start()


def _when_open(port: int, seconds: int) -> None:
    deadline = time.monotonic() + GIVE_UP_AFTER_SECONDS
    while not set_on_listeners(port, seconds):
        if time.monotonic() > deadline:
            logger.error("unread_answers_not_limited", port=port)
            return
        time.sleep(LOOK_EVERY_SECONDS)


def set_on_listeners(port: int, seconds: int) -> int:
    """Set it on what listens at the port now, and return on how many sockets."""
    return sum(_set(int(name), port, seconds) for name in os.listdir("/proc/self/fd"))


def _set(descriptor: int, port: int, seconds: int) -> bool:
    """Whether the descriptor was one of them. It may be closed at any moment, and then was none."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as found:
            if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
                return False
            if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) or found.getsockname()[1] != port:
                return False
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
            return True
    except OSError:
        return False
