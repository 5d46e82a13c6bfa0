"""Settings that cannot be meant name their variable, and never show what may be a secret."""

from __future__ import annotations

import pytest

from hub.lib.env import BadEnvironment, database_parts, redis_address


@pytest.mark.parametrize(
    "address", ["nonsense", "mysql://a:secretpw@b/c", "postgresql://a:secretpw@b:port/c", "dbname = "]
)
def test_a_database_address_that_cannot_be_read_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(BadEnvironment, match=r"^DATABASE_URL must read postgresql://") as caught:
        database_parts(address)
    assert "secretpw" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "host"), [("postgresql://u:p@h:1/d", "h"), ("postgres://h/d", "h"), ("host=/run dbname=d", "/run")]
)
def test_a_database_address_is_read_in_every_way_that_the_server_knows(address: str, host: str) -> None:
    assert database_parts(address)["host"] == host
    assert database_parts(address)["dbname"] == "d"


@pytest.mark.parametrize("address", ["nonsense", "amqp://guest:secretpw@h", "redis:", "redis://"])
def test_a_redis_address_that_cannot_be_read_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(BadEnvironment, match=r"^REDIS_URL must read redis://") as caught:
        redis_address(address)
    assert "secretpw" not in str(caught.value)


@pytest.mark.parametrize("address", ["redis://127.0.0.1:6379/0", "redis://:secret@h:1/0", "rediss://h"])
def test_a_redis_address_is_taken_as_it_is(address: str) -> None:
    assert redis_address(address) == address
