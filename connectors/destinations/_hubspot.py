"""HubSpot's CRM calls: properties as it wants them, batches by object, and what its answers say of single inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from connectors import answers
from connectors.base import BuildContext, Found, Payload
from connectors.batching import found_in, refuse
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret

BASE_URLS = {"api": "https://api.hubapi.com"}
MOST_INPUTS = 100
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Portal:
    """One account of HubSpot."""

    url: str
    headers: Headers
    portal_id: str


def call(portal: Portal, method: str, path: str, body: object, covers: tuple[int, ...], label: str) -> RequestSpec:
    """Make a request of HubSpot's one form."""
    kind = "json" if body is not None else "none"
    return RequestSpec(method, portal.url + path, portal.headers, body, kind, covers, 30.0, endpoint_label=label)  # type: ignore[arg-type]


def property_name(name: str) -> str:
    """Write a name as HubSpot has them: lower case, digits and underscores."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9_]+", "_", snake.lower()).strip("_")[:100]


def properties(values: object) -> JsonObject:
    """Write properties; nested values and nulls are no properties, several choices stand between semicolons."""
    if not isinstance(values, Mapping):
        return {}
    written: JsonObject = {}
    for name, value in values.items():
        key = property_name(str(name))
        if not key or value is None or isinstance(value, Mapping):
            continue
        written[key] = ";".join(map(str, value)) if isinstance(value, list) else value
    return written


def contact(payload: Payload) -> JsonObject:
    """Write the properties of a contact."""
    names = {
        "email": "email",
        "first_name": "firstname",
        "last_name": "lastname",
        "phone": "phone",
        "company": "company",
        "website": "website",
        "address": "address",
        "city": "city",
        "state": "state",
        "postal_code": "zip",
        "country": "country",
        "lifecycle_stage": "lifecyclestage",
    }
    standard: JsonObject = {name: payload[key] for key, name in names.items() if payload.get(key)}
    own = properties(payload.get("properties"))
    return {**{key: value for key, value in own.items() if key not in standard}, **standard}


def upsert(portal: Portal, kind: str, entries: Sequence[tuple[str, str, JsonObject]], label: str) -> RequestSpec:
    """Make a batch of (id property, id, properties), one for each payload.

    An object may come once in a batch, so what is later is laid over what was earlier. The trace id, which HubSpot
    gives back with an error, says which payloads an input stands for.
    """
    merged: dict[tuple[str, str], JsonObject] = {}
    places: dict[tuple[str, str], list[int]] = {}
    for place, (name, key, values) in enumerate(entries):
        merged[name, key] = {**merged.get((name, key), {}), **values, name: key}
        places.setdefault((name, key), []).append(place)
    inputs = [
        {
            "id": key,
            "idProperty": name,
            "properties": values,
            "objectWriteTraceId": ",".join(map(str, places[name, key])),
        }
        for (name, key), values in merged.items()
    ]
    path = f"/crm/v3/objects/{quote(kind, safe='')}/batch/upsert"
    return call(portal, "POST", path, {"inputs": inputs}, tuple(range(len(entries))), label)


def build_contacts(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Create or update contacts by e-mail."""
    entries = [("email", str(payload["email"]).strip().lower(), contact(payload)) for payload in payloads]
    return [upsert(portal, "contacts", entries, "contacts/batch/upsert")]


