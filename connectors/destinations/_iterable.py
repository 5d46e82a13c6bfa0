"""The calls of Iterable's API, single and in bulk, and what its answers to bulk calls say of single people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from connectors import answers
from connectors.base import BuildContext, Payload
from connectors.batching import gather, refuse, rounds
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import moment_of, seconds_of

BASE_URLS = {"us": "https://api.iterable.com", "eu": "https://api.eu.iterable.com"}
MOST_ITEMS = 1_000
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome
Make = Callable[[Payload, int, BuildContext], JsonObject]
NOBODY = "A person needs an e-mail or a user id."


@dataclass(frozen=True, slots=True)
class Project:
    """One project of Iterable."""

    url: str
    headers: Headers


def who(payload: Payload) -> JsonObject:
    """Name the person by user id and e-mail, whichever are known."""
    named = {"email": payload.get("email"), "userId": payload.get("user_id")}
    return {key: value for key, value in named.items() if value}


def in_bulk(single: str, path: str, array: str, make: Make, *, is_unique: bool = False) -> Callable[..., list[Built]]:
    """Build bulk calls; what is alone goes in the single call, of which Iterable allows many more in a second.

    With `is_unique` a person comes once in a call: the next update of theirs begins another.
    """

    def build(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
        def entry(index: int, payload: Payload) -> JsonObject | ItemOutcome:
            return make(payload, index, context) if who(payload) else refuse(index, "no_identifier", NOBODY)

        entries, covers, decided = gather(payloads, entry)
        names = [{str(one[key]).lower() for key in ("email", "userId") if key in one} for one in entries]
        calls = rounds(names if is_unique else [()] * len(entries))
        return [
            *decided,
            *(call([entries[at] for at in places], tuple(covers[at] for at in places), project) for places in calls),
        ]

    def call(entries: list[JsonObject], covers: tuple[int, ...], project: Project) -> RequestSpec:
        is_alone = len(entries) == 1
        return post(project, single if is_alone else path, entries[0] if is_alone else {array: entries}, covers)

    return build


def build_items(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
    """Keep the items of one catalog; of two updates of one item the later counts, field by field."""
    documents: dict[str, JsonObject] = {}
    for payload in payloads:
        own = dates(payload.get("values"))
        documents.setdefault(str(payload["item_id"]), {}).update(own if isinstance(own, dict) else {})
    body: JsonObject = {"documents": documents, "replaceUploadedFieldsOnly": True}
    path = f"/catalogs/{quote(str(payloads[0]['catalog']), safe='')}/items"
    return [replace(post(project, path, body, tuple(range(len(payloads)))), endpoint_label="catalogs/items")]


def one_by_one(path: str, make: Make) -> Callable[..., list[Built]]:
    """Build one call for each payload."""

    def build(payloads: Sequence[Payload], project: Project, context: BuildContext) -> list[Built]:
        return [
            post(project, path, make(payload, index, context), (index,))
            if who(payload)
            else refuse(index, "no_identifier", NOBODY)
            for index, payload in enumerate(payloads)
        ]

    return build


def post(project: Project, path: str, body: JsonObject, covers: tuple[int, ...]) -> RequestSpec:
    """Make a request of Iterable's one form."""
    url = f"{project.url}/api{path}"
    return RequestSpec("POST", url, project.headers, body, "json", covers, 30.0, endpoint_label=path.strip("/"))


def dates(value: object) -> object:
    """Write moments within data as Iterable reads dates: `2026-03-01 12:00:00 +00:00`."""
    if isinstance(value, str) and len(value) >= 19 and value[4:5] == "-" and "T" in value[10:11]:
        moment = moment_of(value)
        if moment is None:
            return value
        text = moment.isoformat(sep=" ", timespec="seconds")
        return f"{text[:19]} {text[19:]}"
    if isinstance(value, Mapping):
        return {str(key): dates(inner) for key, inner in value.items()}
    return [dates(inner) for inner in value] if isinstance(value, list) else value


def _data(payload: Payload) -> JsonObject:
    own = dates(payload.get("data_fields"))
    return own if isinstance(own, dict) else {}


