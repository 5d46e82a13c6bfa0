"""BigQuery's calls: rows streamed into a table, made first where it is missing, people deleted by a statement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import answers
from connectors.base import BuildContext, Built, Found, Identifiers, Payload, Settings
from connectors.batching import JsonObject, groups_of, ids_of, refuse, unknown_people
from connectors.destinations import _google_cloud as google
from connectors.destinations._objects import line_of
from connectors.destinations._packing import Entry, Room, pack
from connectors.fields import api_url
from connectors.http import MISSING_ITEM, SPLIT_REFUSED, ItemOutcome, Outcome, RequestSpec, Response, Scope, Verdict

BASE_URLS = {"api": "https://bigquery.googleapis.com"}
# The frame around the rows counts too.
CALL = Room(entries=500, size=9_900_000)
MOST_DELETED_IDS = 5_000
LONGEST_INSERT_ID = 128
STREAMING_SECONDS = 1_800.0
TEXTS = ("type", "event", "name", "user_id", "anonymous_id", "group_id", "previous_id")
OBJECTS = ("properties", "traits", "context")
INSERT_INTO_OWN = "insert_into_own_table"

INVALID = answers.verdict(Outcome.REJECTED, "invalid_row", "The row does not fit the table.")
STOPPED = answers.verdict(Outcome.RETRY, "stopped", "BigQuery did not look at this row.")
NOT_READY = answers.verdict(
    Outcome.RETRY, "table_not_ready", "The table was made and cannot be written yet.", Scope.DESTINATION
)
STREAMING = answers.verdict(
    Outcome.RETRY, "streaming_buffer", "Rows that came lately cannot be deleted yet; it is tried again."
)
# Reasons of a request as a whole.
OWN_REASONS = {"responseTooLarge": google.TROUBLE, "stopped": google.TROUBLE, "resourceInUse": google.TROUBLE}


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go."""

    project_url: str
    reference: Mapping[str, str]
    is_made: bool  # when it is missing
    is_lenient: bool  # columns that the table does not have are left out

    @property
    def dataset_url(self) -> str:
        """The dataset's own address."""
        return f"{self.project_url}/datasets/{self.reference['datasetId']}"

    @property
    def url(self) -> str:
        """The table's own address."""
        return f"{self.dataset_url}/tables/{self.reference['tableId']}"


def prepare(settings: Settings) -> Table:
    """Work out addresses once. Names have a form in which nothing needs to be escaped."""
    project = str(settings["project_id"])
    reference = {"projectId": project, "datasetId": str(settings["dataset"]), "tableId": str(settings["table"])}
    return Table(
        f"{api_url(BASE_URLS, settings)}/bigquery/v2/projects/{project}",
        reference,
        settings.get("create_table") is not False,
        settings.get("ignore_unknown") is not False,
    )


