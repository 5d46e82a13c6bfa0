"""Mixpanel's requests and answers: events for /import and /track, changes of profiles for /engage and /groups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import auth, fields
from connectors.answers import list_of, object_of
from connectors.base import BuildContext, Built, Identifiers, Payload, Settings
from connectors.batching import JsonObject, Make, gather, groups_of, refuse, unknown_people
from connectors.destinations import _user_agents
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec
from connectors.moments import milliseconds_of, text_of

BASE_URLS = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
    "us_app": "https://mixpanel.com",
    "eu_app": "https://eu.mixpanel.com",
    "in_app": "https://in.mixpanel.com",
}
SERVICE_ACCOUNT = auth.basic()
SCHEMES = (auth.body("project_token"), SERVICE_ACCOUNT)

MOST_PROPERTIES = 255
MOST_DELETED_IDS, MOST_ERASED_IDS = 1_000, 1_999
INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
# What Mixpanel itself writes, or reads as something else than a property.
RESERVED = frozenset(("time", "id", "distinct_id", "token", "length", "$insert_id", "$device_id", "$user_id"))
# Doing these twice counts twice.
COUNTING = frozenset(("add", "append"))
PROFILE_NAMES = {
    "email": "$email",
    "firstName": "$first_name",
    "first_name": "$first_name",
    "lastName": "$last_name",
    "last_name": "$last_name",
    "name": "$name",
    "phone": "$phone",
    "avatar": "$avatar",
    "createdAt": "$created",
    "created_at": "$created",
    "created": "$created",
    "city": "$city",
    "region": "$region",
    "state": "$region",
    "country_code": "$country_code",
}


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's requests go, and as whom."""

    token: str
    is_simplified: bool
    import_url: str
    track_url: str
    engage_url: str
    groups_url: str
    import_headers: Headers
    erasure_url: str
    erasure_headers: Headers  # none: only profiles can be deleted
    compliance: str


def prepare(settings: Settings) -> Project:
    """Work out addresses and credentials once."""
    token, base = str(settings["project_token"]), fields.api_url(BASE_URLS, settings)
    app = fields.api_url(BASE_URLS, settings, f"{settings.get('region') or 'us'}_app")
    query = "?strict=1"
    if auth.choose(SCHEMES, settings) is SERVICE_ACCOUNT:
        headers = auth.headers(SERVICE_ACCOUNT, settings)
        query += f"&project_id={quote(str(settings.get('project_id') or ''), safe='')}"
    else:
        headers = auth.headers(auth.basic(), {"username": settings.get("api_secret") or token})
    erasure = auth.headers(auth.bearer("gdpr_token"), settings) if settings.get("gdpr_token") else ()
    return Project(
        token,
        settings.get("id_merge") != "original",
        f"{base}/import{query}",
        f"{base}/track?strict=1&verbose=1",
        f"{base}/engage?ip=0&strict=1&verbose=1",
        f"{base}/groups?ip=0&strict=1&verbose=1",
        headers,
        f"{app}/api/app/data-deletions/v3.0/?token={quote(token, safe='')}",
        erasure,
        str(settings.get("compliance") or "GDPR"),
    )


def insert_id(text: str) -> str:
    """Give what Mixpanel tells repeats by: the message id, or its digest where it has not the form that is allowed."""
    return text if INSERT_ID.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:36]


def distinct_id(payload: Payload, project: Project) -> str:
    """Name the person: the user, or else the device in the form that the project's identity merge wants."""
    if payload.get("user_id"):
        return str(payload["user_id"])
    device = str(payload.get("anonymous_id") or "")
    return f"$device:{device}" if device and project.is_simplified else device


def _identity(payload: Payload, project: Project) -> JsonObject:
    ids: JsonObject = {"distinct_id": distinct_id(payload, project)}
    if project.is_simplified:
        named = (("$device_id", payload.get("anonymous_id")), ("$user_id", payload.get("user_id")))
        ids.update((name, value) for name, value in named if value)
    return ids


def _of_browser(payload: Payload) -> JsonObject:
    agent = _user_agents.read(str(payload.get("user_agent") or ""))
    named = (
        ("$browser", agent.browser),
        ("$browser_version", agent.browser_version),
        ("$os", agent.system),
        ("$device", agent.device),
    )
    return {name: value for name, value in named if value}


