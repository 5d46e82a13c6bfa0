"""The PostgreSQL driver against a real server: behind TLS, with passwords, and with a network that fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import FinishedPGconn

from connectors.http import ItemOutcome, Outcome, Scope
from connectors.records import PostgresDelete, PostgresRow, SinkRequest
from hub.delivery.sinks.postgres import as_text, at_the_door
from hub.delivery.sinks.running import Runner
from hub.lib import postgres
from tests.certificates import own_certificate, server_context
from tests.delivery.sinks.conftest import Write
from tests.relays import Relay, to_unix

PASSWORD = "a-good-password"
SHUT_OUT = ("unauthorized", "unauthorized")
TABLE = ("public", "sink_events")
MAKE = """
DROP TABLE IF EXISTS sink_events, sink_other, sink_made;
CREATE TABLE sink_events (message_id text PRIMARY KEY, n integer, body jsonb, at timestamptz, CHECK (n < 1000))
"""


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any]]:
    """The cluster of the tests, where one user has to show a password."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        hba = Path(row[0])
        before = hba.read_text()
        connection.execute(f"CREATE ROLE sinker LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO sinker")
        hba.write_text(f"local all sinker scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield connection
        finally:
            hba.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP TABLE IF EXISTS sink_events, sink_other, sink_made")
            connection.execute("DROP OWNED BY sinker; DROP ROLE sinker")


@pytest.fixture
def table(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    database.execute(MAKE)
    database.execute("GRANT ALL ON sink_events TO sinker")
    return database


@pytest.fixture
def relay(database: psycopg.Connection[Any]) -> Iterator[Relay]:
    with Relay(socket_of(database)) as running:
        yield running


def socket_of(database: psycopg.Connection[Any]) -> Any:
    return to_unix(f"{database.info.host}/.s.PGSQL.{database.info.port}")


def request(
    relay: Relay, *records: PostgresRow | PostgresDelete, timeout_s: float = 10.0, **target: Any
) -> SinkRequest:
    known = {"host": "127.0.0.1", "port": relay.port, "tls": "none", "username": "sinker", "password": PASSWORD}
    where = {**known, "database": database_name(), **target}
    return SinkRequest("postgres", where, records, tuple(range(len(records))) or (0,), timeout_s, "rows")


def database_name() -> str:
    with psycopg.connect(postgres.dsn()) as connection:
        return str(connection.info.dbname)


def row(n: object, key: str = "", **changes: Any) -> PostgresRow:
    values = {"message_id": key or f"m-{n}", "n": n, "body": {"n": str(n)}, "at": "2026-03-01T12:00:00.000Z"}
    return PostgresRow(TABLE, {**values, **changes.pop("values", {})}, ("message_id",), **changes)


def words(outcomes: list[ItemOutcome]) -> list[tuple[str, str]]:
    return [(one.outcome.value, one.reason) for one in outcomes]


def stored(table: psycopg.Connection[Any]) -> list[int]:
    return [n for (n,) in table.execute("SELECT n FROM sink_events ORDER BY n").fetchall()]


def test_rows_are_inserted_once_however_often_they_come(
    table: psycopg.Connection[Any], relay: Relay, write: Write
) -> None:
    assert words(write(request(relay, row(1), row(2), row(2)))) == [("delivered", "")] * 3
    assert words(write(request(relay, row(2), row(3)))) == [("delivered", "")] * 2
    assert stored(table) == [1, 2, 3]
    assert relay.connection_count == 1
    (body,) = table.execute("SELECT body FROM sink_events WHERE n = 1").fetchone() or ()
    assert body == {"n": "1"}


def test_a_row_is_brought_up_to_date(table: psycopg.Connection[Any], relay: Relay, write: Write) -> None:
    write(request(relay, row(1, "ada")))
    outcomes = write(request(relay, row(2, "ada", is_upsert=True), row(3, "ada", is_upsert=True)))
    assert words(outcomes) == [("delivered", "")] * 2
    assert stored(table) == [3]


def test_one_bad_row_among_a_hundred_is_found(table: psycopg.Connection[Any], relay: Relay, write: Write) -> None:
    rows = [row(n) for n in range(100)]
    rows[63] = row("sixty-three")
    outcomes = write(request(relay, *rows))
    assert [place for place, one in enumerate(outcomes) if one.outcome is not Outcome.DELIVERED] == [63]
    assert words(outcomes[63:64]) == [("rejected", "bad_value")]
    assert "sixty-three" in outcomes[63].message
    assert len(stored(table)) == 99


def test_what_a_constraint_forbids_is_rejected_alone(
    table: psycopg.Connection[Any], relay: Relay, write: Write
) -> None:
    outcomes = write(request(relay, row(1), row(1_000), row(2, values={"n": None})))
    assert words(outcomes) == [("delivered", ""), ("rejected", "constraint"), ("delivered", "")]


def test_more_rows_than_a_statement_takes_go_in_several(
    table: psycopg.Connection[Any], relay: Relay, write: Write
) -> None:
    outcomes = write(request(relay, *[row(n % 1_000, f"m-{n}") for n in range(1_001)]))
    assert {one.outcome for one in outcomes} == {Outcome.DELIVERED}
    assert len(stored(table)) == 1_001


def test_rows_of_people_are_deleted(table: psycopg.Connection[Any], relay: Relay, write: Write) -> None:
    write(request(relay, row(1), row(2), row(3)))
    outcomes = write(request(relay, PostgresDelete(TABLE, "n", (1, 3)), PostgresDelete(TABLE, "n", (7,))))
    assert words(outcomes) == [("delivered", "")] * 2
    assert stored(table) == [2]


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (PostgresRow(("public", "sink_missing"), {"message_id": "1"}, ("message_id",)), ("disabled", "no_table")),
        (PostgresRow(("nowhere", "sink_events"), {"message_id": "1"}, ("message_id",)), ("disabled", "no_table")),
        (PostgresRow(TABLE, {"message_id": "1", "x": "y"}, ("message_id",)), ("disabled", "no_column")),
        (PostgresRow(TABLE, {"message_id": "1", "n": 1}, ("n",)), ("disabled", "no_unique_key")),
        (PostgresRow(("public", "sink_other"), {"message_id": "1"}), ("disabled", "forbidden")),
    ],
)
def test_what_only_the_owner_can_mend_stops_the_destination(
    table: psycopg.Connection[Any], relay: Relay, write: Write, record: PostgresRow, outcome: tuple[str, str]
) -> None:
    table.execute("CREATE TABLE sink_other (message_id text)")
    assert words(write(request(relay, record))) == [outcome]


