"""Zendesk: users and organisations for the support team, and what a user did before they wrote.

**What you need.** The subdomain of your Zendesk, the e-mail of an administrator, and an API token (Admin Center → Apps
and integrations → APIs).

**What is sent.** Identify calls create or update a user by external id or e-mail, with user fields by their keys. Group
calls create or update an organisation, and the user's membership in it. Track calls become events of the user, whom the
hub looks up first and remembers for five minutes.

**Limits.** Zendesk limits requests by plan; when it asks to wait, the hub waits. Up to 100 users go in one request in
bulk, which Zendesk works off as a job; the hub asks until it has ended. Deleting a user moves them to Zendesk's deleted
users, and then deletes them there for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers, auth, fields
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Found,
    Identifiers,
    Job,
    Payload,
    Preset,
    ResolveStep,
    Settings,
)
from connectors.batching import MOST_EMAILS, found_in, never_known, too_many_emails
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {"api": "https://*.zendesk.com"}
SCHEME = auth.basic("email_token", "api_token")
MOST_USERS = 100
USER_ID = answers.found_at("users", 0, "id")
SOURCE = "headwater"
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Desk:
    """One Zendesk."""

    url: str
    headers: Headers


def prepare(settings: Settings) -> Desk:
    """Work out address and credentials once; the token signs in as the administrator."""
    base = str(settings.get("api_url") or "").rstrip("/") or f"https://{settings['subdomain']}.zendesk.com"
    user = {**settings, "email_token": f"{settings['email']}/token"}
    return Desk(f"{base}/api/v2", auth.headers(SCHEME, user))


def post(desk: Desk, path: str, body: JsonObject, covers: tuple[int, ...], label: str) -> RequestSpec:
    """Make a request of the API's one form."""
    return RequestSpec("POST", desk.url + path, desk.headers, body, "json", covers, 30.0, endpoint_label=label)


def _user(payload: Payload) -> JsonObject:
    keys = ("external_id", "email", "phone", "time_zone", "locale", "notes", "details", "tags", "user_fields")
    user: JsonObject = {key: payload[key] for key in keys if payload.get(key)}
    user["name"] = payload.get("name") or payload.get("email") or payload.get("external_id")
    return {**user, "role": "end-user", "skip_verify_email": True}


NOBODY = ItemOutcome(0, Outcome.REJECTED, reason="no_identifier", message="A user needs an external id or an e-mail.")


def _refused(index: int) -> ItemOutcome:
    return ItemOutcome(index, NOBODY.outcome, reason=NOBODY.reason, message=NOBODY.message)


def build_users(payloads: Sequence[Payload], desk: Desk, context: BuildContext) -> list[Built]:
    """Create or update users, one call each."""
    return [
        post(desk, "/users/create_or_update.json", {"user": _user(payload)}, (index,), "users/create_or_update")
        if payload.get("external_id") or payload.get("email")
        else _refused(index)
        for index, payload in enumerate(payloads)
    ]


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
        found = context.found[index] if index < len(context.found) else {}
        user_id, organization_id = found.get("user"), found.get("organization")
        if not user_id or not organization_id:
            built.append(_unknown(index))
            continue
        membership = {"user_id": int(str(user_id)), "organization_id": int(str(organization_id))}
        body: JsonObject = {"organization_membership": membership}
        built.append(post(desk, "/organization_memberships.json", body, (index,), "organization_memberships"))
    return built


def _unknown(index: int) -> ItemOutcome:
    message = "Zendesk knows no such user; the identify call must come first."
    return ItemOutcome(index, Outcome.REJECTED, reason="user_not_found", message=message)


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
        emails = answers.list_of(list(payloads[0].get("emails") or ()))  # type: ignore[call-overload]
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
            built.append(too_many_emails(index, MOST_EMAILS))
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
WHO = (
    Field("external_id", "External id", default=fields.USER_ID, category="identifier", maximum=255),
    Field("email", "E-mail", default=fields.EMAIL, category="pii", format="email"),
)
PROFILE = (
    *WHO,
    Field("name", "Name", default=fields.of_person("name"), category="pii", maximum=255),
    Field("phone", "Phone", default=fields.PHONE, category="pii"),
    Field("time_zone", "Time zone", maximum=60),
    Field("locale", "Locale", default={"@path": "$.context.locale"}, maximum=20),
    Field("details", "Details", "text"),
    Field("notes", "Notes", "text"),
    Field("tags", "Tags", multiple=True),
    Field("user_fields", "User fields", "object", "Values by the keys of Zendesk's user fields."),
)
GROUP = (
    Field("organization_id", "Organisation", required=True, default={"@path": "$.groupId"}, category="identifier"),
    Field("name", "Name", default={"@path": "$.traits.name"}, maximum=255),
    Field("domain_names", "Domains", multiple=True),
    Field("details", "Details", "text"),
    Field("notes", "Notes", "text"),
    Field("tags", "Tags", multiple=True),
    Field("organization_fields", "Organisation fields", "object", "Values by the keys of Zendesk's fields."),
)
ACTIONS = (
    Action(
        "upsert_user", "Create or update a user", "Keep a user up to date.", 'type = "identify"', PROFILE, build_users
    ),
    Action(
        "upsert_users",
        "Create or update users in bulk",
        "Keep many users up to date in few requests.",
        'type = "identify"',
        PROFILE,
        build_many,
        batch=BatchRule(max_items=MOST_USERS, max_bytes=1_000_000, max_wait_s=5.0),
        job=Job(ask_job, read_job, poll_interval_s=10.0, max_wait_s=3600.0),
    ),
    Action(
        "upsert_organization",
        "Create or update an organisation",
        "Keep an organisation up to date.",
        'type = "group"',
        GROUP,
        build_organizations,
    ),
    Action(
        "set_membership",
        "Set a membership",
        "Keep an organisation up to date and make the user a member.",
        'type = "group"',
        (WHO[0], *GROUP),
        build_memberships,
        resolve=(USER, ORGANIZATION),
    ),
    Action(
        "track_event",
        "Track an event",
        "Show the support team what a user did.",
        'type = "track"',
        (
            *WHO,
            Field("name", "Event", required=True, default=fields.EVENT, maximum=255),
            Field("description", "Description", maximum=1_000),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
            Field("time", "Time", "datetime", default=fields.TIMESTAMP),
        ),
        build_events,
        resolve=(USER,),
    ),
)

connector = Connector(
    slug="zendesk",
    name="Zendesk",
    version="1.0.0",
    category="support",
    status="stable",
    description="Keeps users, organisations and their events in Zendesk.",
    docs_url="https://developer.zendesk.com/api-reference/ticketing/users/users/",
    settings=(
        Field("subdomain", "Subdomain", required=True, pattern=r"[a-z0-9][a-z0-9-]{0,62}", clears_secrets=True),
        Field("email", "Administrator's e-mail", required=True, format="email", category="pii"),
        fields.secret("api_token", "API token"),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep users up to date", "upsert_user", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Keep organisations and members", "set_membership", 'type = "group"', ACTIONS[3].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[4].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(
        max_people=20,
        build=build_deletion,
        resolve=(
            ResolveStep("user", ask_user, USER_ID),
            *map(finding_by_email, range(MOST_EMAILS)),
            *map(moving, range(MOST_EMAILS + 1)),
        ),
    ),
    interpret=interpret_answer,
    auth=(auth.basic("email", "api_token"),),
    base_urls=BASE_URLS,
)
