"""Intercom's requests and answers: contacts looked up before they are written, companies, tags, events, deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers, auth, fields
from connectors.auth import OAuth2
from connectors.base import BuildContext, Found, Identifiers, Payload, ResolveStep, Settings
from connectors.batching import found_in, ids_in, never_known, refuse
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import seconds_of

BASE_URLS = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}
# The version of the API that these requests are written for.
VERSION = "2.11"
GRANT = OAuth2(
    token_url="https://api.intercom.io/auth/eagle/token",  # noqa: S106 - an address
    authorize_url="https://app.intercom.com/oauth",
)
SCHEMES = (auth.bearer("access_token"), auth.oauth2_code(GRANT))
MOST_METADATA = 10
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace of Intercom."""

    url: str
    headers: Headers


def prepare(settings: Settings) -> Workspace:
    """Work out address and credentials once."""
    own = auth.headers(auth.choose(SCHEMES, settings), settings)
    headers = (*own, ("intercom-version", VERSION), ("accept", "application/json"))
    return Workspace(fields.api_url(BASE_URLS, settings), headers)


def call(
    workspace: Workspace, method: str, path: str, body: JsonObject | None, covers: tuple[int, ...], label: str
) -> RequestSpec:
    """Make a request of the API's one form."""
    kind = "json" if body is not None else "none"
    return RequestSpec(method, workspace.url + path, workspace.headers, body, kind, covers, endpoint_label=label)  # type: ignore[arg-type]


def find_contact(
    payloads: Sequence[Payload], found: Found, workspace: Workspace, context: BuildContext
) -> RequestSpec | None:
    """Search the contact by user id, else by e-mail."""
    user_id, email = payloads[0].get("external_id"), payloads[0].get("email")
    if not user_id and not email:
        return None
    return search(workspace, has("external_id", user_id) if user_id else has("email", email))


def has(key: str, value: object) -> JsonObject:
    """Write one condition of a search."""
    return {"field": key, "operator": "=", "value": value}


def search(workspace: Workspace, query: JsonObject) -> RequestSpec:
    """Search contacts."""
    return call(workspace, "POST", "/contacts/search", {"query": query}, (0,), "contacts/search")


def read_contact(request: RequestSpec, response: Response) -> object:
    """Give the id of the contact, where there is exactly one."""
    if not 200 <= response.status < 300:
        return None
    found = answers.members(answers.parsed(response), "data")
    return answers.words(found[0].get("id")) or None if len(found) == 1 else None


CONTACT = ResolveStep(
    "contact",
    find_contact,
    read_contact,
    cache_key=lambda payload, workspace: next(
        (f"{key} {payload[key]}" for key in ("external_id", "email") if payload.get(key)), None
    ),
    ttl_s=120.0,
)


def contact(payload: Payload) -> JsonObject:
    """Write a contact; only users have an external id."""
    keys = ("role", "email", "phone", "name", "avatar", "owner_id", "unsubscribed_from_emails", "custom_attributes")
    written: JsonObject = {key: payload[key] for key in keys if key in payload}
    if payload.get("external_id") and payload.get("role") != "lead":
        written["external_id"] = payload["external_id"]
    for key in ("signed_up_at", "last_seen_at"):
        if payload.get(key):
            written[key] = seconds_of(payload[key])
    return written


