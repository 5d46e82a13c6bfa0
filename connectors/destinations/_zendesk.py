"""Zendesk's requests and answers: users alone and as a job, organisations, events of users who are found, deletions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers, auth
from connectors.base import BuildContext, Found, Identifiers, Payload, ResolveStep, Settings
from connectors.batching import MOST_EMAILS, found_in, ids_in, never_known, refuse, too_many_emails
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {"api": "https://*.zendesk.com"}
SCHEME = auth.basic("email_token", "api_token")
MOST_USERS, MOST_NEW_FIELDS = 100, 5
FIELD_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
USER_ID = answers.found_at("users", 0, "id")
SOURCE = "headwater"
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Desk:
    """One Zendesk."""

    url: str
    headers: Headers
    makes_fields: bool  # user fields that there are none of yet


def prepare(settings: Settings) -> Desk:
    """Work out address and credentials once; the token signs in as the administrator."""
    base = str(settings.get("api_url") or "").rstrip("/") or f"https://{settings['subdomain']}.zendesk.com"
    user = {**settings, "email_token": f"{settings['email']}/token"}
    return Desk(f"{base}/api/v2", auth.headers(SCHEME, user), settings.get("make_user_fields") is True)


def post(desk: Desk, path: str, body: JsonObject, covers: tuple[int, ...], label: str) -> RequestSpec:
    """Make a request of the API's one form."""
    return RequestSpec("POST", desk.url + path, desk.headers, body, "json", covers, 30.0, endpoint_label=label)


def _user(payload: Payload) -> JsonObject:
    keys = ("external_id", "email", "phone", "time_zone", "locale", "notes", "details", "tags", "user_fields")
    user: JsonObject = {key: payload[key] for key in keys if payload.get(key)}
    user["name"] = payload.get("name") or payload.get("email") or payload.get("external_id")
    return {**user, "role": "end-user", "skip_verify_email": True}


def _refused(index: int) -> ItemOutcome:
    return refuse(index, "no_identifier", "A user needs an external id or an e-mail.")