def build_rows(payloads: Sequence[Payload], table: Table, context: BuildContext) -> list[Built]:
    """Stream the rows of a batch; those that do not fit keep no other out."""

    def make(index: int, payload: Payload) -> Entry | ItemOutcome:
        row_id = str(payload.get("id") or context.message_ids[index])
        row: JsonObject = {"insertId": insert_id(row_id), "json": _row(payload, row_id)}
        size = len(line_of(row).encode("utf-8", "replace")) + 1
        if size > CALL.size:
            return refuse(index, "row_too_large", "A row of BigQuery has at most 10 MB.")
        return Entry(row, size)

    def send(rows: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        body = {"skipInvalidRows": True, "ignoreUnknownValues": table.is_lenient, "rows": rows}
        label = INSERT_INTO_OWN if table.is_made else "insert"
        return RequestSpec("POST", f"{table.url}/insertAll", (), body, "json", covers, 60.0, endpoint_label=label)

    return pack(payloads, make, send, CALL)


def insert_id(text: str) -> str:
    """Give the id by which BigQuery knows a repeat, or its digest where it is longer than that."""
    clean = text.encode("utf-8", "replace")
    return clean.decode() if len(clean) <= LONGEST_INSERT_ID else hashlib.sha256(clean).hexdigest()


def _row(payload: Payload, row_id: str) -> JsonObject:
    """Give the row; objects go as text of JSON, which columns of the type JSON take, and text columns too."""
    more = payload.get("columns")
    row: JsonObject = dict(more) if isinstance(more, Mapping) else {}
    row["id"] = row_id
    row.update((name, payload[name]) for name in (*TEXTS, "timestamp", "received_at") if name in payload)
    row.update((name, line_of(payload[name])) for name in OBJECTS if name in payload)
    return row


# The table


def build_table(payloads: Sequence[Payload], found: Found, table: Table, context: BuildContext) -> RequestSpec | None:
    """Make the table where it is missing and may be made: by days, and people's rows together."""
    if not table.is_made:
        return None
    columns = [
        {"name": "id", "type": "STRING"},
        *({"name": name, "type": "STRING"} for name in TEXTS),
        *({"name": name, "type": "TIMESTAMP"} for name in ("timestamp", "received_at")),
        *({"name": name, "type": "JSON"} for name in OBJECTS),
    ]
    body = {
        "tableReference": table.reference,
        "schema": {"fields": columns},
        "timePartitioning": {"type": "DAY", "field": "received_at"},
        "clustering": {"fields": ["user_id", "type"]},
    }
    return RequestSpec("POST", f"{table.dataset_url}/tables", (), body, "json", endpoint_label="create_table")


def read_table(request: RequestSpec, response: Response) -> object | ItemOutcome:
    """Whether the table is there now; else what that means for those who wait for it."""
    if response.error is None and (200 <= response.status < 300 or response.status == 409):
        return True
    return google.failure(request, response, OWN_REASONS)[0]


def build_test(table: Table, context: BuildContext) -> RequestSpec:
    """Look at the table, or where it may be made yet at the dataset."""
    url = table.dataset_url if table.is_made else table.url
    return RequestSpec("GET", f"{url}?fields=id", endpoint_label="test")


# Deletion


def build_deletion(people: Sequence[Identifiers], table: Table, context: BuildContext) -> list[Built]:
    """Delete every row of these people."""
    name = ".".join(table.reference.values())
    ids = [ids_of(person) for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_DELETED_IDS):
        listed = {
            "name": "ids",
            "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
            "parameterValue": {"arrayValues": [{"value": each} for each in together]},
        }
        body = {
            "query": f"DELETE FROM `{name}` WHERE user_id IN UNNEST(@ids) OR anonymous_id IN UNNEST(@ids)",  # noqa: S608
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": [listed],
            "timeoutMs": 25_000,
        }
        url = f"{table.project_url}/queries"
        built.append(RequestSpec("POST", url, (), body, "json", covers, 30.0, endpoint_label="delete"))
    return built


# Answers


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Read what became of each row, or why nothing did."""
    label = request.endpoint_label
    if label == "delete":
        return _of_deletion(request, response)
    if response.error is not None or not 200 <= response.status < 300:
        if label == INSERT_INTO_OWN and response.error is None and response.status == 404:
            return answers.for_all(request, response, NOT_READY, google.said_in(response))
        return google.failure(request, response, OWN_REASONS)
    return _of_rows(request, response) if label in ("insert", INSERT_INTO_OWN) else answers.delivered(request, response)


def _of_rows(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Rows that are not named are in the table; `stopped` ones are not, for others' sake."""
    answer = answers.parsed(response)
    if not isinstance(answer, Mapping):
        return answers.for_all(request, response, MISSING_ITEM)
    faults = {}
    for entry in answers.members(answer, "insertErrors"):
        position = answers.index_of(entry.get("index", 0), len(request.covers))
        if position is not None:
            faults[position] = _fault_of(answers.members(entry, "errors"), len(request.covers))
    return answers.partial(request, response, faults)


def _fault_of(errors: Sequence[Mapping[str, object]], count: int) -> tuple[Verdict, str]:
    reasons = [answers.words(one.get("reason")) for one in errors]
    told = [
        " ".join(filter(None, (answers.words(one.get("location")), answers.words(one.get("message")))))
        for one in errors
    ]
    said = "; ".join(filter(None, told))
    if "stopped" in reasons and "invalid" not in reasons:
        return (SPLIT_REFUSED if count > 1 else STOPPED), said
    known = (google.REASONS[reason] for reason in reasons if reason in google.REASONS)
    return next(known, INVALID), said


def _of_deletion(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A statement that goes on when the time is over is carried out all the same."""
    if response.error is None and 200 <= response.status < 300:
        answer = answers.parsed(response)
        job = answers.words(answers.member(answer, "jobReference", "jobId")) or None
        return answers.delivered(request, response, job)
    said = google.said_in(response)
    if response.error is None and response.status == 400 and "streaming buffer" in said:
        return [
            ItemOutcome(index, STREAMING.outcome, 400, STREAMING.reason, f"400: {STREAMING.advice}", STREAMING_SECONDS)
            for index in request.covers
        ]
    if response.error is None and response.status == 404:
        return answers.delivered(request, response)
    return google.failure(request, response, OWN_REASONS)