def user(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Create or update a person."""
    data = _data(payload)
    if payload.get("phone"):
        data["phoneNumber"] = payload["phone"]
    entry: JsonObject = {**who(payload), "dataFields": data}
    if "merge_nested" in payload:
        entry["mergeNestedObjects"] = payload["merge_nested"]
    if "userId" in entry:
        entry["preferUserId"] = True
    return entry


def event(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record what a person did; the id makes a repeat harmless."""
    entry: JsonObject = {
        **who(payload),
        "eventName": payload["name"],
        "id": payload.get("id") or context.message_ids[index],
    }
    if payload.get("created_at"):
        entry["createdAt"] = seconds_of(payload["created_at"])
    entry["dataFields"] = _data(payload)
    for key, name in (("campaign_id", "campaignId"), ("template_id", "templateId")):
        if key in payload:
            entry[name] = payload[key]
    return entry


def _items(payload: Payload) -> list[JsonObject]:
    items = payload.get("items")
    renamed = {"image_url": "imageUrl", "data_fields": "dataFields"}
    return [
        {renamed.get(str(key), str(key)): value for key, value in item.items()}
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, Mapping)
    ]


def _customer(payload: Payload) -> JsonObject:
    data = payload.get("user_fields")
    return {**who(payload), "dataFields": data} if data else who(payload)


def purchase(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record an order."""
    entry: JsonObject = {
        "id": payload.get("id") or context.message_ids[index],
        "user": _customer(payload),
        "items": _items(payload),
        "total": payload["total"],
    }
    if payload.get("created_at"):
        entry["createdAt"] = seconds_of(payload["created_at"])
    data = _data(payload)
    return {**entry, "dataFields": data} if data else entry


def cart(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Say what is in the cart now."""
    return {"user": _customer(payload), "items": _items(payload)}


def new_address(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Change a person's address."""
    current = "currentEmail" if payload.get("email") else "currentUserId"
    return {current: payload.get("email") or payload.get("user_id"), "newEmail": payload["new_email"]}


def device(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Keep a device for push messages."""
    told = {"token": payload["token"], "platform": payload["platform"], "applicationName": payload["application"]}
    return {**who(payload), "device": told}


def browser(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Keep a browser for push messages."""
    return {**who(payload), "browserToken": payload["token"]}


REFUSED = answers.verdict(Outcome.REJECTED, "entry_refused", "Iterable does not take this entry.")
FORGOTTEN = answers.verdict(Outcome.REJECTED, "user_forgotten", "Iterable was told to forget this person.")
CONFLICT = answers.verdict(Outcome.REJECTED, "user_conflict", "E-mail and user id belong to different people there.")
UNKNOWN = answers.verdict(Outcome.REJECTED, "user_not_found", "Iterable knows nobody of this name.")
DISALLOWED = answers.verdict(Outcome.REJECTED, "event_disallowed", "The project does not take events of this name.")
LISTS = (
    ("invalidEmails", REFUSED),
    ("invalidUserIds", REFUSED),
    ("forgottenEmails", FORGOTTEN),
    ("forgottenUserIds", FORGOTTEN),
    ("conflictEmails", CONFLICT),
    ("conflictUserIds", CONFLICT),
    ("notFoundEmails", UNKNOWN),
    ("notFoundUserIds", UNKNOWN),
    ("invalidDataEmails", REFUSED),
    ("invalidDataUserIds", REFUSED),
)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A bulk answer lists who failed by address, id or event; these are found again in what was sent."""
    answer = answers.parsed(response)
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    said = answers.words(answers.member(answer, "msg"))
    if not 200 <= response.status < 300 or response.error is not None:
        return answers.with_words(request, response, said) if said else interpret(request, response)
    code = answers.words(answers.member(answer, "code"))
    if code and code != "Success" and request.endpoint_label != "test":
        return answers.for_all(request, response, REFUSED, said or code)
    return answers.partial(request, response, _failed(request, answer))


def _failed(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    """Find the entries of the people and events that were refused."""
    body: Mapping[str, object] = request.body if isinstance(request.body, Mapping) else {}
    entries = answers.members(dict(body), "users") or answers.members(dict(body), "events")
    refused: dict[str, Verdict] = {}
    for place in (answer, answers.member(answer, "failedUpdates")):
        for key, verdict in LISTS:
            named = answers.member(place, key)
            refused.update((str(name).lower(), verdict) for name in (named if isinstance(named, list) else []))
    names = answers.member(answer, "disallowedEventNames")
    events = set(map(str, names)) if isinstance(names, list) else set()
    failed: dict[int, tuple[Verdict, str]] = {}
    for position, entry in enumerate(entries[: len(request.covers)]):
        for key in ("email", "userId"):
            found = refused.get(str(entry.get(key, "")).lower())
            if found is not None:
                failed[position] = (found, "")
        if entry.get("eventName") in events:
            failed[position] = (DISALLOWED, "")
    return failed
