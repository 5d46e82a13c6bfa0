"""Salesforce's REST and composite calls, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers
from connectors.base import BuildContext, Found, Payload
from connectors.batching import found_in, refuse, rounds
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Scope, Verdict, interpret

BASE_URLS = {
    "org": "https://*.my.salesforce.com",
    "sandbox": "https://*.sandbox.my.salesforce.com",
    "developer": "https://*.develop.my.salesforce.com",
    "login": "https://login.salesforce.com",
    "test": "https://test.salesforce.com",
}
# The version of the API that these requests are written for.
VERSION = "v60.0"
MOST_COMPOSITE = 200
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Org:
    """One organisation of Salesforce."""

    url: str
    headers: Headers = ()


def call(org: Org, method: str, path: str, body: object, covers: tuple[int, ...], label: str) -> RequestSpec:
    """Make a request of the REST API."""
    kind = "json" if body is not None else "none"
    return RequestSpec(method, org.url + path, org.headers, body, kind, covers, 30.0, endpoint_label=label)  # type: ignore[arg-type]


def values_of(payload: Payload) -> JsonObject:
    """Give the fields of a record; nested values are no fields, several choices stand between semicolons."""
    own = payload.get("fields")
    written: JsonObject = {}
    for name, value in own.items() if isinstance(own, Mapping) else ():
        if value is None or isinstance(value, Mapping) or not NAME.fullmatch(str(name)):
            continue
        written[str(name)] = ";".join(map(str, value)) if isinstance(value, list) else value
    return written


def quoted(value: object) -> str:
    """Write a value as SOQL does, whatever characters are in it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{text}'"


def find_record(payloads: Sequence[Payload], found: Found, org: Org, context: BuildContext) -> RequestSpec | None:
    """Ask for the record that has the values to match by, where nothing names it better."""
    payload = payloads[0]
    match = payload.get("match")
    if payload.get("record_id") or payload.get("operation") == "create":
        return None
    if payload.get("external_id_field"):
        # Salesforce would create what it does not find by an external id.
        match = {payload["external_id_field"]: payload.get("external_id")}
        if payload.get("operation") != "update":
            return None
    if not isinstance(match, Mapping):
        return None
    terms = [
        f"{name} = {quoted(value)}" for name, value in match.items() if value is not None and NAME.fullmatch(str(name))
    ]
    if not terms:
        return None
    joined = (" AND " if payload.get("match_operator") == "AND" else " OR ").join(terms)
    query = quote(f"SELECT Id FROM {payload['object']} WHERE {joined} LIMIT 2", safe="")  # noqa: S608 - quoted above
    return call(org, "GET", f"/query?q={query}", None, (0,), "query")


def read_record(request: RequestSpec, response: Response) -> object:
    """Give the ids of the records found, at most two."""
    if not 200 <= response.status < 300:
        found = interpret_answer(request, response)
        return found[0]
    return [answers.words(one.get("Id")) for one in answers.members(answers.parsed(response), "records")]


def build_records(payloads: Sequence[Payload], org: Org, context: BuildContext) -> list[Built]:
    """Create, update, upsert or delete records, one call each."""
    return [_record(payload, index, org, context) for index, payload in enumerate(payloads)]


def _record(payload: Payload, index: int, org: Org, context: BuildContext) -> Built:
    kind, operation = str(payload["object"]), str(payload.get("operation") or "upsert")
    path, values = f"/sobjects/{kind}", values_of(payload)
    if operation == "create":
        return call(org, "POST", path, values, (index,), "sobjects/create")
    external, value = str(payload.get("external_id_field") or ""), payload.get("external_id")
    if external and value is not None and operation in ("upsert", "delete"):
        values.pop(external, None)
        place = f"{path}/{external}/{quote(str(value), safe='')}"
        return _change(org, operation, place, values, index)
    found = found_in(context, index, "record")
    known = [str(payload["record_id"])] if payload.get("record_id") else found if isinstance(found, list) else []
    if len(known) > 1:
        return refuse(index, "several_records", "Several records have these values; match by more.")
    if known:
        return _change(org, operation, f"{path}/{quote(known[0], safe='')}", values, index)
    if operation == "upsert":
        return call(org, "POST", path, values, (index,), "sobjects/create")
    if operation == "delete":
        return ItemOutcome(index, Outcome.FILTERED, reason="not_found", message="There is no such record.")
    return refuse(index, "record_not_found", "No record has these values.")


