"""The data plane's pool: connections that the server has dropped are never handed out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.lib import postgres

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    yield
    postgres.close_pools()


def backend_of(connection: postgres.PgConnection) -> int:
    return connection.info.backend_pid


def test_a_connection_that_the_server_dropped_is_replaced_at_once() -> None:
    with postgres.pool().connection() as first:
        dropped = backend_of(first)
    with postgres.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [dropped])
    for _ in range(3):
        with postgres.pool().connection() as again:
            assert backend_of(again) != dropped
            assert again.execute("SELECT 1").fetchone() == (1,)


def test_every_session_has_the_settings_that_the_data_plane_relies_on() -> None:
    names = ("TimeZone", "statement_timeout", "plan_cache_mode", "idle_in_transaction_session_timeout")
    with postgres.pool().connection() as connection:
        found = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    assert found == [("UTC",), ("30s",), ("force_generic_plan",), ("10s",)]


def test_one_process_has_one_pool() -> None:
    assert postgres.pool() is postgres.pool()