def _event(name: str, payload: Payload, own: Mapping[str, object], project: Project, mark: str, now: int) -> JsonObject:
    moment = milliseconds_of(payload.get("time"))
    properties: JsonObject = {
        **_of_browser(payload),
        **object_of(payload.get("details")),
        **{key: value for key, value in own.items() if key not in RESERVED},
        "time": now if moment is None else moment,
        "$insert_id": insert_id(mark),
        **_identity(payload, project),
    }
    if payload.get("ip"):
        properties["ip"] = payload["ip"]
    return {"event": name, "properties": properties}


def _now(context: BuildContext) -> int:
    return milliseconds_of(context.now) or 0


def build_events(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Import the events of a batch at once."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        own, mark = object_of(payload.get("properties")), str(payload.get("insert_id") or context.message_ids[index])
        if len(own) > MOST_PROPERTIES:
            return refuse(index, "too_many_properties", f"An event has at most {MOST_PROPERTIES} properties.")
        return _event(str(payload["event"]), payload, own, project, mark, _now(context))

    return _import(payloads, make, project)


def _import(payloads: Sequence[Payload], make: Make, project: Project) -> list[Built]:
    entries, covers, decided = gather(payloads, make)
    return [*decided, _imported(entries, covers, "import", project)] if entries else list(decided)


def _imported(entries: list[JsonObject], covers: tuple[int, ...], label: str, project: Project) -> RequestSpec:
    return RequestSpec(
        "POST",
        project.import_url,
        project.import_headers,
        entries,
        "json",
        covers,
        timeout_s=30.0,
        endpoint_label=label,
        compress="gzip",
    )


def build_products(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Import one event for each product of an order."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        products = [object_of(one) for one in list_of(payload.get("products"))]
        order, mark = object_of(payload.get("properties")), str(payload.get("insert_id") or context.message_ids[index])
        events = [
            _event("Product Purchased", payload, {**order, **product}, project, f"{mark}-{place}", _now(context))
            for place, product in enumerate(products)
            if product
        ]
        if events:
            built.append(_imported(events, (index,), "import_products", project))
        else:
            built.append(ItemOutcome(index, Outcome.FILTERED, 0, "no_products", "The order names no products."))
    return built


def build_links(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Tie anonymous ids to their users: by an event with both, or for the original merge by one that names them."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        if not payload.get("anonymous_id"):
            return ItemOutcome(index, Outcome.FILTERED, 0, "no_anonymous_id", "There is no device to tie to the user.")
        if project.is_simplified:
            return _event("$identify", payload, {}, project, f"{context.message_ids[index]}-identify", _now(context))
        ids = {"$identified_id": payload["user_id"], "$anon_id": payload["anonymous_id"], "token": project.token}
        return {"event": "$identify", "properties": ids}

    if project.is_simplified:
        return _import(payloads, make, project)
    entries, covers, decided = gather(payloads, make)
    return [*decided, _posted(project.track_url, entries, covers, "track")] if entries else list(decided)


def build_aliases(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Make a second id lead to a person, where the project's identity merge knows such a thing."""
    if project.is_simplified:
        return _without_aliases(payloads)
    entries: list[JsonObject] = [
        {
            "event": "$create_alias",
            "properties": {
                "distinct_id": payload["previous_id"],
                "alias": payload["user_id"],
                "token": project.token,
            },
        }
        for payload in payloads
    ]
    return [_posted(project.track_url, entries, tuple(range(len(payloads))), "track")]


def _without_aliases(payloads: Sequence[Payload]) -> list[Built]:
    said = "Projects with the simplified identity merge have no aliases."
    return [ItemOutcome(index, Outcome.FILTERED, 0, "no_aliases", said) for index in range(len(payloads))]


def build_merges(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Make one person of two, where the project's identity merge knows such a thing."""
    if project.is_simplified:
        return _without_aliases(payloads)
    entries: list[JsonObject] = [
        {"event": "$merge", "properties": {"$distinct_ids": [payload["previous_id"], payload["user_id"]]}}
        for payload in payloads
    ]
    return [_imported(entries, tuple(range(len(payloads))), "import", project)]


def _posted(
    url: str, entries: Sequence[JsonObject], covers: tuple[int, ...], label: str, *, is_idempotent: bool = True
) -> RequestSpec:
    return RequestSpec(
        "POST", url, (), entries, "json", covers, endpoint_label=label, is_idempotent=is_idempotent, timeout_s=30.0
    )


def build_profiles(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Change the profiles of a batch at once; what counts is sent alone, so that no repeat of others counts twice."""
    operation = str(payloads[0].get("operation") or "set")

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        return _profile(index, payload, project, _values(operation, object_of(payload.get("properties"))), operation)

    entries, covers, decided = gather(payloads, make)
    if operation in COUNTING:
        alone = zip(entries, covers, strict=True)
        return [*decided, *(_counted(entry, index, project) for entry, index in alone)]
    return [*decided, _posted(project.engage_url, entries, covers, "engage")] if entries else list(decided)


def _counted(entry: JsonObject, index: int, project: Project) -> RequestSpec:
    return _posted(project.engage_url, [entry], (index,), "engage", is_idempotent=False)


def _profile(
    index: int, payload: Payload, project: Project, values: object, operation: str
) -> JsonObject | ItemOutcome:
    person = distinct_id(payload, project)
    if not person:
        return refuse(index, "no_id", "A profile needs a user id or an anonymous id.")
    if not values:
        return _nothing(index)
    record: JsonObject = {"$token": project.token, "$distinct_id": person}
    if payload.get("ip"):
        record["$ip"] = payload["ip"]
    return {**record, f"${operation}": values}


def _nothing(index: int) -> ItemOutcome:
    return ItemOutcome(index, Outcome.FILTERED, 0, "nothing_to_change", "There is nothing to change in the profile.")


def _values(operation: str, properties: Mapping[str, object]) -> object:
    """Give the values of an operation in the form that it wants."""
    named = renamed(properties)
    if operation == "unset":
        return list(named)
    if operation == "union":
        return {key: value if isinstance(value, list) else [value] for key, value in named.items()}
    if operation == "add":
        numbers = named.items()
        return {key: one for key, one in numbers if isinstance(one, int | float) and not isinstance(one, bool)}
    return named


def renamed(traits: Mapping[str, object]) -> JsonObject:
    """Give traits the names that Mixpanel's own pages know them by, and a full name where only its parts are there."""
    address = object_of(traits.get("address"))
    named: JsonObject = {
        PROFILE_NAMES[key]: address[key] for key in ("city", "state", "region") if isinstance(address.get(key), str)
    }
    named.update((PROFILE_NAMES.get(key, key), value) for key, value in traits.items())
    parts = [str(named[key]) for key in ("$first_name", "$last_name") if named.get(key)]
    if parts and not named.get("$name"):
        named["$name"] = " ".join(parts)
    return named


def build_revenue(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Add each purchase to the person's transactions."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        moment = milliseconds_of(payload.get("time"))
        at = payload["time"] if moment is not None else text_of(context.now)
        bought = {"$transactions": {"$time": at, "$amount": payload["amount"]}}
        made = _profile(index, payload, project, bought, "append")
        built.append(made if isinstance(made, ItemOutcome) else _counted(made, index, project))
    return built


def build_groups(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Set the properties of groups."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        traits = dict(object_of(payload.get("properties")))
        if "name" in traits:
            traits["$name"] = traits.pop("name")
        if not traits:
            return _nothing(index)
        return {
            "$token": project.token,
            "$group_key": payload["group_key"],
            "$group_id": payload["group_id"],
            "$set": traits,
        }

    entries, covers, decided = gather(payloads, make)
    return [*decided, _posted(project.groups_url, entries, covers, "groups")] if entries else list(decided)


def build_memberships(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Put people into groups."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        joined = {str(payload["group_key"]): [payload["group_id"]]}
        return _profile(index, payload, project, joined, "union")

    entries, covers, decided = gather(payloads, make)
    return [*decided, _posted(project.engage_url, entries, covers, "engage")] if entries else list(decided)


def build_test(project: Project, context: BuildContext) -> RequestSpec:
    """Import nothing at all."""
    return RequestSpec("POST", project.import_url, project.import_headers, [], "json", endpoint_label="test")


def build_deletion(people: Sequence[Identifiers], project: Project, context: BuildContext) -> list[Built]:
    """Erase people with their events where there is a token for it, else their profiles."""
    prefixes = ("", "$device:") if project.is_simplified else ("",)
    ids = [[person.user_id] if person.user_id else [] for person in people]
    for own, person in zip(ids, people, strict=True):
        own += [prefix + device for device in person.anonymous_ids for prefix in prefixes]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_ERASED_IDS if project.erasure_headers else MOST_DELETED_IDS):
        if project.erasure_headers:
            body = {"distinct_ids": together, "compliance_type": project.compliance}
            built.append(
                RequestSpec(
                    "POST", project.erasure_url, project.erasure_headers, body, "json", covers, endpoint_label="delete"
                )
            )
        else:
            gone = {"$token": project.token, "$delete": None, "$ignore_alias": True}
            records: list[JsonObject] = [{**gone, "$distinct_id": one} for one in together]
            built.append(_posted(project.engage_url, records, covers, "delete_profiles"))
    return built
