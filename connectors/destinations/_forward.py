"""Events handed on, as they are, to another system that speaks the tracking API: Segment, RudderStack, Headwater.

An event keeps its message id, so that the other side can spot a repeat, and counts how often it was handed on, so that
two systems that feed each other do not do it for ever.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.answers import for_all, list_of, object_of, parsed, verdict
from connectors.base import ALL_CALLS, Action, BatchRule, BuildContext, Built, Field, Identifiers, Payload, Preset
from connectors.batching import JsonObject, byte_count, forgotten, gather, groups_of, refuse, told_apart, unknown_people
from connectors.fields import whole_event
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import text_of

NAME = "Headwater"
MOST_HOPS = 3
LARGEST_EVENT = 32 * 1024
CALLS = frozenset(("track", "identify", "page", "screen", "group", "alias"))
# What the receiving side knows better, or should not know.
OWN = frozenset(("receivedAt", "sentAt", "projectId", "version", "channel", "writeKey", "_metadata"))
# Refusals of everything that a source of the other side's sends, until somebody sees to it.
CLOSED = frozenset(("source_disabled", "locked_workspace"))


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the other system: where it is fed, and by which key."""

    batch_url: str
    headers: Headers
    keeps_integrations: bool
    names_person: bool = False  # in a header, by which events of one person stay in order
    deletion_url: str = ""  # empty: nobody can be erased
    deletion_headers: Headers = ()
    regulation: Mapping[str, object] = field(default_factory=dict)  # what every request for erasure says