def _change(org: Org, operation: str, place: str, values: JsonObject, index: int) -> RequestSpec:
    if operation == "delete":
        return call(org, "DELETE", place, None, (index,), "sobjects/delete")
    return call(org, "PATCH", place, values, (index,), "sobjects/update")


def build_composite(payloads: Sequence[Payload], org: Org, context: BuildContext) -> list[Built]:
    """Upsert up to 200 records of one object by one external id; a record that comes twice is sent as it is last."""
    kind, external = str(payloads[0]["object"]), str(payloads[0]["external_id_field"])
    built: list[Built] = []
    for covers in rounds([str(payload["external_id"])] for payload in payloads):
        records = [
            {"attributes": {"type": kind}, **values_of(payloads[index]), external: payloads[index]["external_id"]}
            for index in covers
        ]
        body = {"allOrNone": False, "records": records}
        path = f"/composite/sobjects/{kind}/{external}"
        built.append(call(org, "PATCH", path, body, tuple(covers), "composite/sobjects"))
    return built


REFUSED = answers.verdict(Outcome.REJECTED, "record_refused", "Salesforce does not take this record.")
SESSION = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "The session has ended.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The user lacks a permission, or the API is not enabled.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "The organisation's limit of calls is used up.")
LOCKED = answers.verdict(Outcome.RETRY, "locked", "Salesforce is changing this record already.")
BUSY = answers.verdict(Outcome.THROTTLED, "unavailable", "Salesforce is unavailable.", Scope.DESTINATION)
CODES: Mapping[str, Verdict] = {
    "INVALID_SESSION_ID": SESSION,
    "INVALID_AUTH_HEADER": SESSION,
    "REQUEST_LIMIT_EXCEEDED": LIMITED,
    "UNABLE_TO_LOCK_ROW": LOCKED,
    "SERVER_UNAVAILABLE": BUSY,
    "API_DISABLED_FOR_ORG": FORBIDDEN,
    "API_CURRENTLY_DISABLED": FORBIDDEN,
}
TRANSIENT = ("UNABLE_TO_LOCK_ROW", "Too many SOQL queries")


def judged(code: str, said: str) -> Verdict | None:
    """Find the row for an error code; a trigger's failure may be a lock in disguise."""
    if code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" and any(word in said for word in TRANSIENT):
        return LOCKED
    return CODES.get(code)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Errors are a list with codes; a composite call answers for each record in order."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        if request.endpoint_label == "composite/sobjects":
            return _each(request, response, answer)
        if request.endpoint_label == "jobs/ingest/close":
            job = answers.words(answers.member(answer, "id"))
            return answers.pending(request, response, job or request.url.rpartition("/")[2])
        return answers.delivered(request, response, answers.words(answers.member(answer, "id")) or None)
    if request.endpoint_label == "sobjects/delete" and response.status == 404:
        return answers.delivered(request, response)
    error = answers.member(answer, 0)
    code, said = (answers.words(answers.member(error, key)) for key in ("errorCode", "message"))
    known = judged(code, said)
    if known is not None:
        return answers.for_all(request, response, known, said)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    if response.status == 300:
        return answers.for_all(request, response, REFUSED, "several records have this external id")
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _each(request: RequestSpec, response: Response, answer: object) -> list[ItemOutcome]:
    results = answer if isinstance(answer, list) else []
    missing = answers.verdict(Outcome.RETRY, "missing_item", "Salesforce did not answer for this record.")
    outcomes = []
    for position, index in enumerate(request.covers):
        result = results[position] if position < len(results) else None
        if answers.member(result, "success") is True:
            remote_id = answers.words(answers.member(result, "id")) or None
            outcomes.append(ItemOutcome(index, Outcome.DELIVERED, response.status, remote_id=remote_id))
        elif answers.member(result, "success") is False:
            error = answers.member(result, "errors", 0)
            code, said = (answers.words(answers.member(error, key)) for key in ("statusCode", "message"))
            outcomes.append(answers.item(index, response, judged(code, said) or REFUSED, said or code))
        else:
            outcomes.append(answers.item(index, response, missing))
    return outcomes
