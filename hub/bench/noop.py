"""The limit of single ingest: the same server, front door and REST framework, and a view that stores nothing.

It parses the body and answers with the very bytes that success has. What the product is slower than this is the price
of checking, normalising, queueing and committing.
"""

from __future__ import annotations

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
from typing import Any, cast

from django.conf import settings
from django.http import HttpResponse
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server
from rest_framework.request import Request

from hub.bench import children
from hub.ingest import answers, front
from hub.ingest.api import Route
from hub.ingest.decoding import Decoded
from hub.ingest.errors import BadRequest
from hub.ingest.lean import LeanView
from hub.ingest.policies import TrackingParser
from hub.launcher.parenthood import follow_parent
from hub.launcher.product import PROJECT

HOST = "127.0.0.1"
READY_SECONDS = 30.0
# As the product's own server is set up.
HEADER_TIMEOUT_MILLISECONDS, BACKLOG, WAITING_PER_WORKER = 8000, 2048, 2048


class NoopView(LeanView):
    """Reads a body and answers."""

    parser_classes = (TrackingParser,)
    route = Route(None, is_client_side=False)

    def post(self, request: Request) -> HttpResponse:
        if not cast(Decoded, request.data).payload:
            raise BadRequest("Nothing was sent.")
        return answers.accepted(None, [])


_view = NoopView.as_view()


async def application(scope: front.Scope, receive: front.Receive, send: front.Send) -> None:
    """Every path is the view's."""
    await front.serve(_view, {}, scope, receive, send)


@contextmanager
def serving() -> Iterator[int]:
    """Run the server in a process of its own; gives its port."""
    argv = [sys.executable, str(PROJECT / "manage.py"), "bench", "--serve-noop"]
    with children.running(argv) as (ready, _pid):
        yield ready["port"]


def serve() -> None:
    """Serve until stopped, by as many processes as the product has; prints the port once it answers."""
    port = free_port()
    gc.collect()
    gc.freeze()
    server = Server(
        "hub.bench.noop:application",
        address=HOST,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MILLISECONDS),
        loop=Loops.uvloop,
        websockets=False,
        workers=settings.WEB_WORKERS,
        backlog=BACKLOG,
        backpressure=WAITING_PER_WORKER,
        log_enabled=False,
    )
    parent = os.getpid()
    threading.Thread(target=tell_when_ready, args=(port,), daemon=True).start()
    server.serve(target_loader=lambda _target: load_application(parent), wrap_loader=True)


def load_application(parent: int) -> Callable[..., Any]:
    """Give the application to a forked process, which must not outlive its parent."""
    follow_parent(signal.SIGKILL, parent)
    return application


def tell_when_ready(port: int) -> None:
    """Print the port once the server answers."""
    ends_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends_at and not answers_at(port):
        time.sleep(0.05)
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


def answers_at(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("POST", "/v1/batch", b'{"batch":[]}')
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
