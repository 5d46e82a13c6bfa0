"""PostgreSQL: rows inserted, or brought up to date, many in one statement; people's rows deleted.

Keys of the target: host, port, database, username, password, tls (`verify-full`, `none`), ca_certificate. libpq gets
the address that the gate has judged and keeps the name for the certificate; nothing of this machine's own libpq
settings (password file, service, client certificate) is used. Values go as text, which the column's type reads: a row
that it cannot read is found by halving the statement and rejected by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any, cast

import psycopg
from psycopg import Connection, sql

from connectors.http import CONFIG_ERROR, ItemOutcome, Outcome, SendError
from connectors.records import PostgresDelete, PostgresRow, SinkRequest
from hub.delivery.sinks import SinkError, Target, lets_us_in, network
from hub.delivery.sinks.dialling import CONNECT_SECONDS, Leash, Way, as_file, is_quiet, judged, number, text
from hub.lib import net
from hub.lib.net import Gate

ROWS_A_STATEMENT = 1_000
PARAMETERS_A_STATEMENT = 60_000
LONGEST_WORDS = 300
NO_FILE = "/dev/null/none"  # libpq would read the password file of whoever runs this process
Entry = tuple[int, PostgresRow]
# What a refusal at the door means where libpq gives no code, only words, in whatever language the server speaks: so
# these come last.
AT_THE_DOOR: Sequence[tuple[tuple[str, ...], Outcome, str, str]] = (
    (
        ("password authentication failed", "no password supplied", "role", "pg_hba.conf", "authentication failed"),
        Outcome.UNAUTHORIZED,
        "unauthorized",
        "The database refuses user name or password; enter them again.",
    ),
    (("database",), Outcome.DISABLED, "no_database", "There is no database of this name; check the settings."),
    (("permission denied",), Outcome.DISABLED, "forbidden", "The user may not connect to this database."),
)
BUSY_WORDS = ("too many", "slots are reserved", "starting up", "shutting down", "recovery", "administrator command")
# libpq's own words, which are English here, when the connection ended and the server said nothing.
BROKEN_OFF = ("server closed the connection", "could not receive data", "ssl error")
ROW_FAULTS = ("22", "23", "54")
STOPS: Mapping[str, tuple[Outcome, str, str]] = {
    "28P01": (Outcome.UNAUTHORIZED, "unauthorized", "The database refuses user name or password."),
    "28000": (Outcome.UNAUTHORIZED, "unauthorized", "The database refuses this user."),
    "3D000": (Outcome.DISABLED, "no_database", "There is no database of this name; check the settings."),
    "3F000": (Outcome.DISABLED, "no_schema", "There is no schema of this name; check the settings."),
    "42P01": (Outcome.DISABLED, "no_table", "There is no table of this name; make it, and switch on again."),
    "42703": (Outcome.DISABLED, "no_column", "The table lacks a column that the mapping fills."),
    "42P10": (Outcome.DISABLED, "no_unique_key", "The table has no primary key or unique index on the key's columns."),
    "42501": (Outcome.DISABLED, "forbidden", "The user may not write to this table."),
}
NO_TABLE = "42P01"
MADE_MEANWHILE = frozenset({"42P07", "23505"})
READ_ONLY, CANCELED = "25006", "57014"
TRANSIENT = ("08", "53", "57", "58", "40", "55", "XX")


class PostgresSink:
    """One connection, each statement a transaction of its own."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self._missing = target.get("create_table")
        self._leash = Leash()
        self._connection = connect(target, gate, seconds)
        self._leash.hold(self._connection.fileno())

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        until = monotonic() + request.timeout_s
        with self._leash.within(request.timeout_s):
            if not request.records:
                self._prove()
                return lets_us_in(request)
            outcomes: dict[int, ItemOutcome] = {}
            for group in groups(zip(request.covers, request.records, strict=True)):
                self._insert(group, outcomes, until)
            for index, record in zip(request.covers, request.records, strict=True):
                if isinstance(record, PostgresDelete):
                    outcomes[index] = self._delete(index, record)
            return [outcomes[index] for index in request.covers]

    def is_fresh(self) -> bool:
        return not self._connection.closed and is_quiet(self._connection.fileno())

    def close(self) -> None:
        self._connection.close()
        self._leash.release()

    def _prove(self) -> None:
        failed = self._run(sql.SQL("SELECT 1"), ())
        if failed is not None:
            raise self._stopping(failed) or SinkError(Outcome.RETRY, "server_error", words_of(failed))

    def _insert(self, group: Sequence[Entry], outcomes: dict[int, ItemOutcome], until: float) -> None:
        """Insert rows of one form; halve them when one of them is at fault."""
        if monotonic() >= until:
            failed = network(SendError.TIMEOUT)
            outcomes |= {index: ItemOutcome(index, failed.outcome, 0, failed.reason, str(failed)) for index, _ in group}
            return
        rows = distinct([row for _, row in group])
        error = self._insert_all(rows)
        if error is None:
            outcomes |= {index: ItemOutcome(index, Outcome.DELIVERED) for index, _ in group}
            return
        stop = self._stopping(error)
        if stop is not None:
            raise stop
        code = error.sqlstate or ""
        if not code.startswith(ROW_FAULTS):
            said = f"{code}: The database has trouble of its own."
            reason = "timeout" if code == CANCELED else "server_error"
            outcomes |= {index: ItemOutcome(index, Outcome.RETRY, 0, reason, said) for index, _ in group}
        elif len(group) == 1:
            reason = "constraint" if code.startswith("23") else "bad_value"
            outcomes[group[0][0]] = ItemOutcome(group[0][0], Outcome.REJECTED, 0, reason, f"{code}: {words_of(error)}")
        else:
            half = len(group) // 2
            self._insert(group[:half], outcomes, until)
            self._insert(group[half:], outcomes, until)

    def _insert_all(self, rows: Sequence[PostgresRow]) -> psycopg.Error | None:
        """Insert rows by one statement; the table that may be made is made when it is missing."""
        values = [as_text(value) for row in rows for value in row.values.values()]
        error = self._run(statement(rows), values)
        missing = self._missing
        if error is None or error.sqlstate != NO_TABLE or not isinstance(missing, Mapping):
            return error
        if tuple(missing["table"]) != rows[0].table:
            return error
        refusal = self._run(creation(missing), ())
        if refusal is not None and refusal.sqlstate not in MADE_MEANWHILE:
            return refusal
        return self._run(statement(rows), values)

    def _delete(self, index: int, record: PostgresDelete) -> ItemOutcome:
        error = self._run(
            sql.SQL("DELETE FROM {} WHERE {}::text = ANY(%s)").format(
                sql.Identifier(*record.table), sql.Identifier(record.column)
            ),
            [[as_text(value) for value in record.values]],
        )
        if error is None:
            return ItemOutcome(index, Outcome.DELIVERED)
        stop = self._stopping(error)
        if stop is not None:
            raise stop
        is_fault = (error.sqlstate or "").startswith(ROW_FAULTS)
        outcome, reason = (Outcome.REJECTED, "constraint") if is_fault else (Outcome.RETRY, "server_error")
        return ItemOutcome(index, outcome, 0, reason, f"{error.sqlstate}: {words_of(error)}")

    def _run(self, query: sql.Composable, parameters: Sequence[object]) -> psycopg.Error | None:
        """Run one statement. What it says of a lost connection is an outcome of all."""
        try:
            self._connection.execute(cast(sql.Composed, query), parameters)
        except psycopg.Error as error:
            if self._connection.closed or not error.sqlstate:
                raise network(self._leash.failure(SendError.INCOMPLETE), sent=True) from error
            return error
        return None

    def _stopping(self, error: psycopg.Error) -> SinkError | None:
        """What concerns every row alike, and needs the owner."""
        code = error.sqlstate or ""
        if code in STOPS:
            outcome, reason, message = STOPS[code]
            return SinkError(outcome, reason, f"{code}: {message}")
        if code.startswith(TRANSIENT) or code == READ_ONLY or code.startswith(ROW_FAULTS):
            return None
        return SinkError(Outcome.DISABLED, CONFIG_ERROR, f"{code}: {words_of(error)}")


