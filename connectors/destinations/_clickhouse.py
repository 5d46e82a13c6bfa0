"""ClickHouse's statements over HTTP, and what its error codes mean for rows and table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from connectors import auth
from connectors.answers import for_all, object_of, verdict
from connectors.base import BuildContext, Built, Found, Identifiers, Payload, Settings
from connectors.batching import JsonObject, groups_of, ids_of, unknown_people
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret, retry_after_of
from connectors.moments import text_of

MOST_DELETED_IDS = 1_000
TEXTS = ("type", "event", "name", "user_id", "anonymous_id", "group_id", "previous_id")
OBJECTS = ("properties", "traits", "context")
CODE_IN_BODY = re.compile(rb"\s*Code: (\d{1,5})\.")
BUSY_SECONDS = 10.0
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
CHANGES = {
    "create_table": ("table_not_created", "ClickHouse does not create the table (code {}); make it yourself."),
    "add_columns": ("columns_not_added", "ClickHouse does not add the columns (code {}); add them yourself."),
}

# A row, or one of the rows, is at fault.
ROW_CODES = frozenset(
    (
        *(6, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 190, 321, 349, 376, 407, 441, 467, 469),
        *(675, 676),
    )
)
BUSY_CODES = frozenset((202, 252))  # too many queries, too many parts
RETRY_CODES = frozenset((3, 74, 75, 76, 159, 160, 173, 198, 209, 210, 225, 236, 241, 242, 243, 285, 319, 394, 999))
LOGIN_CODES = frozenset((164, 192, 193, 194, 195, 291, 497, 516))
MISSING = {
    60: ("table_not_found", "The table is missing."),
    81: ("database_not_found", "The database is missing."),
    16: ("unknown_column", "The table has no column for a value; add it, or take it out of the mapping."),
    47: ("unknown_column", "The table has no column for a value; add it, or take it out of the mapping."),
    115: ("unknown_setting", "This ClickHouse is older than what inserts need."),
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where rows go."""

    url: str
    headers: Headers
    table: str  # quoted
    definition: str  # empty: the table is the owner's business
    is_growing: bool  # columns that it lacks are added
    options: tuple[tuple[str, str], ...]


def prepare(settings: Settings) -> Server:
    """Work out address, credentials and statements once. Names have a form in which nothing needs to be escaped."""
    table = f"`{settings['database']}`.`{settings['table']}`"
    options = [("date_time_input_format", "best_effort"), ("input_format_json_read_objects_as_strings", "1")]
    if settings.get("async_insert") is not False:
        options += [("async_insert", "1"), ("wait_for_async_insert", "1"), ("async_insert_deduplicate", "1")]
    return Server(
        str(settings["url"]).rstrip("/") + "/",
        auth.headers(auth.basic(), settings),
        table,
        definition_of(table, str(settings.get("json_type") or "String")) if settings.get("create_table") else "",
        settings.get("add_columns") is True,
        tuple(options),
    )


def definition_of(table: str, json_type: str) -> str:
    """Give the statement that makes the table: rows of one person together, repeats replaced."""
    texts = ", ".join(f"{name} {'LowCardinality(String)' if name == 'type' else 'String'}" for name in TEXTS)
    moments = ", ".join(f"{name} DateTime64(3, 'UTC')" for name in ("timestamp", "received_at"))
    objects = ", ".join(f"{name} {json_type}" for name in OBJECTS)
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (id String, {texts}, {moments}, {objects}) "
        "ENGINE = ReplacingMergeTree(received_at) PARTITION BY toYYYYMM(received_at) ORDER BY (user_id, id) "
        "SETTINGS non_replicated_deduplication_window = 1000"
    )


def build_rows(payloads: Sequence[Payload], server: Server, context: BuildContext) -> list[Built]:
    """Insert the rows of a batch at once, under a token that the same rows always have."""
    rows = [_row(payload, mark, context) for payload, mark in zip(payloads, context.message_ids, strict=True)]
    token = "hw_" + hashlib.sha256("\n".join(context.names or context.delivery_ids).encode()).hexdigest()[:40]
    query = urlencode(
        [
            ("query", f"INSERT INTO {server.table} FORMAT JSONEachRow"),
            *server.options,
            ("insert_deduplication_token", token),
        ]
    )
    return [
        RequestSpec(
            "POST",
            f"{server.url}?{query}",
            server.headers,
            rows,
            "ndjson",
            tuple(range(len(payloads))),
            timeout_s=60.0,
            endpoint_label="insert",
            idempotency_key=token,
            compress="gzip",
        )
    ]


def _row(payload: Payload, mark: str, context: BuildContext) -> JsonObject:
    now = text_of(context.now)
    row: JsonObject = {"id": payload.get("id") or mark}
    row.update((name, payload[name]) for name in TEXTS if name in payload)
    row["timestamp"] = payload.get("timestamp") or now
    row["received_at"] = payload.get("received_at") or now
    row.update((name, payload.get(name) or {}) for name in OBJECTS)
    return {**more_columns(payload), **row}


def more_columns(payload: Payload) -> JsonObject:
    """Give what the mapping fills beside the usual columns; a null fills nothing, so its column need not be there."""
    return {name: value for name, value in object_of(payload.get("columns")).items() if value is not None}


def build_table(payloads: Sequence[Payload], found: Found, server: Server, context: BuildContext) -> RequestSpec | None:
    """Make the table where it is missing and may be made."""
    if not server.definition:
        return None
    return RequestSpec("POST", server.url, server.headers, server.definition, "raw", endpoint_label="create_table")