def build_events(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Send events of contacts."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        names = {"email": "email", "object_id": "objectId", "utk": "utk"}
        who = {name: payload[key] for key, name in names.items() if payload.get(key)}
        if not who:
            built.append(refuse(index, "no_identifier", "An event needs an e-mail, contact id or tracking cookie."))
            continue
        name = event_name(str(payload["name"]), portal)
        body: JsonObject = {"eventName": name, **who, "uuid": context.delivery_ids[index]}
        if payload.get("occurred_at"):
            body["occurredAt"] = payload["occurred_at"]
        body["properties"] = properties(payload.get("properties"))
        built.append(call(portal, "POST", "/events/v3/send", body, (index,), "events/send"))
    return built


def event_name(name: str, portal: Portal) -> str:
    """Give the full name of an event: `pe<portal>_<name>`, unless it is one already."""
    if re.fullmatch(r"pe\d+_[a-z0-9_-]+", name) or not portal.portal_id:
        return name
    return f"pe{portal.portal_id}_{property_name(name)}"


def company(payload: Payload) -> JsonObject:
    """Write the properties of a company."""
    keys = ("name", "domain", "industry", "phone", "city", "country", "numberofemployees")
    standard: JsonObject = {key: payload[key] for key in keys if payload.get(key)}
    own = properties(payload.get("properties"))
    return {**{key: value for key, value in own.items() if key not in standard}, **standard}


def build_companies(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Create or update companies by the property that the owner made for it."""
    entries = [(str(one["id_property"]), str(one["company_id"]), company(one)) for one in payloads]
    return [upsert(portal, "companies", entries, "companies/batch/upsert")]


def find_contact(
    payloads: Sequence[Payload], found: Found, portal: Portal, context: BuildContext
) -> RequestSpec | None:
    """Look a contact up by e-mail."""
    email = payloads[0].get("email")
    return lookup(portal, "contacts", "email", str(email).strip().lower()) if email else None


def find_company(
    payloads: Sequence[Payload], found: Found, portal: Portal, context: BuildContext
) -> RequestSpec | None:
    """Look a company up by the property that the owner made for it."""
    payload = payloads[0]
    return lookup(portal, "companies", str(payload["id_property"]), str(payload["company_id"]))


def lookup(portal: Portal, kind: str, name: str, value: str) -> RequestSpec:
    """Ask for one object by one of its properties."""
    query = f"idProperty={quote(name, safe='')}&properties=hs_object_id"
    path = f"/crm/v3/objects/{kind}/{quote(value, safe='')}?{query}"
    return call(portal, "GET", path, None, (0,), f"{kind}/get")


def build_associations(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Associate contacts with companies that were found."""
    decided: list[Built] = []
    inputs, covers = [], []
    for index, _ in enumerate(payloads):
        contact_id, company_id = found_in(context, index, "contact"), found_in(context, index, "company")
        if contact_id and company_id:
            covers.append(index)
            inputs.append({"from": {"id": str(company_id)}, "to": {"id": str(contact_id)}})
        else:
            missing = "contact" if company_id else "company"
            decided.append(refuse(index, f"{missing}_not_found", f"HubSpot has no such {missing}; it must come first."))
    if covers:
        path = "/crm/v4/associations/companies/contacts/batch/associate/default"
        decided.append(call(portal, "POST", path, {"inputs": inputs}, tuple(covers), "associations"))
    return decided


def build_objects(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Create or update objects of one type by one of their properties; the batch shares the type."""
    entries = [(str(one["id_property"]), str(one["object_id"]), properties(one.get("properties"))) for one in payloads]
    return [upsert(portal, str(payloads[0]["object_type"]), entries, "objects/batch/upsert")]


def build_memberships(payloads: Sequence[Payload], portal: Portal, context: BuildContext) -> list[Built]:
    """Put contacts that were found on a list, or take them off."""
    decided: list[Built] = []
    ids, covers = [], []
    for index, _ in enumerate(payloads):
        known = found_in(context, index, "contact")
        if known:
            covers.append(index)
            ids.append(str(known))
        else:
            decided.append(refuse(index, "contact_not_found", "HubSpot has no such contact; it must come first."))
    if covers:
        first = payloads[covers[0]]
        adds = first.get("operation") != "remove"
        body: JsonObject = {"recordIdsToAdd": ids if adds else [], "recordIdsToRemove": [] if adds else ids}
        path = f"/crm/v3/lists/{quote(str(first['list_id']), safe='')}/memberships/add-and-remove"
        decided.append(call(portal, "PUT", path, body, tuple(covers), "lists/memberships"))
    return decided


REFUSED = answers.verdict(Outcome.REJECTED, "input_refused", "HubSpot does not take this.")
SCOPES = answers.verdict(Outcome.DISABLED, "missing_scopes", "The app lacks a permission; add it and connect again.")
EXPIRED = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "HubSpot refuses the token.")
AMONG = answers.verdict(Outcome.TOO_LARGE, "batch_refused", "HubSpot refuses some of these and does not say which.")
SILENT = answers.verdict(Outcome.REJECTED, "silent_failure", "HubSpot answered without saying what became of this.")
GONE = answers.verdict(Outcome.REJECTED, "record_missing", "HubSpot has no such contact any more.")
UNHEARD = answers.verdict(Outcome.RETRY, "missing_item", "HubSpot did not answer for this.")
DAILY = answers.verdict(Outcome.THROTTLED, "daily_limit", "The account's daily limit of calls is used up.")
# HubSpot's daily limit ends at midnight of the account's own zone, which it does not tell.
DAILY_WAIT_S = 3_600.0


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Inputs of a batch are told apart by the trace id that each was sent with."""
    answer = answers.parsed(response)
    category, said = (answers.words(answers.member(answer, key)) for key in ("category", "message"))
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    if 200 <= response.status < 300 and response.error is None:
        return _of_batch(request, response, answer)
    if category == "MISSING_SCOPES":
        return answers.for_all(request, response, SCOPES, said)
    if category in ("EXPIRED_AUTHENTICATION", "INVALID_AUTHENTICATION"):
        return answers.for_all(request, response, EXPIRED, said)
    if response.status == 429 and answers.words(answers.member(answer, "policyName")) == "DAILY":
        found = answers.for_all(request, response, DAILY, said)
        return [replace(one, retry_after_s=one.retry_after_s or DAILY_WAIT_S) for one in found]
    if response.status == 403:
        return answers.for_all(request, response, SCOPES, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _of_list(request: RequestSpec, response: Response, answer: object) -> list[ItemOutcome]:
    """Read a change of a list, which names the contacts that were not there."""
    missing = {answers.words(one) for one in answers.list_of(answers.member(answer, "recordIdsMissing"))}
    sent = [
        one
        for key in ("recordIdsToAdd", "recordIdsToRemove")
        for one in answers.list_of(answers.member(request.body, key))
    ]
    failed = {place: (GONE, "") for place, one in enumerate(sent) if str(one) in missing}
    return answers.partial(request, response, failed)


def _of_batch(request: RequestSpec, response: Response, answer: object) -> list[ItemOutcome]:
    if request.endpoint_label == "lists/memberships":
        return _of_list(request, response, answer)
    results, errors = answers.members(answer, "results"), answers.members(answer, "errors")
    if not errors and not results and "batch" in request.endpoint_label:
        return answers.for_all(request, response, SILENT)
    failed: dict[int, tuple[Verdict, str]] = {}
    unplaced = ""
    for error in errors:
        said, places = answers.words(error.get("message")), _places(request, error)
        failed |= dict.fromkeys(places, (REFUSED, said))
        if not places:
            unplaced = said or REFUSED.advice
    if unplaced and len(request.covers) == 1:
        return answers.for_all(request, response, REFUSED, unplaced)
    done = {place for result in results for place in _traced(result.get("objectWriteTraceId"), len(request.covers))}
    if done and not unplaced:
        unheard = set(range(len(request.covers))) - done - failed.keys()
        failed |= dict.fromkeys(unheard, (UNHEARD, ""))
    return answers.partial(request, response, failed, AMONG if unplaced else None)


def _places(request: RequestSpec, error: Mapping[str, object]) -> list[int]:
    """Find the payloads that an error is about, by trace ids or the ends of an association; none where it is mute."""
    context, count = error.get("context"), len(request.covers)
    traced = [
        place
        for trace in answers.list_of(answers.member(context, "objectWriteTraceId"))
        for place in _traced(trace, count)
    ]
    ends = [
        {answers.words(one) for one in answers.list_of(answers.member(context, key))}
        for key in ("fromObjectId", "toObjectId")
    ]
    if traced or not any(ends):
        return traced
    return [
        place
        for place, one in enumerate(answers.members(request.body, "inputs")[:count])
        if all(not ids or answers.member(one, end, "id") in ids for end, ids in zip(("from", "to"), ends, strict=True))
    ]


def _traced(trace: object, count: int) -> list[int]:
    """Read a trace id: the places of the payloads that an input stands for."""
    parts = answers.words(trace).split(",")
    return [place for part in parts if (place := answers.index_of(part, count)) is not None]