def connect(target: Target, gate: Gate, seconds: float) -> Connection[tuple[object, ...]]:
    """A connection to one of the judged addresses."""
    is_tls = text(target, "tls", "verify-full") != "none"
    way = Way(gate, "postgres", text(target, "host"), number(target, "port", 5432), is_tls)
    addresses = [str(address[0]) for _, address in judged(way)]
    with ExitStack() as files:
        options: dict[str, object] = {
            "host": ",".join([way.host] * len(addresses)),
            "hostaddr": ",".join(addresses),
            "port": str(way.port),
            "dbname": text(target, "database"),
            "user": text(target, "username"),
            "password": text(target, "password"),
            "connect_timeout": str(max(2, int(min(seconds, CONNECT_SECONDS)))),
            "application_name": "headwater",
            "client_encoding": "utf8",
            "sslmode": "verify-full" if is_tls else "disable",
            "sslcertmode": "disable",
            "gssencmode": "disable",
            "passfile": NO_FILE,
            "tcp_user_timeout": str(int(seconds * 1000)),
            "options": "",
        }
        if is_tls:
            authority = text(target, "ca_certificate")
            options["sslrootcert"] = (
                files.enter_context(as_file(authority)) if authority else net.ca_bundle() or "system"
            )
        try:
            return psycopg.connect("", autocommit=True, prepare_threshold=None, **options)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise at_the_door(error) from error


