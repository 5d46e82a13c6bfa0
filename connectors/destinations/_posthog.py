"""PostHog's requests and answers: events of every kind go to one address, in one form."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from connectors import auth, fields
from connectors.answers import for_all, list_of, object_of, parsed, verdict, words
from connectors.base import BuildContext, Built, Identifiers, Payload, Settings
from connectors.batching import (
    Gathered,
    JsonObject,
    byte_count,
    forgotten,
    gather,
    groups_of,
    ids_of,
    refuse,
    unknown_people,
)
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import text_of

BASE_URLS = {
    "us": "https://us.i.posthog.com",
    "eu": "https://eu.i.posthog.com",
    "us_app": "https://us.posthog.com",
    "eu_app": "https://eu.posthog.com",
}
LARGEST_EVENT = 900_000
MOST_DELETED_IDS = 1_000
# By which message ids that are no UUIDs become some: the same each time.
NAMESPACE = uuid.UUID("0b7f8a52-4f61-5d0c-9a43-1f2f0c3f6d11")


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's requests go, and as whom."""

    api_key: str
    capture_url: str
    test_url: str
    is_historical: bool
    deletion_url: str  # empty: nobody can be deleted
    deletion_headers: Headers


def prepare(settings: Settings) -> Project:
    """Work out addresses and credentials once."""
    base = fields.api_url(BASE_URLS, settings)
    app = fields.api_url(BASE_URLS, settings, f"{settings.get('region') or 'us'}_app")
    project, personal = settings.get("project_id"), settings.get("personal_api_key")
    return Project(
        str(settings["project_api_key"]),
        f"{base}/batch/",
        f"{base}/flags/?v=2",
        settings.get("historical_migration") is True,
        f"{app}/api/projects/{quote(str(project), safe='')}/persons/bulk_delete/" if project and personal else "",
        auth.headers(auth.bearer("personal_api_key"), settings),
    )


def uuid_of(mark: str) -> str:
    """Give what PostHog tells repeats by: the message id where it is a UUID, else one made of it."""
    try:
        return str(uuid.UUID(mark))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, mark.encode("utf-8", "replace").decode()))


def _capture(
    name: str, person: object, properties: JsonObject, payload: Payload, mark: str, context: BuildContext
) -> JsonObject:
    event: JsonObject = {
        "event": name,
        "uuid": uuid_of(mark),
        "timestamp": payload.get("timestamp") or text_of(context.now),
        "properties": {**properties, "distinct_id": person},
    }
    address = payload.get("ip")
    # Without an address of its own PostHog would place everybody where this installation is.
    event["properties"] |= {"$ip": address} if address else {"$geoip_disable": True}  # type: ignore[operator]
    return event


def _sized(index: int, event: JsonObject) -> JsonObject | ItemOutcome:
    if byte_count(event) > LARGEST_EVENT:
        return refuse(index, "event_too_large", "PostHog takes events of up to 900 KB.")
    return event


def build_events(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Capture the events of a batch at once."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        properties = {**object_of(payload.get("details")), **object_of(payload.get("properties"))}
        for key, name in (("set", "$set"), ("set_once", "$set_once"), ("groups", "$groups")):
            if payload.get(key):
                properties[name] = payload[key]
        if payload.get("user_agent"):
            properties["$raw_user_agent"] = payload["user_agent"]
        if payload.get("process_person_profile") is not None:
            properties["$process_person_profile"] = payload["process_person_profile"]
        mark = str(payload.get("uuid") or context.message_ids[index])
        return _sized(
            index, _capture(str(payload["event"]), payload["distinct_id"], properties, payload, mark, context)
        )

    return _captured(gather(payloads, make), project)


def build_identities(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Set what is known of persons, and tie their devices to them."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        properties: JsonObject = {"$set": object_of(payload.get("set"))}
        if payload.get("set_once"):
            properties["$set_once"] = payload["set_once"]
        device, person = payload.get("anonymous_id"), payload["distinct_id"]
        if device and device != person:
            properties["$anon_distinct_id"] = device
        return _sized(index, _capture("$identify", person, properties, payload, context.message_ids[index], context))

    return _captured(gather(payloads, make), project)


def build_aliases(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Join a second id to a person."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        person, mark = payload["distinct_id"], context.message_ids[index]
        return _capture("$create_alias", person, {"alias": payload["alias"]}, payload, mark, context)

    return _captured(gather(payloads, make), project)


def build_groups(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Set what is known of groups."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        kind, key = payload["group_type"], payload["group_key"]
        properties: JsonObject = {
            "$group_type": kind,
            "$group_key": key,
            "$group_set": object_of(payload.get("group_set")),
            "$groups": {str(kind): key},
        }
        person, mark = payload.get("distinct_id") or f"${kind}_{key}", context.message_ids[index]
        return _sized(index, _capture("$groupidentify", person, properties, payload, mark, context))

    return _captured(gather(payloads, make), project)


def _captured(gathered: Gathered, project: Project) -> list[Built]:
    entries, covers, decided = gathered
    if not entries:
        return list(decided)
    body: JsonObject = {"api_key": project.api_key, "batch": entries}
    if project.is_historical:
        body["historical_migration"] = True
    request = RequestSpec(
        "POST", project.capture_url, (), body, "json", covers, timeout_s=30.0, endpoint_label="capture", compress="gzip"
    )
    return [*decided, request]


def build_test(project: Project, context: BuildContext) -> RequestSpec:
    """Ask for the feature flags of nobody: it needs the key and records nothing."""
    body = {"api_key": project.api_key, "distinct_id": "headwater-connection-test"}
    return RequestSpec("POST", project.test_url, (), body, "json", endpoint_label="test")


def build_deletion(people: Sequence[Identifiers], project: Project, context: BuildContext) -> list[Built]:
    """Delete persons by any of their ids, and their events."""
    if not project.deletion_url:
        return []
    ids = [ids_of(person) for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_DELETED_IDS):
        body = {"distinct_ids": together, "delete_events": True, "delete_recordings": True}
        url, headers = project.deletion_url, project.deletion_headers
        built.append(RequestSpec("POST", url, headers, body, "json", covers, endpoint_label="delete"))
    return built


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Find what a 200 does not say at first sight: that nothing was taken, or that the quota is used up."""
    if request.endpoint_label == "delete":
        return forgotten(request, response) or interpret(request, response)
    told = object_of(parsed(response)) if response.error is None else {}
    if not 200 <= response.status < 300 or response.error is not None:
        return _with_words(request, response, words(told.get("detail")))
    if "events" in list_of(told.get("quota_limited")):
        said = "The project's quota of events is used up."
        return for_all(request, response, verdict(Outcome.DISABLED, "billing", said))
    status = told.get("status")
    if request.endpoint_label == "capture" and type(status) is int and status != 1:
        said = words(told.get("detail")) or "PostHog says that it did not take this."
        return for_all(request, response, verdict(Outcome.RETRY, "not_taken", said))
    return interpret(request, response)


def _with_words(request: RequestSpec, response: Response, said: str) -> list[ItemOutcome]:
    items = interpret(request, response)
    if len(items) != 1 or not said:
        return items
    return [replace(item, message=f"{item.message} ({said})") for item in items]