def build_users(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Create or update users, one call each."""
    return [
        post(desk, "/users/create_or_update.json", {"user": _user(payload)}, (index,), "users/create_or_update")
        if payload.get("external_id") or payload.get("email")
        else _refused(index)
        for index, payload in enumerate(payloads)
    ]


# User fields that are not there yet


def ask_fields(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
    """Ask which user fields there are, where missing ones are to be made."""
    if not desk.makes_fields or not payloads[0].get("user_fields"):
        return None
    return RequestSpec("GET", f"{desk.url}/user_fields.json?page[size]=100", desk.headers, endpoint_label="user_fields")


def read_fields(request: RequestSpec, response: Response) -> list[str] | None:
    """Give the keys of the fields that there are."""
    listed = answers.members(answers.parsed(response), "user_fields")
    return [answers.words(one.get("key")) for one in listed] if 200 <= response.status < 300 else None


def making_field(place: int) -> ResolveStep:
    """Make the step that makes one of the fields that are missing; what kind of field it is its first value says."""

    def ask(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
        if found.get("fields") is None:
            return None
        known = set(map(str, answers.list_of(found["fields"])))
        own = answers.object_of(payloads[0].get("user_fields"))
        missing = [key for key in own if key not in known and FIELD_KEY.fullmatch(key)]
        if place >= len(missing):
            return None
        key = missing[place]
        field: JsonObject = {"key": key, "title": key.replace("_", " ").capitalize(), "type": _kind_of(own[key])}
        return post(desk, "/user_fields.json", {"user_field": field}, (0,), "user_fields/create")

    def read(request: RequestSpec, response: Response) -> object | ItemOutcome:
        is_there = 200 <= response.status < 300 or response.status == 422  # another event has made it meanwhile
        return True if is_there and response.error is None else interpret_answer(request, response)[0]

    return ResolveStep(f"field_{place}", ask, read)


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "checkbox"
    return "integer" if isinstance(value, int) else "decimal" if isinstance(value, float) else "text"


FIELDS = (ResolveStep("fields", ask_fields, read_fields), *map(making_field, range(MOST_NEW_FIELDS)))


# The primary e-mail


def ask_identities(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
    """Ask which e-mails a user has who was found."""
    if not found.get("user"):
        return None
    url = f"{desk.url}/users/{quote(str(found['user']), safe='')}/identities.json?type[]=email"
    return RequestSpec("GET", url, desk.headers, endpoint_label="users/identities")


def read_identities(request: RequestSpec, response: Response) -> list[list[str]] | None:
    """Give each e-mail with the id of its identity."""
    listed = answers.members(answers.parsed(response), "identities") if 200 <= response.status < 300 else None
    if listed is None:
        return None
    return [[answers.words(one.get("value")).lower(), answers.words(one.get("id"))] for one in listed]


def build_primary(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Make one of the user's e-mails the primary one; one that is new is added as that."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        user_id, email = found_in(context, index, "user"), str(payload["email"])
        if not user_id:
            built.append(_unknown(index))
            continue
        path = f"/users/{quote(str(user_id), safe='')}/identities"
        listed = answers.list_of(found_in(context, index, "identities"))
        known = next((answers.member(one, 1) for one in listed if answers.member(one, 0) == email.lower()), None)
        if known:
            url = f"{desk.url}{path}/{quote(str(known), safe='')}/make_primary.json"
            built.append(RequestSpec("PUT", url, desk.headers, covers=(index,), endpoint_label="users/make_primary"))
        else:
            identity = {"type": "email", "value": email, "verified": True, "primary": True}
            built.append(post(desk, f"{path}.json", {"identity": identity}, (index,), "users/identities/create"))
    return built


# Jobs, organisations, events


def build_many(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Create or update users as a job."""
    covers = tuple(i for i, payload in enumerate(payloads) if payload.get("external_id") or payload.get("email"))
    built: list[Built] = [_refused(index) for index in range(len(payloads)) if index not in covers]
    if covers:
        body: JsonObject = {"users": [_user(payloads[index]) for index in covers]}
        built.append(post(desk, "/users/create_or_update_many.json", body, covers, "users/create_or_update_many"))
    return built


def ask_job(job_id: str, desk: Desk, context: BuildContext) -> RequestSpec:
    """Ask how far a job has come."""
    url = f"{desk.url}/job_statuses/{quote(job_id, safe='')}.json"
    return RequestSpec("GET", url, desk.headers, endpoint_label="job_statuses")


def read_job(request: RequestSpec, response: Response, count: int) -> list[ItemOutcome] | None:
    """Read a job that has ended; its results are in the order of the users."""
    answer = answers.member(answers.parsed(response), "job_status")
    status = answers.words(answers.member(answer, "status"))
    if not 200 <= response.status < 300 or status not in ("completed", "failed", "killed"):
        return None
    everyone = RequestSpec(request.method, request.url, covers=tuple(range(count)))
    if status != "completed":
        return answers.for_all(everyone, response, JOB_FAILED, answers.words(answers.member(answer, "message")))
    failed = {}
    for place, result in enumerate(answers.members(answer, "results")[:count]):
        if result.get("success") is False or result.get("error"):
            said = answers.words(result.get("details")) or answers.words(result.get("error"))
            failed[place] = (USER_REFUSED, said)
    return answers.partial(everyone, response, failed)


def ask_user(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
    """Look a user up by external id, else by e-mail; of one to be deleted too."""
    payload = payloads[0]
    external_id, email = payload.get("external_id") or payload.get("user_id"), payload.get("email")
    if external_id:
        query = f"external_id={quote(str(external_id), safe='')}"
    elif email:
        query = f"query={quote(f'email:{email}', safe='')}"
    else:
        return None
    return RequestSpec("GET", f"{desk.url}/users/search.json?{query}", desk.headers, endpoint_label="users/search")


def ask_organization(
    payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext
) -> RequestSpec | None:
    """Create or update the organisation, which tells its id."""
    return post(desk, "/organizations/create_or_update.json", _organization(payloads[0]), (0,), "organizations")


def _organization(payload: Payload) -> JsonObject:
    keys = ("external_id", "domain_names", "details", "notes", "tags", "organization_fields")
    names = {**payload, "external_id": payload.get("organization_id")}
    organization = {key: names[key] for key in keys if names.get(key)}
    return {"organization": {**organization, "name": payload.get("name") or payload["organization_id"]}}


def build_organizations(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Create or update organisations, one call each."""
    return [
        post(desk, "/organizations/create_or_update.json", _organization(payload), (index,), "organizations")
        for index, payload in enumerate(payloads)
    ]


def build_memberships(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Make users members of organisations, both of which were looked up or made before."""
    built: list[Built] = []
    for index, _ in enumerate(payloads):
        user_id, organization_id = (str(found_in(context, index, key)) for key in ("user", "organization"))
        if not user_id.isdecimal() or not organization_id.isdecimal():
            built.append(_unknown(index))
            continue
        membership = {"user_id": int(user_id), "organization_id": int(organization_id)}
        body: JsonObject = {"organization_membership": membership}
        built.append(post(desk, "/organization_memberships.json", body, (index,), "organization_memberships"))
    return built


def _unknown(index: int) -> ItemOutcome:
    return refuse(index, "user_not_found", "Zendesk knows no such user; the identify call must come first.")


def build_events(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Record events of users who were found."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        user_id = found_in(context, index, "user")
        if not user_id:
            built.append(_unknown(index))
            continue
        event: JsonObject = {
            "type": payload["name"],
            "source": SOURCE,
            "description": payload.get("description") or payload["name"],
            "properties": payload.get("properties") or {},
        }
        if payload.get("time"):
            event["received_at"] = payload["time"]
        identifiers = [{"type": "external_id", "value": payload["external_id"]}] if payload.get("external_id") else []
        profile: JsonObject = {"source": SOURCE, "type": "customer", "identifiers": identifiers}
        path = f"/users/{quote(str(user_id), safe='')}/events"
        built.append(post(desk, path, {"event": event, "profile": profile}, (index,), "users/events"))
    return built


def finding_by_email(place: int) -> ResolveStep:
    """Make the step that looks a person up by one of their e-mails: it may be that of a user without an id."""

    def ask(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
        emails = ids_in(payloads[0].get("emails"))
        return ask_user([{"email": emails[place]}], found, desk, context) if place < len(emails) else None

    return ResolveStep(f"user_{place}", ask, USER_ID)


def to_be_deleted(found: Found) -> list[str]:
    """Give the ids of all users that this person is."""
    known = (found.get(key) for key in ("user", *(f"user_{place}" for place in range(MOST_EMAILS))))
    return list(dict.fromkeys(str(each) for each in known if each))


def moving(place: int) -> ResolveStep:
    """Make the step that moves one of them to the deleted users, from where alone they can be deleted for good."""

    def ask(payloads: Sequence[Payload], found: Found, desk: Desk, context: BuildContext) -> RequestSpec | None:
        ids = to_be_deleted(found)
        if place >= len(ids):
            return None
        url = f"{desk.url}/users/{quote(ids[place], safe='')}.json"
        return RequestSpec("DELETE", url, desk.headers, endpoint_label="users/delete")

    return ResolveStep(f"moved_{place}", ask, answers.found_at("user", "id"))


def build_deletion(people: Sequence[Identifiers], desk: Desk, context: BuildContext) -> list[Built]:
    """Delete for good who was found and moved."""
    built: list[Built] = []
    for index, person in enumerate(people):
        known = to_be_deleted(context.found[index]) if index < len(context.found) else []
        for user_id in known:
            url = f"{desk.url}/deleted_users/{quote(user_id, safe='')}.json"
            built.append(RequestSpec("DELETE", url, desk.headers, covers=(index,), endpoint_label="delete"))
        if len(person.emails) > MOST_EMAILS:
            built.append(too_many_emails(index))
        elif not known:
            built.append(never_known(index, person.user_id, *person.emails))
    return built


def build_test(desk: Desk, context: BuildContext) -> RequestSpec:
    """Ask who the token belongs to."""
    return RequestSpec("GET", f"{desk.url}/users/me.json", desk.headers, endpoint_label="test")


USER_REFUSED = answers.verdict(Outcome.REJECTED, "user_refused", "Zendesk does not take this user.")
JOB_FAILED = answers.verdict(Outcome.RETRY, "job_failed", "Zendesk's job has failed.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The administrator's token may not do this.")
BUSY = answers.verdict(Outcome.RETRY, "conflict", "Zendesk is changing this record already.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Bulk calls are jobs; a 409 is a race with another change and goes by itself."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        job = answers.words(answers.member(answer, "job_status", "id"))
        if request.endpoint_label == "users/create_or_update_many" and job:
            return answers.pending(request, response, job)
        return answers.delivered(request, response)
    said = answers.words(answers.member(answer, "description")) or answers.words(answers.member(answer, "error"))
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    if response.status == 409:
        return answers.for_all(request, response, BUSY, said)
    if request.endpoint_label == "organization_memberships" and response.status == 422 and "taken" in _details(answer):
        return answers.delivered(request, response)  # a member already
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _details(answer: object) -> str:
    details = answers.member(answer, "details")
    return str(details).lower() if isinstance(details, Mapping) else ""


USER = ResolveStep(
    "user",
    ask_user,
    USER_ID,
    cache_key=lambda payload, desk: str(payload.get("external_id") or payload.get("email") or "") or None,
)
ORGANIZATION = ResolveStep("organization", ask_organization, answers.found_at("organization", "id"))
