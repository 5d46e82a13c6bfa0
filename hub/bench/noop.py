"""The limit of single ingest: the same server, front door and REST framework, and a view that stores nothing.

It parses the body and answers with the very bytes that success has. What the product is slower than this is the price
of checking, normalising, queueing and committing.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from hub.bench import children
from hub.launcher.parenthood import follow_parent

HOST = "127.0.0.1"
READY_SECONDS = 30.0
# As the product's own server is set up.
HEADER_TIMEOUT_MILLISECONDS, BACKLOG, WAITING_PER_WORKER = 8000, 2048, 2048


@contextmanager
def serving() -> Iterator[int]:
    """Run the server in a process of its own; gives its port."""
    with children.running(children.module("noop")) as (ready, _pid):
        yield ready["port"]


def load_application(parent: int) -> Callable[..., Any]:
    """Make the application in a forked process, as the product's does."""
    follow_parent(signal.SIGKILL, parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    from hub.bench.noop_view import application

    return application


def tell_when_ready(port: int) -> None:
    """Print the port once the server answers."""
    ends_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends_at:
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("POST", "/v1/batch", b'{"batch":[]}')
            if connection.getresponse().status == 200:
                break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