def test_a_table_that_may_be_made_is_made_when_it_is_missing(
    table: psycopg.Connection[Any], relay: Relay, write: Write
) -> None:
    missing = {"table": ["public", "sink_made"], "columns": [["message_id", "text"], ["n", "int"]], "key": "message_id"}
    made = PostgresRow(("public", "sink_made"), {"message_id": "1", "n": 1}, ("message_id",))
    assert words(write(request(relay, create_table=missing))) == [("delivered", "")]
    assert table.execute("SELECT to_regclass('sink_made')").fetchone() == (None,)  # a test makes nothing
    assert words(write(request(relay, made, made, create_table=missing))) == [("delivered", "")] * 2
    assert table.execute("SELECT n FROM sink_made").fetchall() == [(1,)]


# Connecting


@pytest.mark.parametrize(
    ("words", "known", "outcome"),
    [
        ("FATAL:  Passwort-Authentifizierung für Benutzer »sinker« fehlgeschlagen", {"used_password": True}, SHUT_OUT),
        ('ВАЖНО:  пользователь "sinker" не прошёл проверку подлинности', {"used_password": True}, SHUT_OUT),
        ("fe_sendauth: kein Passwort angegeben", {"needs_password": True}, SHUT_OUT),
        ("FATAL:  remaining connection slots are reserved", {"used_password": True}, ("retry", "busy")),
        ("FATAL:  das Datenbanksystem startet", {}, ("retry", "busy")),
        ("server closed the connection unexpectedly", {"used_password": True}, ("retry", "connect")),
        ("Verbindungsaufbau abgelehnt", {}, ("retry", "connect")),
    ],
)
def test_a_server_may_speak_any_language(words: str, known: dict[str, bool], outcome: tuple[str, str]) -> None:
    error = psycopg.OperationalError(f'connection failed: connection to server at "::1", port 1 failed: {words}')
    error._pgconn = FinishedPGconn(**known)  # type: ignore[assignment]
    refusal = at_the_door(error)
    assert (refusal.outcome.value, refusal.reason) == outcome


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (psycopg.errors.InvalidPassword, SHUT_OUT),
        (psycopg.errors.InvalidAuthorizationSpecification, SHUT_OUT),
        (psycopg.errors.InvalidCatalogName, ("disabled", "no_database")),
        (psycopg.errors.InsufficientPrivilege, ("disabled", "forbidden")),
        (psycopg.errors.TooManyConnections, ("retry", "busy")),
        (psycopg.errors.CannotConnectNow, ("retry", "busy")),
        (psycopg.errors.ConnectionTimeout, ("retry", "timeout")),
    ],
)
def test_a_code_says_more_than_words(kind: type[psycopg.Error], outcome: tuple[str, str]) -> None:
    refusal = at_the_door(kind("ошибка"))
    assert (refusal.outcome.value, refusal.reason) == outcome


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"password": "a-bad-password"}, ("unauthorized", "unauthorized")),
        ({"password": ""}, ("unauthorized", "unauthorized")),
        ({"username": "nobody-at-all"}, ("unauthorized", "unauthorized")),
        ({"database": "nowhere-at-all"}, ("disabled", "no_database")),
        ({"host": "/var/run/postgresql"}, ("disabled", "config_error")),
        ({"host": "@postgres"}, ("disabled", "config_error")),
        ({"tls": "verify-full"}, ("disabled", "no_tls")),
    ],
)
def test_a_door_that_stays_shut_says_why(
    relay: Relay, write: Write, changes: dict[str, Any], outcome: tuple[str, str]
) -> None:
    outcomes = write(request(relay, row(1), **changes))
    assert words(outcomes) == [outcome]
    assert not any(secret in outcomes[0].message for secret in ("a-bad-password", "127.0.0.1"))


