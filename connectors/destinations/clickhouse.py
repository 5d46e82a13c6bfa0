"""ClickHouse: every event a row, over the HTTP interface.

You need the address of the HTTP interface (port 8443 with TLS, 8123 without), a user that may insert, and a database.
The table is created when it is missing if you allow it; the user then needs the right to do so. A table of your own has
at least the columns id, type, event, name, user_id, anonymous_id, group_id, previous_id, timestamp, received_at,
properties, traits and context; the last three hold JSON, as text or in columns of the type JSON. More columns can be
filled by the mapping. Those that the table lacks are added if you allow it, nullable, as Bool, Int64, Float64,
DateTime64 or String by the first value that is not null; a column that is there is never changed, and a row that does
not fit it is rejected. Otherwise a missing column stops the destination until you have added it.

Rows go in with a token by which ClickHouse knows a repeated insert. The table that is made for you also replaces rows
of the same person and id when its parts are merged; read it with FINAL where a repeat must not show.

A row that ClickHouse cannot read is found by halving the batch, and rejected by itself. When it has too many parts or
too little memory, rows wait; when the table is gone or the password is wrong, the destination stops and nothing is
lost. People are deleted by their ids with a lightweight DELETE.
"""

from __future__ import annotations

from connectors import auth
from connectors.base import ALL_CALLS, Action, BatchRule, Connector, Deletion, Field, Preset, ResolveStep
from connectors.destinations import _clickhouse as calls
from connectors.destinations._columns import COLUMNS

NAME = calls.NAME.pattern

SETTINGS = (
    Field(
        "url",
        "Address",
        description="Of the HTTP interface. Changing it forgets the stored password.",
        required=True,
        format="uri",
        clears_secrets=True,
        placeholder="https://clickhouse.example:8443",
    ),
    Field("username", "User name", required=True, default="default", pattern=r"[^:]*", maximum=500),
    Field("password", "Password", "password", secret=True, maximum=500),
    Field("database", "Database", required=True, default="default", pattern=NAME),
    Field("table", "Table", required=True, default="events", pattern=NAME),
    Field("create_table", "Create the table", "boolean", "When it is missing.", default=True),
    Field(
        "add_columns",
        "Add missing columns",
        "boolean",
        "Those that a mapping fills and the table lacks. The user needs the right to alter the table.",
        default=False,
    ),
    Field(
        "json_type",
        "Properties, traits and context",
        description="Of the table that is created: the type JSON needs ClickHouse 25.3 or later.",
        default="String",
        choices=(("String", "As text"), ("JSON", "As columns of the type JSON")),
    ),
    Field(
        "async_insert",
        "Gather inserts",
        "boolean",
        "ClickHouse puts small inserts together before it writes them, and answers when they are written.",
        default=True,
    ),
)


INSERT = Action(
    key="insert",
    title="Insert a row",
    description="Add the event to the table.",
    default_trigger=ALL_CALLS,
    fields=COLUMNS,
    build=calls.build_rows,
    batch=BatchRule(max_items=10_000, max_bytes=20_000_000),
    resolve=(
        ResolveStep(
            key="table",
            build=calls.build_table,
            read=calls.read_table,
            per="batch",
            cache_key=lambda payload, server: server.table,
            ttl_s=3_600.0,
        ),
        ResolveStep(
            key="columns",
            build=calls.build_columns,
            read=calls.read_table,
            cache_key=calls.columns_key,
            ttl_s=3_600.0,
        ),
    ),
)

connector = Connector(
    slug="clickhouse",
    name="ClickHouse",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Inserts events as rows of a ClickHouse table.",
    docs_url="https://clickhouse.com/docs/interfaces/http",
    settings=SETTINGS,
    actions=(INSERT,),
    presets=(Preset("All events", "insert", ALL_CALLS, INSERT.default_mapping),),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=500, build=calls.build_deletion),
    interpret=calls.read_answer,
    auth=(auth.basic(),),
    allows_custom_host=True,
    idempotency="field:insert_deduplication_token",
)