def key_headers(write_key: str) -> Headers:
    """Give the header that a write key is sent in: as a user name without a password."""
    return (("authorization", "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()),)


def build(payloads: Sequence[Payload], source: Source, context: BuildContext) -> list[Built]:
    """Hand the events of a batch on at once."""

    def make(index: int, payload: Payload) -> JsonObject | ItemOutcome:
        return _message(index, object_of(payload.get("data")), source, context)

    entries, covers, decided = gather(payloads, make)
    if not entries:
        return list(decided)
    body: JsonObject = {"batch": entries, "sentAt": text_of(context.now)}
    headers = (*source.headers, *_person(entries)) if source.names_person else source.headers
    request = RequestSpec(
        "POST", source.batch_url, headers, body, "json", covers, timeout_s=30.0, endpoint_label="batch"
    )
    return [*decided, request]


def _message(
    index: int, event: Mapping[str, object], source: Source, context: BuildContext
) -> JsonObject | ItemOutcome:
    if event.get("type") not in CALLS:
        return refuse(index, "no_call", "This is none of the six calls of the tracking API.")
    if not event.get("userId") and not event.get("anonymousId"):
        return refuse(index, "no_id", "An event needs a userId or an anonymousId.")
    around = object_of(event.get("context"))
    hops = hops_of(around)
    if hops >= MOST_HOPS:
        return refuse(
            index, "too_many_hops", f"This event was handed on {hops} times already; it goes round in circles."
        )
    kept = {key: value for key, value in event.items() if key not in OWN}
    if not source.keeps_integrations:
        kept.pop("integrations", None)
    kept["messageId"] = event.get("messageId") or context.message_ids[index]
    kept["context"] = {**around, "integration": {"name": NAME, "hops": hops + 1}}
    if byte_count(kept) > LARGEST_EVENT:
        return refuse(index, "event_too_large", "The other side takes events of up to 32 KB.")
    return kept


def hops_of(around: Mapping[str, object]) -> int:
    """Count how often the event was handed on so far."""
    integration = object_of(around.get("integration"))
    hops = integration.get("hops")
    return hops if integration.get("name") == NAME and type(hops) is int and hops > 0 else 0


def _person(entries: Sequence[JsonObject]) -> Headers:
    people = {str(entry.get("anonymousId") or entry.get("userId")) for entry in entries}
    if len(people) != 1:
        return ()
    return (("anonymousid", base64.b64encode(people.pop().encode("utf-8", "replace")).decode()),)


def build_deletion(
    people: Sequence[Identifiers], source: Source, body_of: Callable[[list[str]], JsonObject], most: int
) -> list[Built]:
    """Ask the other side to erase people by their user ids, where it can be asked."""
    if not source.deletion_url:
        return []
    ids = [[person.user_id] if person.user_id else [] for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, most):
        url, headers = source.deletion_url, source.deletion_headers
        built.append(RequestSpec("POST", url, headers, body_of(together), "json", covers, endpoint_label="delete"))
    return built


def build_test(source: Source, context: BuildContext) -> RequestSpec:
    """Hand on nothing at all."""
    body = {"batch": [], "sentAt": text_of(context.now)}
    return RequestSpec("POST", source.batch_url, source.headers, body, "json", endpoint_label="test")


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Find refusals in a 200; a source that is closed stops the destination instead of using up its events."""
    if request.endpoint_label == "delete":
        return forgotten(request, response) or _erasing(request, response)
    if response.error is not None:
        return interpret(request, response)
    if response.status == 404:
        said = "No source takes events at this address; see whether it is switched on."
        return for_all(request, response, verdict(Outcome.DISABLED, "source_not_found", said))
    if request.endpoint_label == "test" and response.status == 400:  # let in, and told that nothing came
        return [ItemOutcome(index, Outcome.DELIVERED, 400) for index in request.covers]
    if not 200 <= response.status < 300 or request.endpoint_label == "test":
        return _closed(request, response) or interpret(request, response)
    return _closed(request, response) or _of_messages(request, response)


def _erasing(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Keep the id of the regulation, by which the other side carries the erasure out later."""
    told = object_of(parsed(response)) if response.error is None else {}
    regulation = object_of(told.get("data")).get("regulateId") or told.get("id")
    remote = regulation if isinstance(regulation, str) else None
    return [replace(item, remote_id=remote) for item in interpret(request, response)]


def _rejected(response: Response) -> list[Mapping[str, object]]:
    is_success = 200 <= response.status < 300
    return [object_of(one) for one in list_of(object_of(parsed(response)).get("rejected"))] if is_success else []


def _closed(request: RequestSpec, response: Response) -> list[ItemOutcome] | None:
    told = [(one.get("index"), str(one.get("code"))) for one in _rejected(response)]
    if any(code == "unknown_source" and index is None for index, code in told):
        said = "The other side does not know this write key."
        return for_all(request, response, verdict(Outcome.UNAUTHORIZED, "unauthorized", said))
    closed = next((code for _, code in told if code in CLOSED), None)
    if closed is None:
        return None
    said = "The source on the other side, or its workspace, is switched off."
    return for_all(request, response, verdict(Outcome.DISABLED, closed, said))


def _of_messages(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    faults: dict[int, ItemOutcome] = {}
    for one in _rejected(response):
        place, code = one.get("index"), one.get("code")
        if type(place) is int and isinstance(code, str) and code:
            faults[place] = refuse(
                0, code[:60], f"{response.status}: The other side discards this event.", response.status
            )
    return told_apart(request, faults, ItemOutcome(0, Outcome.DELIVERED, response.status))


DATA = whole_event("What is handed on: the whole event unless the mapping says otherwise.", "Event")
INTEGRATIONS = Field(
    "keep_integrations",
    "Hand on integrations",
    "boolean",
    "Whether the other side may read which destinations the event was meant for.",
    default=False,
)


def action(max_items: int, max_bytes: int) -> Action:
    """Give the one thing that can be done: hand the event on."""
    return Action(
        key="forward",
        title="Hand on",
        description="Send the event to the other system.",
        default_trigger=ALL_CALLS,
        fields=(DATA,),
        build=build,
        batch=BatchRule(max_items=max_items, max_bytes=max_bytes),
    )


PRESET = Preset("All events", "forward", ALL_CALLS, {"data": {"@path": "$."}})