def at_the_door(error: psycopg.Error) -> SinkError:
    """Why there is no connection: by what psycopg knows, else by the server's words, else by how far it came."""
    said, code, pgconn = str(error).lower(), error.sqlstate or "", error.pgconn
    has_shown_password = pgconn is not None and pgconn.used_password
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return network(SendError.TIMEOUT)
    if code in STOPS:
        outcome, reason, message = STOPS[code]
        return SinkError(outcome, reason, f"{code}: {message}")
    if code:
        return SinkError(Outcome.RETRY, "busy", f"{code}: The database takes no connection at present.")
    if pgconn is not None and pgconn.needs_password:
        return SinkError(Outcome.UNAUTHORIZED, "unauthorized", "The database wants a password; enter it.")
    if "certificate" in said:
        return network(SendError.TLS)
    if "fatal" in said:
        for marks, outcome, reason, message in AT_THE_DOOR:
            if any(mark in said.partition("fatal")[2] for mark in marks):
                return SinkError(outcome, reason, message)
        if not has_shown_password or any(words in said for words in BUSY_WORDS):
            return SinkError(Outcome.RETRY, "busy", "The database takes no connection at present.")
    if "server does not support ssl" in said:
        return SinkError(Outcome.DISABLED, "no_tls", "The database does not offer TLS.")
    if has_shown_password and not any(words in said for words in BROKEN_OFF):
        words = str(error).rpartition(":")[2].strip()[:LONGEST_WORDS]
        message = f"The database was shown the password and lets nobody in; it says: {words}"
        return SinkError(Outcome.UNAUTHORIZED, "unauthorized", message)
    return network(SendError.CONNECT)


def groups(entries: Iterable[tuple[int, object]]) -> Iterable[list[Entry]]:
    """Rows that one statement can hold: of one table, with the same columns and key."""
    together: dict[object, list[Entry]] = {}
    for index, record in entries:
        if not isinstance(record, PostgresRow):
            continue
        form = (record.table, tuple(record.values), record.unique, record.is_upsert)
        group = together.setdefault(form, [])
        group.append((index, record))
        if len(group) == min(ROWS_A_STATEMENT, PARAMETERS_A_STATEMENT // max(1, len(record.values))):
            yield together.pop(form)
    yield from together.values()


def distinct(rows: Sequence[PostgresRow]) -> Sequence[PostgresRow]:
    """Of rows with the same key the last: one statement cannot bring a row up to date twice."""
    if not rows[0].is_upsert:
        return rows
    return list({tuple(as_text(row.values.get(name)) for name in row.unique): row for row in rows}.values())


def statement(rows: Sequence[PostgresRow]) -> sql.Composed:
    first = rows[0]
    names = list(first.values)
    one = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(names)))
    query = sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
        sql.Identifier(*first.table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([one] * len(rows)),
    )
    if not first.unique:
        return query
    key = sql.SQL(", ").join(map(sql.Identifier, first.unique))
    changed = [name for name in names if name not in first.unique]
    if not (first.is_upsert and changed):
        return sql.SQL("{} ON CONFLICT ({}) DO NOTHING").format(query, key)
    changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in changed)
    return sql.SQL("{} ON CONFLICT ({}) DO UPDATE SET {}").format(query, key, changes)


def creation(missing: Mapping[str, Any]) -> sql.Composed:
    """The statement that makes a table, from its name, columns with types of our own choice, and key."""
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in missing["columns"]]
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
        sql.Identifier(*missing["table"]), sql.SQL(", ").join(columns), sql.Identifier(missing["key"])
    )


def as_text(value: object) -> str | None:
    """A value as any column's type reads it; no database takes NUL."""
    if value is None or isinstance(value, str):
        return value if value is None else value.replace("\0", "�")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def words_of(error: psycopg.Error) -> str:
    """What the database says of a row, without the row itself."""
    return (error.diag.message_primary or type(error).__name__)[:LONGEST_WORDS]


def open_sink(target: Target, gate: Gate, timeout_s: float) -> PostgresSink:
    """Connect and sign in."""
    return PostgresSink(target, gate, timeout_s)
