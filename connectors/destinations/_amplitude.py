"""Amplitude's requests and answers: events as JSON with per-event verdicts, identities and groups as forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors import fields
from connectors.answers import for_all, list_of, object_of, parsed, places_in, verdict, words
from connectors.base import BuildContext, Built, Identifiers, Payload, Settings
from connectors.batching import (
    JsonObject,
    Make,
    forgotten,
    gather,
    groups_of,
    refuse,
    sent_again,
    told_apart,
    unknown_people,
)
from connectors.destinations import _user_agents
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret, retry_after_of
from connectors.moments import milliseconds_of

BASE_URLS = {
    "us": "https://api2.amplitude.com",
    "eu": "https://api.eu.amplitude.com",
    "us_app": "https://amplitude.com",
    "eu_app": "https://analytics.eu.amplitude.com",
}
SHORTEST_ID = 5
LONGEST_TEXT = 1_024
MOST_DELETED_IDS = 100
# Instead of a session's beginning: the event belongs to none.
NO_SESSION = -1
# How long Amplitude wants a user or device that sends too much to be left alone, and one that has used up its day.
PAUSE_SECONDS, DAY_PAUSE_SECONDS = 30.0, 3_600.0
PLATFORMS = {"ios": "iOS", "android": "Android", "web": "Web"}
# Fields of a payload that are fields of an event by the same name.
PLAIN = (
    *("app_version", "platform", "os_name", "os_version", "device_brand", "device_manufacturer", "device_model"),
    *("carrier", "country", "region", "city", "dma", "language", "ip", "location_lat", "location_lng"),
    *("idfa", "idfv", "adid", "android_id", "price", "quantity", "revenue", "library"),
)
RENAMED = (("product_id", "productId"), ("revenue_type", "revenueType"))
OPERATIONS = frozenset(
    (
        *("$set", "$setOnce", "$add", "$append", "$prepend", "$unset"),
        *("$preInsert", "$postInsert", "$remove", "$clearAll"),
    )
)
# Doing these twice counts twice; events have an insert id against that, identities have not.
COUNTING = frozenset(("$add", "$append", "$prepend"))
FAULTS = (
    ("events_with_invalid_fields", "invalid_fields", "Amplitude finds a value of the wrong kind"),
    ("events_with_missing_fields", "missing_fields", "Amplitude misses a value"),
    ("events_with_invalid_id_lengths", "invalid_id_length", "Amplitude finds an id too short"),
)


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's requests go, and as whom."""

    api_key: str
    events_url: str
    api_url: str
    app_url: str
    app_headers: Headers  # none without a secret key
    shortest_id: int
    options: JsonObject | None


def prepare(settings: Settings) -> Project:
    """Work out addresses and credentials once."""
    base = fields.api_url(BASE_URLS, settings)
    key, secret = str(settings["api_key"]), str(settings.get("secret_key") or "")
    pair = base64.b64encode(f"{key}:{secret}".encode()).decode()
    shortest = settings.get("min_id_length")
    return Project(
        key,
        base + ("/batch" if settings.get("upload") == "batch" else "/2/httpapi"),
        base,
        fields.api_url(BASE_URLS, settings, f"{settings.get('region') or 'us'}_app"),
        (("authorization", f"Basic {pair}"),) if secret else (),
        shortest if isinstance(shortest, int) else SHORTEST_ID,
        {"min_id_length": shortest} if isinstance(shortest, int) else None,
    )


def _ids(payload: Payload, project: Project) -> JsonObject:
    """Give the ids that are long enough; Amplitude drops shorter ones without a word."""
    named = ((name, str(payload.get(name) or "")) for name in ("user_id", "device_id"))
    return {name: value for name, value in named if value and len(value) >= project.shortest_id}


def _no_ids(index: int, project: Project) -> ItemOutcome:
    said = f"Amplitude needs a user id or device id of at least {project.shortest_id} characters."
    return refuse(index, "invalid_id_length", said)