def read_table(request: RequestSpec, response: Response) -> object | ItemOutcome:
    """Whether table or columns are there now; else what that means for those who wait for them."""
    outcome = read_answer(request, response)[0]
    return True if outcome.outcome is Outcome.DELIVERED else outcome


def new_columns(payload: Payload, server: Server) -> list[str]:
    """Name the columns that the mapping fills beside the usual ones, with the type that the value would have."""
    usual = {"id", "timestamp", "received_at", *TEXTS, *OBJECTS}
    given = more_columns(payload).items() if server.is_growing else ()
    return sorted(
        f"`{name}` Nullable({type_of(value)})" for name, value in given if name not in usual and NAME.fullmatch(name)
    )


def type_of(value: object) -> str:
    """Choose a column's type by the first value that it is to hold; a later one that does not fit is rejected."""
    if isinstance(value, bool):
        return "Bool"
    if isinstance(value, int):
        return "Int64" if -(2**63) <= value < 2**63 else "Float64"
    if isinstance(value, float):
        return "Float64"
    return "DateTime64(3, 'UTC')" if isinstance(value, str) and MOMENT.fullmatch(value) else "String"


def columns_key(payload: Payload, server: Server) -> str | None:
    """Remember by table and columns that they are there."""
    columns = new_columns(payload, server)
    return f"{server.table} {' '.join(columns)}" if columns else None


def build_columns(
    payloads: Sequence[Payload], found: Found, server: Server, context: BuildContext
) -> RequestSpec | None:
    """Add the columns that are missing; those that are there stay as they are, whatever their type."""
    columns = new_columns(payloads[0], server)
    if not columns:
        return None
    text = f"ALTER TABLE {server.table} " + ", ".join(f"ADD COLUMN IF NOT EXISTS {each}" for each in columns)
    return RequestSpec("POST", server.url, server.headers, text, "raw", endpoint_label="add_columns")


def build_test(server: Server, context: BuildContext) -> RequestSpec:
    """Ask for nothing, which needs the right credentials."""
    url = f"{server.url}?{urlencode([('query', 'SELECT 1')])}"
    return RequestSpec("GET", url, server.headers, endpoint_label="test")


def build_deletion(people: Sequence[Identifiers], server: Server, context: BuildContext) -> list[Built]:
    """Delete every row of these people."""
    ids = [ids_of(person) for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_DELETED_IDS):
        listed = ", ".join(map(quoted, together))
        text = f"DELETE FROM {server.table} WHERE user_id IN ({listed}) OR anonymous_id IN ({listed})"  # noqa: S608
        body = text.encode("utf-8", "replace")
        built.append(
            RequestSpec(
                "POST", server.url, server.headers, body, "raw", covers, timeout_s=60.0, endpoint_label="delete"
            )
        )
    return built


def quoted(text: str) -> str:
    """Write a text as a literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Go by ClickHouse's own code, which says more than the status."""
    code = _code_of(response) if response.error is None else 0
    if not code:
        return _without_code(request, response)
    if code in LOGIN_CODES:
        said = "ClickHouse does not let this user in, or not do this."
        return for_all(request, response, verdict(Outcome.UNAUTHORIZED, "unauthorized", said))
    if code == 60 and request.endpoint_label == "delete":
        return [ItemOutcome(index, Outcome.DELIVERED, response.status) for index in request.covers]
    if code in MISSING:
        reason, said = MISSING[code]
        return for_all(request, response, verdict(Outcome.DISABLED, reason, said))
    if code in BUSY_CODES:
        wait = retry_after_of(response, Outcome.THROTTLED)
        reason, said = "too_many_parts" if code == 252 else "too_busy", "ClickHouse cannot keep up with the inserts."
        found = for_all(request, response, verdict(Outcome.THROTTLED, reason, said))
        return [replace(item, retry_after_s=BUSY_SECONDS if wait is None else wait) for item in found]
    if request.endpoint_label in CHANGES and code not in RETRY_CODES:
        reason, said = CHANGES[request.endpoint_label]
        return for_all(request, response, verdict(Outcome.DISABLED, reason, said.format(code)))
    if code in ROW_CODES:
        return _unreadable(request, response, code)
    reason = "trouble" if code in RETRY_CODES else "unknown_code"
    said = f"ClickHouse has trouble of its own (code {code})."
    return for_all(request, response, verdict(Outcome.RETRY, reason, said))


def _unreadable(request: RequestSpec, response: Response, code: int) -> list[ItemOutcome]:
    if len(request.covers) > 1:
        said = f"ClickHouse cannot read one of the rows (code {code})."
        return for_all(request, response, verdict(Outcome.TOO_LARGE, "batch_refused", said))
    said = "ClickHouse cannot read this row. " + " ".join(response.body[:300].decode("utf-8", "replace").split())
    return for_all(request, response, verdict(Outcome.REJECTED, "unreadable_row", said))


def _without_code(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    if response.error is None and response.status == 404:
        if request.endpoint_label == "delete":
            return [ItemOutcome(index, Outcome.DELIVERED, 404) for index in request.covers]
        said = "There is no ClickHouse at this address."
        return for_all(request, response, verdict(Outcome.DISABLED, "not_found", said))
    return interpret(request, response)


def _code_of(response: Response) -> int:
    told = response.header("x-clickhouse-exception-code") or ""
    if told.isascii() and told.isdigit() and len(told) <= 5:
        return int(told)
    match = CODE_IN_BODY.match(response.body)
    return int(match.group(1)) if match else 0