def test_a_certificate_is_checked_for_the_name(table: psycopg.Connection[Any], tmp_path: Path, write: Write) -> None:
    mine, other = own_certificate(tmp_path), own_certificate(tmp_path, "127.0.0.2")
    with Relay(socket_of(table), server_context(mine), asks_first=True) as relay:
        trusted = request(relay, row(1), tls="verify-full", ca_certificate=mine.read_text())
        assert words(write(trusted)) == [("delivered", "")]
        assert words(write(request(relay, row(2), tls="verify-full"))) == [("disabled", "tls_error")]
    with Relay(socket_of(table), server_context(other), asks_first=True) as relay:
        named_otherwise = request(relay, row(2), tls="verify-full", ca_certificate=other.read_text())
        assert words(write(named_otherwise)) == [("disabled", "tls_error")]
    assert stored(table) == [1]


def test_a_database_that_is_gone_is_waited_for(table: psycopg.Connection[Any], relay: Relay, runner: Runner) -> None:
    relay.stop()
    (outcome,), answer = runner.write(request(relay, row(1)))
    assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "connect", Scope.DESTINATION)
    assert (answer.error, answer.sent) == ("connect", False)


def test_a_connection_that_broke_while_idle_is_made_anew(
    table: psycopg.Connection[Any], relay: Relay, write: Write
) -> None:
    write(request(relay, row(1)))
    table.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'sinker'")
    assert words(write(request(relay, row(2)))) == [("delivered", "")]
    assert stored(table) == [1, 2]


def test_a_database_that_does_not_answer_is_left(table: psycopg.Connection[Any], relay: Relay, runner: Runner) -> None:
    runner.write(request(relay, row(1)))
    relay.flows.clear()
    (outcome,), answer = runner.write(request(relay, row(2), timeout_s=0.5))
    assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "timeout", Scope.EVENT)
    assert (answer.error, answer.sent) == ("timeout", True)


def test_rows_that_are_locked_for_too_long_wait(table: psycopg.Connection[Any], relay: Relay, write: Write) -> None:
    table.execute("ALTER ROLE sinker SET lock_timeout = '100ms'")
    with psycopg.connect(postgres.dsn()) as other:
        other.execute("LOCK TABLE sink_events IN ACCESS EXCLUSIVE MODE")
        outcomes = write(request(relay, row(1)))
    table.execute("ALTER ROLE sinker RESET lock_timeout")
    assert words(outcomes) == [("retry", "server_error")]


def test_sinks_are_used_by_one_thread_at_a_time(table: psycopg.Connection[Any], relay: Relay, runner: Runner) -> None:
    sent = [request(relay, row(n)) for n in range(20)]
    threads = [threading.Thread(target=runner.write, args=(each,)) for each in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert stored(table) == list(range(20))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (1.5, "1.5"),
        ("a\0b", "a�b"),
        ({"a": [1]}, json.dumps({"a": [1]})),
    ],
)
def test_every_value_is_a_text_that_columns_read(value: object, text: str | None) -> None:
    assert as_text(value) == text
