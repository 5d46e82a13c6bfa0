"""Raw PostgreSQL connections for the data plane, beside Django's own.

The log's readers and writers want autocommit, prepared statements and no per-query wrapper. A pool belongs to the
process that opened it: after a fork the child makes its own.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Any

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

BACKGROUND_CONNECTIONS = 3
BACKGROUND_STATEMENT_TIMEOUT = "5min"
Row = tuple[object, ...]
PgConnection = Connection[Row]
_lock = threading.Lock()
_pools: dict[tuple[int, str, str], _Pool] = {}
_source: list[Callable[[], str]] = []

SESSION = """
SELECT set_config('statement_timeout', '30s', false), set_config('idle_in_transaction_session_timeout', '10s', false),
       set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),
       set_config('timezone', 'UTC', false)
"""


def configure(source: Callable[[], str]) -> None:
    """Say where the address of the database is asked for; called once at start-up by the composition root."""
    _source[:] = [source]


def dsn() -> str:
    """The address of the database, as a libpq connection string."""
    return _source[0]()


def prepare_session(connection: Connection[Row]) -> None:
    """Set what every data-plane session relies on: time-outs, stable plans, UTC."""
    connection.autocommit = True
    connection.prepare_threshold = 0
    connection.execute(SESSION)


def prepare_background_session(connection: Connection[Row]) -> None:
    """Set the same, and give long statements their time: nobody waits for them."""
    prepare_session(connection)
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [BACKGROUND_STATEMENT_TIMEOUT])


def connect() -> Connection[Row]:
    """A connection of one's own, prepared like those of the pool."""
    connection = Connection.connect(dsn(), autocommit=True)
    prepare_session(connection)
    return connection


def has_dropped(connection: Connection[Any]) -> bool:
    """Whether the server has closed an idle connection, which has nothing to read unless its end has come."""
    watch = select.poll()
    watch.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(watch.poll(0))


class _Pool(ConnectionPool[Connection[Row]]):
    """A pool that notices at once when the server has gone: with one connection dropped, so are the others."""

    def refuse_dropped(self, connection: Connection[Row]) -> None:
        """Raise for a connection that the server has closed, and give up all that are idle.

        It is closed here as well, or the pool would take it back as good and hand it out again.
        """
        if has_dropped(connection):
            connection.close()
            self.drain()
            raise OperationalError("the server has closed this connection")


def pool(size: int = 12) -> ConnectionPool[Connection[Row]]:
    """This process's pool for the present database; made on first use."""
    return _pool("headwater", size, prepare_session)


def background_pool() -> ConnectionPool[Connection[Row]]:
    """Connections of their own for work in the background, few and known by name, so that it uses up no others."""
    return _pool("headwater-background", BACKGROUND_CONNECTIONS, prepare_background_session)


def _pool(name: str, size: int, configure: Callable[[Connection[Row]], None]) -> ConnectionPool[Connection[Row]]:
    key = (os.getpid(), dsn(), name)
    found = _pools.get(key)
    if found is not None:
        return found
    with _lock:
        if key not in _pools:
            _pools[key] = _Pool(
                key[1],
                min_size=1 if configure is prepare_session else 0,
                max_size=size,
                timeout=6.0,
                max_idle=60.0,
                reconnect_timeout=5.0,
                configure=configure,
                check=lambda connection: _pools[key].refuse_dropped(connection),
                open=True,
                name=name,
                kwargs={"application_name": name},
            )
        return _pools[key]


def close_pools() -> None:
    """Close this process's pools, as tests do before their database is dropped."""
    with _lock:
        for key in [key for key in _pools if key[0] == os.getpid()]:
            _pools.pop(key).close(timeout=2.0)
