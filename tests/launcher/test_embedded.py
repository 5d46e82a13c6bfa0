"""The embedded servers start, answer, stop, survive a kill, and never touch what is not theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from hub.launcher.embedded import Embedded, embed
from hub.launcher.errors import LaunchError
from hub.launcher.postgres import DURABLE, Postgres, choose_socket_folder
from hub.launcher.pytest_plugin import FAST
from hub.launcher.template import copy_template
from launcher.processes import is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


def postgres_of(embedded: Embedded) -> Postgres:
    (server,) = (service for service in embedded.services if isinstance(service, Postgres))
    return server


@pytest.fixture
def postgres(services: Embedded) -> Postgres:
    return postgres_of(services)


def test_postgres_answers_under_its_url_with_the_locale_of_its_own(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(
            "SELECT current_database(), datlocprovider, datlocale, pg_encoding_to_char(encoding) "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("headwater", "b", "C.UTF-8", "UTF8")


def test_valkey_answers_to_its_password_only(services: Embedded) -> None:
    url = urlsplit(next(service.url for service in services.services if service.name == "redis"))
    with redis.Redis.from_url(url.geturl()) as client:
        assert client.ping()
    with redis.Redis(port=url.port, password="wrong", retry=None) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_nothing_listens_on_the_network_for_postgres(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_the_folders_can_be_entered_by_the_servers_user_alone(postgres: Postgres) -> None:
    for path in (postgres.folder, postgres.socket_folder):
        assert path.stat().st_mode & 0o777 == 0o700


def test_all_processes_end_when_the_servers_are_stopped(breakable: Embedded) -> None:
    pids = [process.pid for process in breakable.processes.values()]
    breakable.stop()
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_killed_postmaster_starts_again_only_when_its_children_are_gone(
    breakable: Embedded, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    postgres = postgres_of(breakable)
    first = breakable.processes["postgres"]
    with contextlib.closing(psycopg.connect(postgres.url, autocommit=True)) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # a child that cannot notice its postmaster's death
        first.kill()
        first.wait()
        assert not postgres.may_start()
        os.kill(backend, signal.SIGCONT)
        eventually(postgres.may_start)
        # A process loses its command line when its memory goes, which is a moment before it counts as ended.
        eventually(lambda: not is_alive(backend))
    breakable.start()
    breakable.await_ready()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pid_file_whose_number_went_to_a_stranger_does_not_stop_a_start(folder: Path) -> None:
    embedded = embed(folder, valkey=False, options=FAST, fill=copy_template)
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'postgres'}\n")
    embedded.start()
    embedded.await_ready()
    embedded.stop(at_once=True)


def test_data_of_another_major_version_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(LaunchError, match=r"PostgreSQL 17, and this version brings 18: .*pg_dump.*pg_restore"):
        embed(folder, valkey=False)
    assert [path.name for path in (folder / "postgres").iterdir()] == ["PG_VERSION"]


def test_a_folder_with_something_else_in_it_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "holiday.jpg").touch()
    with pytest.raises(LaunchError, match="neither empty nor a PostgreSQL cluster: move it away"):
        embed(folder, valkey=False)


def test_what_a_broken_off_initialisation_left_is_cleared_away(folder: Path) -> None:
    left = folder / "postgres.draft-x1"
    left.mkdir()
    (left / "PG_VERSION").write_text("18\n")
    embed(folder, valkey=False, options=FAST)
    assert sorted(path.name for path in folder.iterdir()) == ["postgres", "run"]


def test_the_product_never_trades_durability_for_speed() -> None:
    assert (DURABLE["fsync"], DURABLE["synchronous_commit"]) == ("on", "on")
    assert "full_page_writes" not in DURABLE


def test_a_socket_in_a_deep_folder_gets_a_short_one_of_its_own() -> None:
    deep = Path("/srv") / ("deep" * 30)
    short = choose_socket_folder(deep)
    assert short == choose_socket_folder(deep)
    assert len(str(short / ".s.PGSQL.5432")) < 107
    short.parent.rmdir()


def test_a_server_that_ends_at_its_start_is_told(folder: Path) -> None:
    embedded = embed(folder, valkey=False, options={**FAST, "max_connections": "none"}, fill=copy_template)
    embedded.start()
    with pytest.raises(LaunchError, match="postgres ended at its start"):
        embedded.await_ready()
    embedded.stop()