def cut(value: object) -> object:
    """Shorten every text to what Amplitude keeps of it."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {key: cut(inner) for key, inner in value.items()}
    return [cut(inner) for inner in value] if isinstance(value, list) else value


def _event(payload: Payload, project: Project, mark: str, context: BuildContext) -> JsonObject:
    moment = milliseconds_of(payload.get("time") or context.now)
    event: JsonObject = {
        **_of_browser(payload),
        **_ids(payload, project),
        "event_type": payload["event_type"],
        "time": milliseconds_of(context.now) if moment is None else moment,
        "insert_id": mark,
        **{name: payload[name] for name in PLAIN if name in payload},
        **{name: payload[key] for key, name in RENAMED if key in payload},
    }
    session = payload.get("session_id")
    started = NO_SESSION if session == str(NO_SESSION) else milliseconds_of(session)
    if started is not None:
        event["session_id"] = started
    for name in ("event_properties", "groups"):
        if payload.get(name):
            event[name] = cut(payload[name])
    of_user = _user_properties(payload)
    if of_user:
        event["user_properties"] = of_user
    if "platform" in event:
        event["platform"] = PLATFORMS.get(str(event["platform"]).lower(), event["platform"])
    return event


def _of_browser(payload: Payload) -> JsonObject:
    """Read the user agent: to Amplitude a browser is the system that runs, and its version the system's."""
    agent = _user_agents.read(str(payload.get("user_agent") or ""))
    named = (
        ("os_name", agent.browser),
        ("os_version", agent.browser_version),
        ("device_model", agent.device or agent.system),
    )
    return {name: value for name, value in named if value}


def _user_properties(payload: Payload) -> JsonObject:
    """Give the user's properties, and where the visit came from: now, and at the very first."""
    own = object_of(payload.get("user_properties"))
    came = {key: value for key, value in object_of(payload.get("attribution")).items() if value not in (None, "")}
    if not came:
        return object_of(cut(own))  # type: ignore[return-value]
    operations: JsonObject = {**own} if OPERATIONS & own.keys() else {"$set": own}
    operations["$set"] = {**came, **object_of(operations.get("$set"))}
    first = {f"initial_{key}": value for key, value in came.items()}
    operations["$setOnce"] = {**first, **object_of(operations.get("$setOnce"))}
    return object_of(cut(operations))  # type: ignore[return-value]


