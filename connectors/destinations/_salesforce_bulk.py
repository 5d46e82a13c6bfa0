"""Salesforce's bulk jobs: opened, filled with CSV, closed, and read to the last record.

A job says how many records failed. Which they were, and why, stands in CSV files of its results, in no order: a record
is known again by its external id, or by all that was sent of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from connectors import answers
from connectors.base import BuildContext, Found, Named, Naming, Payload
from connectors.batching import found_in, refuse
from connectors.destinations import _salesforce as salesforce
from connectors.destinations._salesforce import Built, JsonObject, Org
from connectors.hashing import digest
from connectors.http import COUNT_MISMATCH, ItemOutcome, Outcome, RequestSpec, Response

Row = dict[str, str]
FAILED, UNPROCESSED = "failedResults", "unprocessedrecords"
# A longer answer may have been cut off: its last record is not to be trusted.
WHOLE_BYTES = 60_000
NO_JOB = "Salesforce opened no job; to create or update in bulk, an external id field must be named."


def cell(value: object) -> str:
    """Write a value as it stands in the CSV."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def row_of(payload: Payload) -> Row:
    """Write a record; what is null on purpose is `#N/A`."""
    row = {name: cell(value) for name, value in salesforce.values_of(payload).items()}
    external = str(payload.get("external_id_field") or "")
    if external and payload.get("external_id") is not None:
        row[external] = cell(payload["external_id"])
    own = payload.get("fields")
    nulls = [str(key) for key, value in own.items() if value is None] if isinstance(own, Mapping) else []
    return {**row, **{key: "#N/A" for key in nulls if salesforce.NAME.fullmatch(key)}}


def is_upsert(payload: Payload) -> bool:
    """Whether the record is found by its external id."""
    return str(payload.get("operation") or "upsert") == "upsert"


def is_known(payload: Payload) -> bool:
    """Whether a record can be told from the others of its job."""
    named = bool(payload.get("external_id_field")) and payload.get("external_id") is not None
    return named or not is_upsert(payload)


def mark_of(payload: Payload) -> str:
    """Give what a record is known again by."""
    row = row_of(payload)
    external = str(payload.get("external_id_field") or "")
    return _cell_mark(external, row[external]) if is_upsert(payload) and external in row else _row_mark(row)


def _cell_mark(name: str, value: str) -> str:
    return f"{name}={value}"


def _row_mark(row: Row) -> str:
    return "row " + digest("\x1f".join(sorted(f"{name}={value}" for name, value in row.items() if value)))


def create_job(payloads: Sequence[Payload], found: Found, org: Org, context: BuildContext) -> RequestSpec | None:
    """Open a bulk job, which the payloads of a batch share."""
    first = payloads[0]
    operation = str(first.get("operation") or "upsert")
    if not any(is_known(payload) for payload in payloads):
        return None
    body: JsonObject = {
        "object": first["object"],
        "contentType": "CSV",
        "operation": "insert" if operation == "create" else operation,
        "lineEnding": "LF",
    }
    if operation == "upsert":
        body["externalIdFieldName"] = first["external_id_field"]
    return salesforce.call(org, "POST", "/jobs/ingest", body, (0,), "jobs/ingest")


def read_job_id(request: RequestSpec, response: Response) -> object:
    """Give the id of the job that was opened."""
    if not 200 <= response.status < 300:
        return salesforce.interpret_answer(request, response)[0]
    return answers.words(answers.member(answers.parsed(response), "id")) or None


def read_upload(request: RequestSpec, response: Response) -> object:
    """Tell that the records have arrived."""
    return True if 200 <= response.status < 300 else salesforce.interpret_answer(request, response)[0]