def build_contacts(payloads: Sequence[Payload], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Update the contact that was found, or create one."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        if not payload.get("external_id") and not payload.get("email"):
            built.append(refuse(index, "no_identifier", "A contact needs a user id or an e-mail."))
            continue
        known = found_in(context, index, "contact")
        if known:
            path = f"/contacts/{quote(str(known), safe='')}"
            built.append(call(workspace, "PUT", path, contact(payload), (index,), "contacts/update"))
        else:
            built.append(call(workspace, "POST", "/contacts", contact(payload), (index,), "contacts/create"))
    return built


def build_events(payloads: Sequence[Payload], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Record events by user id, or by the id of the contact that was found by e-mail."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        known = found_in(context, index, "contact")
        if payload.get("external_id"):
            who: JsonObject = {"user_id": payload["external_id"]}
        elif known:
            who = {"id": known}
        else:
            built.append(refuse(index, "contact_not_found", "Intercom has no such contact, or more than one."))
            continue
        body: JsonObject = {"event_name": payload["name"], "created_at": seconds_of(payload["time"]), **who}
        metadata = _metadata(payload)
        if metadata:
            body["metadata"] = metadata
        built.append(call(workspace, "POST", "/events", body, (index,), "events"))
    return built


def _metadata(payload: Payload) -> JsonObject:
    """Up to ten flat values, the price first."""
    own = payload.get("metadata")
    values = {str(key): value for key, value in own.items()} if isinstance(own, Mapping) else {}
    metadata: JsonObject = {}
    if isinstance(payload.get("revenue"), int | float):
        amount = round(float(str(payload["revenue"])) * 100)
        metadata["price"] = {"amount": amount, "currency": str(payload.get("currency") or "USD").lower()}
        values = {key: value for key, value in values.items() if key not in ("revenue", "currency", "price")}
    flat = {key: value for key, value in values.items() if isinstance(value, str | int | float | bool)}
    return {**metadata, **dict(list(flat.items())[: MOST_METADATA - len(metadata)])}


def write_company(
    payloads: Sequence[Payload], found: Found, workspace: Workspace, context: BuildContext
) -> RequestSpec:
    """Create or update the company, which tells its id."""
    return call(workspace, "POST", "/companies", company(payloads[0]), (0,), "companies")


def company(payload: Payload) -> JsonObject:
    """Write a company."""
    keys = ("company_id", "name", "plan", "size", "website", "industry", "monthly_spend", "custom_attributes")
    written: JsonObject = {key: payload[key] for key in keys if key in payload}
    if payload.get("remote_created_at"):
        written["remote_created_at"] = seconds_of(payload["remote_created_at"])
    return written


def build_companies(payloads: Sequence[Payload], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Make the contact a member of the company, both of which were looked up or made before."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        known, company_id = found_in(context, index, "contact"), found_in(context, index, "company")
        if not company_id:
            built.append(call(workspace, "POST", "/companies", company(payload), (index,), "companies"))
        elif known:
            path = f"/contacts/{quote(str(known), safe='')}/companies"
            built.append(call(workspace, "POST", path, {"id": company_id}, (index,), "contacts/companies"))
        else:
            message = "The company is up to date; Intercom has no such contact to be its member."
            built.append(refuse(index, "contact_not_found", message))
    return built


def build_tags(payloads: Sequence[Payload], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Tag contacts that were found; a tag that nobody has had yet is made."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        known = found_in(context, index, "contact")
        if known:
            body: JsonObject = {"name": payload["tag"], "users": [{"id": known}]}
            built.append(call(workspace, "POST", "/tags", body, (index,), "tags"))
        else:
            built.append(refuse(index, "contact_not_found", "Intercom has no such contact, or more than one."))
    return built


def find_person(
    payloads: Sequence[Payload], found: Found, workspace: Workspace, context: BuildContext
) -> RequestSpec | None:
    """Search somebody who is to be deleted by every id that is known: a lead has no user id."""
    user_id = payloads[0].get("user_id")
    conditions = [has("external_id", user_id)] if user_id else []
    conditions += [has("email", email) for email in ids_in(payloads[0].get("emails"))]
    if not conditions:
        return None
    return search(workspace, conditions[0] if len(conditions) == 1 else {"operator": "OR", "value": conditions})


def read_person(request: RequestSpec, response: Response) -> list[str] | None:
    """Give the ids of all contacts that this person is: a user, and the leads with the same addresses."""
    if not 200 <= response.status < 300:
        return None
    found = (answers.words(one.get("id")) for one in answers.members(answers.parsed(response), "data"))
    return [each for each in found if each]


def build_deletion(people: Sequence[Identifiers], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Ask for the deletion of every contact found, by Intercom's own id."""
    built: list[Built] = []
    for index, person in enumerate(people):
        known = answers.list_of(found_in(context, index, "contacts"))
        for each in known:
            body: JsonObject = {"intercom_user_id": each}
            built.append(call(workspace, "POST", "/user_delete_requests", body, (index,), "delete"))
        if not known:
            built.append(never_known(index, person.user_id, *person.emails))
    return built


def build_test(workspace: Workspace, context: BuildContext) -> RequestSpec:
    """Ask who the token belongs to."""
    return call(workspace, "GET", "/me", None, (0,), "test")


RACE = answers.verdict(Outcome.RETRY, "conflict", "Intercom's search does not know this new contact yet.")
FORBIDDEN = answers.verdict(Outcome.UNAUTHORIZED, "forbidden", "The token lacks a permission.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A 409 on creating comes from the search being behind; who is to be deleted and not there is deleted."""
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    said = answers.words(answers.member(answers.parsed(response), "errors", 0, "message"))
    if response.status == 409:
        return answers.for_all(request, response, RACE, said)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)
