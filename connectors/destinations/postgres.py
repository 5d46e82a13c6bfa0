"""PostgreSQL: every event a row of a table, or a row for each user that is kept up to date.

**What you need.** Host, database, and a user that may insert into the table. TLS is demanded and the server's
certificate is checked for its name; an authority of your own goes into the settings. The table for events is made
when it is missing if you allow it; by hand it is

    CREATE TABLE events (message_id text PRIMARY KEY, source text, type text, event text, user_id text,
        anonymous_id text, received_at timestamptz, "timestamp" timestamptz, body jsonb)

**What each call becomes.** One row by its message id; an event that comes twice stays one row. A second action keeps
one row for each user, or for whatever the key's columns say, up to date. Values are read by the column's type, so a
table of your own may have other types; objects and lists become JSON.

**Limits.** A thousand rows go in one statement.

**What errors mean.** A row that the database cannot read (class 22) or a constraint forbids (class 23) is found, and
rejected with the database's words; the others are written. A missing table or column, a wrong password or a missing
right stop the destination until you have seen to it; when the database is restarting, full or out of connections, rows
wait. People are deleted by their user id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Built,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Payload,
    Preset,
    Settings,
)
from connectors.batching import refuse
from connectors.destinations import _records as records
from connectors.fields import ANONYMOUS_ID, EVENT, MESSAGE_ID, TIMESTAMP, TRAITS, USER_ID
from connectors.records import PostgresDelete, PostgresRow, SinkRequest

LONGEST_NAME = 63
MOST_ROWS, MOST_BYTES = 1_000, 8_000_000
MOST_COLUMNS = 200
COLUMNS = (
    *(("message_id", "text"), ("source", "text"), ("type", "text"), ("event", "text"), ("user_id", "text")),
    *(("anonymous_id", "text"), ("received_at", "timestamptz"), ("timestamp", "timestamptz"), ("body", "jsonb")),
)
NAME = r"[^\x00-\x1f\"]{1,63}"


@dataclass(frozen=True, slots=True)
class Database:
    """Where rows go."""

    target: Mapping[str, object] = field(repr=False)
    schema: str
    table: str


def prepare(settings: Settings) -> Database:
    """Work out the target once."""
    target = records.chosen(settings, "host", "port", "database", "username", "password", "tls", "ca_certificate")
    schema, table = str(settings.get("schema") or "public"), str(settings.get("table") or "events")
    if settings.get("create_table"):
        target["create_table"] = {"table": [schema, table], "columns": COLUMNS, "key": "message_id"}
    return Database(target, schema, table)


def build_rows(payloads: Sequence[Payload], database: Database, context: BuildContext) -> list[Built]:
    """Make a row of each event, by its message id."""
    rows = []
    for index, payload in enumerate(payloads):
        values = {name: payload.get(name) for name, _ in COLUMNS}
        values["message_id"] = values["message_id"] or context.message_ids[index]
        values["body"] = records.json_text(payload["body"]) if "body" in payload else None
        rows.append(PostgresRow((database.schema, database.table), values, ("message_id",)))
    return [_request(database, tuple(rows), tuple(range(len(rows))))] if rows else []


def build_upserts(payloads: Sequence[Payload], database: Database, context: BuildContext) -> list[Built]:
    """Make a row of each payload that takes the place of the one with the same key."""
    rows, covers, built = [], [], list[Built]()
    for index, payload in enumerate(payloads):
        made = _upsert(payload, database)
        if isinstance(made, PostgresRow):
            rows.append(made)
            covers.append(index)
        else:
            built.append(refuse(index, *made))
    return [*built, _request(database, tuple(rows), tuple(covers))] if rows else built


def _upsert(payload: Payload, database: Database) -> PostgresRow | tuple[str, str]:
    """One row, or the reason why there is none."""
    columns = payload["columns"]
    given = columns if isinstance(columns, Mapping) else {}
    values = {
        str(name): records.json_text(value) if isinstance(value, Mapping | list | tuple) else value
        for name, value in given.items()
    }
    if len(values) > MOST_COLUMNS:
        return "too_many_columns", f"A row has at most {MOST_COLUMNS} columns here."
    if any(not name or "\0" in name or len(name.encode("utf-8", "replace")) > LONGEST_NAME for name in values):
        return "bad_column", f"A column's name has 1 to {LONGEST_NAME} bytes."
    keys = payload["key"]
    key = tuple(map(str, keys)) if isinstance(keys, list | tuple) else ()
    if any(values.get(name) in (None, "") for name in key):
        return "no_key", "The row has no value in a column of its key; check the mapping."
    table = str(payload.get("table") or database.table)
    return PostgresRow((database.schema, table), values, key, is_upsert=True)


def _request(
    database: Database, made: tuple[PostgresRow | PostgresDelete, ...], covers: tuple[int, ...]
) -> SinkRequest:
    return SinkRequest("postgres", database.target, made, covers, 30.0, "rows")


def build_deletion(people: Sequence[Identifiers], database: Database, context: BuildContext) -> list[Built]:
    """Delete the rows of people by their user id."""
    known = [(index, person.user_id) for index, person in enumerate(people) if person.user_id]
    built: list[Built] = [records.nobody(index) for index, person in enumerate(people) if not person.user_id]
    if known:
        table = (database.schema, database.table)
        deletes = tuple(PostgresDelete(table, "user_id", (user_id,)) for _, user_id in known)
        built.append(_request(database, deletes, tuple(index for index, _ in known)))
    return built


def build_test(database: Database, context: BuildContext) -> SinkRequest:
    """Sign in, and write nothing."""
    return SinkRequest("postgres", database.target, (), timeout_s=15.0, endpoint_label="test")


BATCH = BatchRule(max_items=MOST_ROWS, max_bytes=MOST_BYTES)
INSERT = Action(
    key="insert",
    title="Insert a row",
    description="Add the event to the table.",
    default_trigger=ALL_CALLS,
    fields=(
        Field("message_id", "Message id", default=MESSAGE_ID, category="identifier"),
        records.SOURCE,
        records.TYPE,
        Field("event", "Event", default=EVENT),
        Field("user_id", "User id", default=USER_ID, category="identifier"),
        Field("anonymous_id", "Anonymous id", default=ANONYMOUS_ID, category="identifier"),
        Field("received_at", "Received", "datetime", default={"@path": "$.receivedAt"}),
        Field("timestamp", "Time", "datetime", default=TIMESTAMP),
        Field("body", "Body", "object", "The whole event.", default={"@path": "$."}, category="data"),
    ),
    build=build_rows,
    batch=BATCH,
)
UPSERT = Action(
    key="upsert",
    title="Keep a row up to date",
    description="Write a row in place of the one with the same key.",
    default_trigger='type = "identify"',
    fields=(
        Field("table", "Table", description="Empty for the one of the settings.", pattern=NAME),
        Field(
            "columns",
            "Columns",
            "object",
            "Their names and values.",
            required=True,
            default={"user_id": USER_ID, "traits": TRAITS, "updated_at": TIMESTAMP},
            category="pii",
        ),
        Field("key", "Key", description="The columns of the primary key or of a unique index.", required=True,
              multiple=True, default=["user_id"], pattern=NAME),
    ),
    build=build_upserts,
    batch=BATCH,
)  # fmt: skip

connector = Connector(
    slug="postgres",
    name="PostgreSQL",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Writes events as rows of a PostgreSQL table.",
    docs_url="https://www.postgresql.org/docs/current/sql-insert.html",
    settings=(
        *records.host(5432, "db.acme.test"),
        Field("database", "Database", required=True, maximum=63),
        Field("username", "User name", required=True, maximum=63),
        records.PASSWORD,
        Field(
            "tls",
            "TLS",
            default="verify-full",
            choices=(("verify-full", "Encrypted, certificate checked"), ("none", "None")),
            clears_secrets=True,
        ),
        records.CA_CERTIFICATE,
        Field("schema", "Schema", required=True, default="public", pattern=NAME),
        Field("table", "Table", required=True, default="events", pattern=NAME),
        Field("create_table", "Create the table", "boolean", "The one for events, when it is missing.", default=False),
    ),
    actions=(INSERT, UPSERT),
    presets=(Preset("All events", "insert", ALL_CALLS, INSERT.default_mapping),),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    kind="sink",
    allows_custom_host=True,
    idempotency="field:message_id",
)
