"""A way to a server of the tests that can be cut, held up, or wrapped in TLS, as the network between two machines can.

The test services listen where no outbound call goes (a Unix socket) or without TLS; a relay listens on loopback TCP.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable

Upstream = Callable[[], socket.socket]
SSL_REQUEST_BYTES = 8


def to_unix(path: str) -> Upstream:
    def connect() -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.connect(path)
        return opened

    return connect


def to_port(port: int) -> Upstream:
    return lambda: socket.create_connection(("127.0.0.1", port))


class Relay:
    """Listens on a loopback port; with `tls` it speaks TLS there, and after PostgreSQL's request where `asks_first`."""

    def __init__(
        self,
        upstream: Upstream,
        tls: ssl.SSLContext | None = None,
        *,
        asks_first: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        self._upstream = upstream
        self._tls = tls
        self._asks_first = asks_first
        self._address = address
        self.connection_count = 0
        self.flows = threading.Event()
        self.flows.set()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Relay:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.flows.set()
        self.stop()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def listen(self) -> None:
        self._listener = socket.create_server((self._address, self.port))
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Take no new connections: the server is gone."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def cut(self) -> None:
        """Break every connection that is open."""
        for opened in list(self._open):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def await_quiet(self) -> None:
        """Wait until both ends of every connection are closed."""
        deadline = time.monotonic() + 10
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)

    def _spawn(self, act: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                if self._asks_first:
                    client.recv(SSL_REQUEST_BYTES, socket.MSG_WAITALL)
                    client.sendall(b"S")
                client = self._tls.wrap_socket(client, server_side=True)
            server = self._upstream()
        except OSError:
            client.close()
            return
        self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join(5)
        self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while piece := source.recv(65_536):
                self.flows.wait()
                sink.sendall(piece)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