def upload(payloads: Sequence[Payload], found: Found, org: Org, context: BuildContext) -> RequestSpec | None:
    """Hand over the records; of one that comes twice what is later is laid over what was earlier."""
    if not found.get("job"):
        return None
    merged: dict[str, Row] = {}
    for place, payload in enumerate(payloads):
        if is_known(payload):
            key = mark_of(payload) if is_upsert(payload) else str(place)
            merged[key] = {**merged.get(key, {}), **row_of(payload)}
    columns = list(dict.fromkeys(column for row in merged.values() for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(merged.values())
    path = f"{org.url}/jobs/ingest/{quote(str(found['job']), safe='')}/batches"
    headers = (*org.headers, ("content-type", "text/csv; charset=UTF-8"))
    return RequestSpec("PUT", path, headers, text.getvalue(), "raw", (0,), 60.0, endpoint_label="jobs/ingest/batches")


def build_close(payloads: Sequence[Payload], org: Org, context: BuildContext) -> list[Built]:
    """Close the job, upon which Salesforce begins with it."""
    job = found_in(context, 0, "job")
    built: list[Built] = [
        refuse(index, "no_external_id", "To create or update in bulk, a record needs an external id and its field.")
        for index, payload in enumerate(payloads)
        if not is_known(payload)
    ]
    covers = tuple(index for index, payload in enumerate(payloads) if is_known(payload))
    if not job:
        return [*built, *(refuse(index, "job_missing", NO_JOB) for index in covers)]
    path = f"/jobs/ingest/{quote(str(job), safe='')}"
    closing = salesforce.call(org, "PATCH", path, {"state": "UploadComplete"}, covers, "jobs/ingest/close")
    return [*built, closing] if covers else built


def ask_job(job_id: str, org: Org, context: BuildContext) -> RequestSpec:
    """Ask how far a job has come, or for a file of its results."""
    job, _, file = job_id.partition("|")
    path = f"/jobs/ingest/{quote(job, safe='')}"
    if not file:
        return salesforce.call(org, "GET", path, None, (0,), "jobs/ingest/state")
    request = salesforce.call(org, "GET", f"{path}/{quote(file, safe='')}/", None, (0,), f"jobs/ingest/{file}")
    request.headers = (*request.headers, ("accept", "text/csv"))
    return request


def read_job(request: RequestSpec, response: Response, count: int) -> list[ItemOutcome] | None:
    """Read a job that has ended; where records failed, the files of its results are asked for next."""
    everyone = RequestSpec(request.method, request.url, covers=tuple(range(count)))
    if not request.endpoint_label.endswith("state"):
        # The files are kept for a week; what has ended and can no longer be read is not sent a second time.
        done = answers.delivered(everyone, response)
        return answers.warned(done, COUNT_MISMATCH) if 400 <= response.status < 500 else None
    answer = answers.parsed(response)
    state = answers.words(answers.member(answer, "state"))
    if not 200 <= response.status < 300 or state not in ("JobComplete", "Failed", "Aborted"):
        return None
    failed, processed = (answers.member(answer, key) for key in ("numberRecordsFailed", "numberRecordsProcessed"))
    job = unquote(request.url.rpartition("/")[2])
    if state == "JobComplete":
        if type(failed) is int and failed > 0:
            return answers.pending(everyone, response, f"{job}|{FAILED}")
        return answers.delivered(everyone, response)
    if type(processed) is int and processed > 0:
        return answers.pending(everyone, response, f"{job}|{UNPROCESSED}")
    said = answers.words(answers.member(answer, "errorMessage")) or state
    return answers.for_all(everyone, response, salesforce.REFUSED, said)


LEFT = answers.verdict(Outcome.REJECTED, "not_processed", "The job ended before Salesforce came to this record.")


def read_results(request: RequestSpec, response: Response) -> Named | None:
    """Read a file of results: records that failed with Salesforce's words, or those that were not come to."""
    file = request.endpoint_label.rpartition("/")[2]
    if file not in (FAILED, UNPROCESSED) or not 200 <= response.status < 300:
        return None
    rows, is_whole = _rows(response.body)
    named: dict[str, ItemOutcome] = {}
    for row in rows:
        said = row.pop("sf__Error", "")
        row.pop("sf__Id", None)
        code, _, words = said.partition(":")
        fault = LEFT if file == UNPROCESSED else salesforce.judged(code, words) or salesforce.REFUSED
        outcome = answers.item(0, response, fault, said)
        named |= dict.fromkeys([_row_mark(row), *(_cell_mark(*each) for each in row.items())], outcome)
    if file == UNPROCESSED:
        job = unquote(request.url.rstrip("/").split("/")[-2])
        return Named(named, ItemOutcome(0, Outcome.PENDING, response.status, remote_id=f"{job}|{FAILED}"))
    is_told = bool(rows) and is_whole
    return Named(
        named, ItemOutcome(0, Outcome.DELIVERED, response.status, warnings=() if is_told else (COUNT_MISMATCH,))
    )


def _rows(body: bytes) -> tuple[list[Row], bool]:
    """Read CSV; of one that may have been cut off not the last record."""
    try:
        text = body.decode("utf-8", "replace").replace("\0", "")
        read = [
            {str(name): value for name, value in row.items() if isinstance(value, str)}
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except csv.Error:
        return [], False
    is_whole = len(body) < WHOLE_BYTES
    return (read if is_whole else read[:-1]), is_whole


NAMING = Naming(mark_of, read_results)