def build_events(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Log the events of a batch at once."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        if not _ids(payload, project):
            return _no_ids(index, project)
        return _event(payload, project, str(payload.get("insert_id") or context.message_ids[index]), context)

    entries, covers, decided = gather(payloads, make)
    return [*decided, _logged(entries, covers, "events", project)] if entries else list(decided)


def _logged(entries: list[JsonObject], covers: tuple[int, ...], label: str, project: Project) -> RequestSpec:
    body: JsonObject = {"api_key": project.api_key, "events": entries}
    if project.options:
        body["options"] = project.options
    return RequestSpec("POST", project.events_url, (), body, "json", covers, timeout_s=30.0, endpoint_label=label)


def build_purchases(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Log one event with revenue for each product of an order."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        products = [object_of(one) for one in list_of(payload.get("products")) if one]
        mark = str(payload.get("insert_id") or context.message_ids[index])
        if not _ids(payload, project):
            built.append(_no_ids(index, project))
        elif not products:
            built.append(ItemOutcome(index, Outcome.FILTERED, 0, "no_products", "The order names no products."))
        else:
            events = [
                _event(_of_product(payload, product), project, f"{mark}-{place}", context)
                for place, product in enumerate(products)
            ]
            built.append(_logged(events, (index,), "purchases", project))
    return built


def _of_product(payload: Payload, product: Mapping[str, object]) -> JsonObject:
    own = {**object_of(payload.get("event_properties")), **product}
    known: JsonObject = {"event_properties": {key: value for key, value in own.items() if key not in PRODUCT_FIELDS}}
    for field in ("product_id", "price", "quantity", "revenue", "revenue_type"):
        if product.get(field) is not None:
            known[field] = product[field]
    if "revenue" not in known and "price" in known:
        known.setdefault("quantity", 1)
    return {**payload, **known}


PRODUCT_FIELDS = frozenset(("product_id", "price", "quantity", "revenue", "revenue_type"))


def build_identities(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Set properties and groups of users."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        if not _ids(payload, project):
            return _no_ids(index, project)
        identity = {**_ids(payload, project), **{name: payload[name] for name in PLAIN if name in payload}}
        of_user = _user_properties(payload)
        if of_user:
            identity["user_properties"] = of_user
        if payload.get("groups"):
            identity["groups"] = cut(payload["groups"])
        if "platform" in identity:
            identity["platform"] = PLATFORMS.get(str(identity["platform"]).lower(), identity["platform"])
        return identity

    return _forms(payloads, make, "identify", "identification", project)


def build_groups(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Set properties of groups."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        return {
            "group_type": payload["group_type"],
            "group_value": payload["group_value"],
            "group_properties": cut(object_of(payload.get("group_properties"))),
        }

    return _forms(payloads, make, "groupidentify", "identification", project)


def build_aliases(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Let users of several projects count as one."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        if payload.get("unmap"):
            return {"user_id": payload["user_id"], "unmap": True}
        if not payload.get("global_user_id"):
            return refuse(index, "no_global_id", "A user can only be mapped to a global user id.")
        return {"user_id": payload["user_id"], "global_user_id": payload["global_user_id"]}

    return _forms(payloads, make, "usermap", "mapping", project)


def _forms(payloads: Sequence[Payload], make: Make, path: str, name: str, project: Project) -> list[Built]:
    """Send what may be repeated together; what counts is sent alone, so that no repeat of others counts twice."""
    entries, covers, decided = gather(payloads, make)
    counts = [not COUNTING.isdisjoint(object_of(entry.get("user_properties"))) for entry in entries]
    plain = [place for place, is_counting in enumerate(counts) if not is_counting]
    groups = [plain] if plain else []
    groups += [[place] for place, is_counting in enumerate(counts) if is_counting]
    built: list[Built] = list(decided)
    for places in groups:
        together, whose = [entries[place] for place in places], tuple(covers[place] for place in places)
        built.append(_form(together, whose, path, name, project, is_idempotent=not counts[places[0]]))
    return built


def _form(
    entries: list[JsonObject],
    covers: tuple[int, ...],
    path: str,
    name: str,
    project: Project,
    *,
    is_idempotent: bool,
) -> RequestSpec:
    form = {"api_key": project.api_key, name: json.dumps(entries, ensure_ascii=False, separators=(",", ":"))}
    if project.options:
        form["options"] = json.dumps(project.options, separators=(",", ":"))
    return RequestSpec(
        "POST",
        f"{project.api_url}/{path}",
        (),
        form,
        "form",
        covers,
        timeout_s=30.0,
        endpoint_label=path,
        is_idempotent=is_idempotent,
    )


def build_test(project: Project, context: BuildContext) -> RequestSpec:
    """Look for somebody who is not there; without a secret key, log no event at all."""
    if project.app_headers:
        url = f"{project.app_url}/api/2/usersearch?user=headwater-connection-test"
        return RequestSpec("GET", url, project.app_headers, endpoint_label="test")
    body = {"api_key": project.api_key, "events": []}
    return RequestSpec("POST", project.events_url, (), body, "json", endpoint_label="test")


def build_deletion(people: Sequence[Identifiers], project: Project, context: BuildContext) -> list[Built]:
    """Ask for users to be deleted, which Amplitude does within 30 days."""
    if not project.app_headers:
        return []
    ids = [[person.user_id] if person.user_id else [] for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_DELETED_IDS):
        body = {"user_ids": together, "requester": "Headwater", "ignore_invalid_id": "true"}
        url = f"{project.app_url}/api/2/deletions/users"
        built.append(RequestSpec("POST", url, project.app_headers, body, "json", covers, endpoint_label="delete"))
    return built


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Find the events that Amplitude names: it takes nothing of a request in which one is bad."""
    if response.error is not None or 200 <= response.status < 300:
        return interpret(request, response)
    told = object_of(parsed(response))
    said = words(told.get("error")) or words(parsed(response)) or response.body[:200].decode("utf-8", "replace")
    if response.status == 400 and "api key" in said.lower().replace("_", " "):
        message = "Amplitude does not know this API key."
        return for_all(request, response, verdict(Outcome.UNAUTHORIZED, "unauthorized", message))
    if request.endpoint_label == "test" and response.status == 400:  # let in, and told that nothing came
        return [ItemOutcome(index, Outcome.DELIVERED, 400) for index in request.covers]
    if request.endpoint_label == "delete":
        return forgotten(request, response) or interpret(request, response)
    if request.endpoint_label not in ("events", "purchases") or response.status not in (400, 429):
        return interpret(request, response)
    faults = _refused(request, told) if response.status == 400 else _throttled(request, response, told)
    if not faults:
        return _unnamed(request, response, said)
    if request.endpoint_label == "purchases":
        first = next(iter(faults.values()))
        return [replace(first, index=index) for index in request.covers]
    return told_apart(request, faults, sent_again(response.status))


def _unnamed(request: RequestSpec, response: Response, said: str) -> list[ItemOutcome]:
    """Nobody is named: the common table, with the wait that Amplitude asks for and the reason it gives."""
    items = interpret(request, response)
    if response.status == 429:
        wait = retry_after_of(response, Outcome.THROTTLED)
        return [replace(item, retry_after_s=PAUSE_SECONDS if wait is None else wait) for item in items]
    is_one = len(items) == 1 and said
    return [replace(item, message=f"{item.message} ({said[:200]})") for item in items] if is_one else items


def _refused(request: RequestSpec, told: Mapping[str, object]) -> dict[int, ItemOutcome]:
    count, faults = len(list_of(object_of(request.body).get("events"))), {}
    for key, reason, message in FAULTS:
        for field, places in object_of(told.get(key)).items():
            for place in places_in(places, count):
                faults[place] = refuse(0, reason, f"400: {message}: {str(field)[:100]}.", 400)
    for place in places_in(told.get("silenced_events"), count):
        faults[place] = refuse(0, "silenced", "400: The project blocks events of this device.", 400)
    return faults


def _throttled(request: RequestSpec, response: Response, told: Mapping[str, object]) -> dict[int, ItemOutcome]:
    """Give the events of users and devices that send too much: only they wait, and longer when their day is used up."""
    events = [object_of(one) for one in list_of(object_of(request.body).get("events"))]
    faults: dict[int, ItemOutcome] = {}
    for place, event in enumerate(events):
        ids = (("users", event.get("user_id")), ("devices", event.get("device_id")))
        named = [kind for kind, one in ids if one is not None and one in object_of(told.get(f"throttled_{kind}"))]
        spent = [
            kind for kind, one in ids if one is not None and one in object_of(told.get(f"exceeded_daily_quota_{kind}"))
        ]
        if spent:
            faults[place] = _waiting("quota_used", "This user or device has used up its day.", DAY_PAUSE_SECONDS)
        elif named:
            faults[place] = _waiting("throttled", "This user or device sends too much at once.", PAUSE_SECONDS)
    for place in places_in(told.get("throttled_events"), len(events)):
        faults.setdefault(place, _waiting("throttled", "This event is one too many just now.", PAUSE_SECONDS))
    return faults


def _waiting(reason: str, message: str, seconds: float) -> ItemOutcome:
    return ItemOutcome(0, Outcome.RETRY, 429, reason, f"429: {message}", seconds)
