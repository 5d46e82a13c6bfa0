"""BigQuery: every event a row, streamed into a table.

**What you need.** A dataset, and the JSON key of a service account that may write its tables (BigQuery Data Editor);
for erasing people also one that may run statements in the project (BigQuery Job User).

**What is sent.** Rows go into one table, which is made when it is missing if you allow it: by days of `received_at`,
with `properties`, `traits` and `context` as JSON. A table of your own has at least the columns id, type, event, name,
user_id, anonymous_id, group_id, previous_id, timestamp, received_at, properties, traits and context; the last three as
JSON or text. More columns can be filled by the mapping.

**Limits.** Up to 500 rows and 10 MB go in one call. BigQuery drops a repeat of the same message id within about a
minute and promises no more; where a repeat must not show, group by `id`.

**Errors.** Rows that do not fit are rejected by themselves, the others arrive. When Google asks to slow down or a quota
is used up, events wait; so they do for the minutes until a table just made can be written. A dataset or table that is
gone, missing roles and an unpaid bill stop the destination; nothing is lost. People are deleted by their ids with a
DELETE statement, which waits until their last rows are old enough for BigQuery to let go of them, up to 90 minutes.
"""

from __future__ import annotations

from connectors.base import ALL_CALLS, Action, BatchRule, Connector, Deletion, Field, Preset, ResolveStep
from connectors.destinations import _bigquery as calls
from connectors.destinations import _google_cloud as google
from connectors.destinations._columns import COLUMNS
from connectors.fields import API_URL

SETTINGS = (
    google.PROJECT,
    Field("dataset", "Dataset", required=True, pattern=r"[A-Za-z0-9_]{1,1024}"),
    Field("table", "Table", required=True, default="events", pattern=r"[A-Za-z0-9_]{1,1024}"),
    google.SERVICE_ACCOUNT,
    Field("create_table", "Create the table", "boolean", "When it is missing.", default=True),
    Field(
        "ignore_unknown",
        "Leave unknown columns out",
        "boolean",
        "Of a row with a column that the table does not have, the rest is kept; else the row is rejected.",
        default=True,
    ),
    API_URL,
)


INSERT = Action(
    key="insert",
    title="Insert a row",
    description="Add the event to the table.",
    default_trigger=ALL_CALLS,
    fields=COLUMNS,
    build=calls.build_rows,
    batch=BatchRule(calls.CALL.entries, max_bytes=9_000_000, max_wait_s=30.0),
    resolve=(
        ResolveStep(
            key="table",
            build=calls.build_table,
            read=calls.read_table,
            per="batch",
            cache_key=lambda payload, table: table.url,
            ttl_s=3_600.0,
        ),
    ),
)

connector = Connector(
    slug="bigquery",
    name="BigQuery",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Streams events as rows into a table of BigQuery.",
    docs_url="https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll",
    settings=SETTINGS,
    actions=(INSERT,),
    presets=(Preset("All events", "insert", ALL_CALLS, INSERT.default_mapping),),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=500, build=calls.build_deletion),
    interpret=calls.read_answer,
    auth=(google.scheme("bigquery"),),
    base_urls=calls.BASE_URLS,
    idempotency="field:insertId",
)
