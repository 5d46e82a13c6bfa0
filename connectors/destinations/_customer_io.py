"""The calls of Customer.io's Track API: who a person is, and what each kind of call consists of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import BuildContext, Payload
from connectors.batching import byte_count, refuse
from connectors.http import Headers, ItemOutcome, RequestSpec
from connectors.moments import seconds_of

BASE_URLS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
MOST_CALLS, LARGEST_CALL, LONGEST_EVENT, LONGEST_ID = 100, 32_000, 100, 150
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome
Make = Callable[[Payload, "Workspace"], JsonObject | str]


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace of Customer.io."""

    url: str
    headers: Headers
    converts_moments: bool


def batched(make: Make) -> Callable[[Sequence[Payload], Workspace, BuildContext], list[Built]]:
    """Build requests whose calls are made by `make`, which gives a reason for what cannot be sent."""

    def build(payloads: Sequence[Payload], workspace: Workspace, context: BuildContext) -> list[Built]:
        built: list[Built] = []
        calls, covers = [], []
        for index, payload in enumerate(payloads):
            made = make(payload, workspace)
            if not isinstance(made, str) and byte_count(made) > LARGEST_CALL:
                made = "payload_too_large"
            if isinstance(made, str):
                built.append(refuse(index, made, PROBLEMS[made]))
            else:
                calls.append(made)
                covers.append(index)
        if calls:
            url = f"{workspace.url}/api/v2/batch"
            built.append(
                RequestSpec(
                    "POST", url, workspace.headers, {"batch": calls}, "json", tuple(covers), endpoint_label="batch"
                )
            )
        return built

    return build


PROBLEMS = {
    "no_identifier": "A person needs a user id, an e-mail or an anonymous id.",
    "payload_too_large": "One call to Customer.io has at most 32 KB.",
    "name_too_long": "An event's name has at most 100 bytes.",
    "id_too_long": "An id has at most 150 bytes.",
}


def person(payload: Payload) -> JsonObject:
    """Say who it is: Customer.io's own id, an address, the user id, the e-mail."""
    user_id, email = str(payload.get("person_id") or ""), str(payload.get("email") or "")
    if user_id.startswith("cio_"):
        return {"cio_id": user_id}
    if ADDRESS.fullmatch(user_id):
        return {"email": user_id}
    return {"id": user_id} if user_id else {"email": email} if email else {}


def _who(payload: Payload) -> JsonObject | str:
    """The part of a call that names the person; an unknown one is named by anonymous id alone."""
    named = person(payload)
    if any(len(str(value).encode()) > LONGEST_ID for value in named.values()):
        return "id_too_long"
    if named:
        return {"identifiers": named}
    return (
        {"identifiers": {"anonymous_id": payload["anonymous_id"]}} if payload.get("anonymous_id") else "no_identifier"
    )


def moments(value: object) -> object:
    """Turn ISO moments within a value into unix seconds."""
    if isinstance(value, str):
        return seconds_of(value) if MOMENT.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {str(key): moments(inner) for key, inner in value.items()}
    return [moments(inner) for inner in value] if isinstance(value, list) else value


def _attributes(payload: Payload, workspace: Workspace) -> JsonObject:
    own = payload.get("attributes")
    values = dict(own) if isinstance(own, Mapping) else {}
    converted = moments(values) if workspace.converts_moments else values
    return converted if isinstance(converted, dict) else {}


def identify(payload: Payload, workspace: Workspace) -> JsonObject | str:
    """Create or update a person, who takes over what the anonymous one did."""
    if not (named := person(payload)):
        return "no_identifier"
    attributes = _attributes(payload, workspace)
    for key in ("email", "anonymous_id"):
        if payload.get(key) and key not in named:
            attributes[key] = payload[key]
    if payload.get("created_at"):
        attributes["created_at"] = seconds_of(payload["created_at"])
    return {"type": "person", "action": "identify", "identifiers": named, "attributes": attributes}


def event(action: str) -> Make:
    def make(payload: Payload, workspace: Workspace) -> JsonObject | str:
        who = _who(payload)
        if isinstance(who, str):
            return who
        name = str(payload["name"])
        if len(name.encode()) > LONGEST_EVENT:
            return "name_too_long"
        call: JsonObject = {"type": "person", "action": action, **who, "name": name}
        call["attributes"] = _attributes(payload, workspace)
        if payload.get("timestamp"):
            call["timestamp"] = seconds_of(payload["timestamp"])
        if payload.get("event_id"):
            call["id"] = payload["event_id"]
        return call

    return make


def group(payload: Payload, workspace: Workspace) -> JsonObject | str:
    """Create or update an object, and relate the person to it."""
    who = _who(payload)
    if isinstance(who, str):
        return who
    return {
        "type": "object",
        "action": "identify",
        **_object(payload),
        "attributes": _attributes(payload, workspace),
        "cio_relationships": [who],
    }


def _object(payload: Payload) -> JsonObject:
    named = {"object_type_id": payload.get("object_type_id") or "1", "object_id": payload["object_id"]}
    return {"identifiers": named}


def relationship(action: str) -> Make:
    """Relate a person to an object, or no longer."""

    def make(payload: Payload, workspace: Workspace) -> JsonObject | str:
        who = _who(payload)
        if isinstance(who, str):
            return who
        return {"type": "person", "action": action, **who, "cio_relationships": [_object(payload)]}

    return make


def delete_object(payload: Payload, workspace: Workspace) -> JsonObject | str:
    """Delete an object, and everybody's relation to it."""
    return {"type": "object", "action": "delete", **_object(payload)}


def device(action: str) -> Make:
    """Add or remove a device."""

    def make(payload: Payload, workspace: Workspace) -> JsonObject | str:
        if not (named := person(payload)):
            return "no_identifier"
        told: JsonObject = {"token": payload["token"]}
        if action == "add_device":
            told["platform"] = payload.get("platform") or "ios"
            told["last_used"] = seconds_of(payload.get("timestamp"))
        return {"type": "person", "action": action, "identifiers": named, "device": told}

    return make


def merge(payload: Payload, workspace: Workspace) -> JsonObject | str:
    """Merge the person of the previous id into the other."""
    primary, secondary = person(payload), person({"person_id": payload.get("previous_id")})
    if not primary or not secondary:
        return "no_identifier"
    return {"type": "person", "action": "merge", "primary": primary, "secondary": secondary}


def bare(action: str) -> Make:
    """Suppress, unsuppress or delete a person."""

    def make(payload: Payload, workspace: Workspace) -> JsonObject | str:
        named = person(payload)
        return {"type": "person", "action": action, "identifiers": named} if named else "no_identifier"

    return make
