"""Klaviyo's JSON:API bodies, and what its errors say of the entries of a request by their pointers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from connectors import answers
from connectors.base import BuildContext, Found, Named, Naming, Payload, ResolveStep
from connectors.batching import found_in, ids_in, refuse
from connectors.http import COUNT_MISMATCH, Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret

BASE_URLS = {"api": "https://a.klaviyo.com"}
# The version of the API that these requests are written for.
REVISION = "2025-01-15"
MOST_PROFILES = 10_000
IDENTIFIERS = ("email", "phone_number", "external_id", "anonymous_id")
TEXTS = ("first_name", "last_name", "organization", "title", "image")
POINTER = re.compile(r"/data/(\d+)(/|$)")
NOBODY = "A profile needs an e-mail, a phone number with its country, or an external id."
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Account:
    """One account of Klaviyo."""

    url: str
    headers: Headers


def post(account: Account, path: str, body: JsonObject, covers: tuple[int, ...], label: str = "") -> RequestSpec:
    """Make a request of Klaviyo's one form."""
    headers = (*account.headers, ("content-type", "application/vnd.api+json"))
    return RequestSpec(
        "POST", account.url + path, headers, body, "json", covers, 30.0, endpoint_label=label or path.strip("/")
    )


def nobody(index: int) -> ItemOutcome:
    """Refuse what is about nobody."""
    return refuse(index, "no_identifier", NOBODY)


def named(payload: Payload, keys: Sequence[str] = IDENTIFIERS) -> JsonObject:
    """Say who it is by everything that is known."""
    return {key: payload[key] for key in keys if payload.get(key)}


def _profile(payload: Payload) -> JsonObject:
    attributes = named(payload)
    attributes |= {key: payload[key] for key in (*TEXTS, "location") if payload.get(key)}
    own = payload.get("properties")
    if isinstance(own, Mapping):
        taken = {*TEXTS, "email", "phone", "address", "avatar", "company", "location"}
        properties = {str(key): value for key, value in own.items() if key not in taken and value is not None}
        attributes |= {"properties": properties} if properties else {}
    return {"type": "profile", "attributes": attributes}


def build_profiles(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Create or update profiles, one call each."""
    return [
        post(account, "/profile-import", {"data": _profile(payload)}, (index,)) if named(payload) else nobody(index)
        for index, payload in enumerate(payloads)
    ]


def _split(payloads: Sequence[Payload], keys: Sequence[str] = IDENTIFIERS) -> tuple[list[Built], tuple[int, ...]]:
    decided: list[Built] = [nobody(index) for index, payload in enumerate(payloads) if not named(payload, keys)]
    return decided, tuple(index for index, payload in enumerate(payloads) if named(payload, keys))


def mark_of(payload: Payload) -> str:
    """Give what a profile of an import is known again by: all that says who it is."""
    known = named(payload)
    return json.dumps({key: str(value).lower() if key == "email" else str(value) for key, value in known.items()})


def build_import(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Import profiles as a job; of a person who comes twice the later one counts, as Klaviyo takes each once."""
    built, covers = _split(payloads)
    if not covers:
        return built
    owners = sorted({mark_of(payloads[index]): place for place, index in enumerate(covers)}.values())
    profiles = [_profile(payloads[covers[place]]) for place in owners]
    data: JsonObject = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
    if payloads[covers[0]].get("list_id"):
        listed = [{"type": "list", "id": payloads[covers[0]]["list_id"]}]
        data["relationships"] = {"lists": {"data": listed}}
    request = post(account, "/profile-bulk-import-jobs", {"data": data}, covers)
    request.owners = tuple(owners) if len(owners) < len(covers) else ()
    return [*built, request]


def build_events(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record events, one call each: only then Klaviyo says at once which it refuses."""
    return [
        post(account, "/events", {"data": _event(payload, context.message_ids[index])}, (index,))
        if named(payload)
        else nobody(index)
        for index, payload in enumerate(payloads)
    ]


def _event(payload: Payload, unique_id: str) -> JsonObject:
    attributes: JsonObject = {
        "metric": {"data": {"type": "metric", "attributes": {"name": payload["metric"]}}},
        "profile": {"data": {"type": "profile", "attributes": named(payload)}},
        "properties": payload.get("properties") or {},
        "unique_id": payload.get("unique_id") or unique_id,
    }
    attributes |= {key: payload[key] for key in ("time", "value", "value_currency") if key in payload}
    return {"type": "event", "attributes": attributes}


def build_product_events(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record one event for each product of an order; each order is one bulk job."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        products = answers.members(payload.get("products"))
        if not named(payload):
            built.append(nobody(index))
            continue
        if not products:
            built.append(refuse(index, "no_products", "The order has no products."))
            continue
        events = [
            _product(payload, product, f"{context.message_ids[index]}-{place}")
            for place, product in enumerate(products)
        ]
        profile = {"data": {"type": "profile", "attributes": named(payload)}}
        bulk = {"type": "event-bulk-create", "attributes": {"profile": profile, "events": {"data": events}}}
        attributes = {"events-bulk-create": {"data": [bulk]}}
        body: JsonObject = {"data": {"type": "event-bulk-create-job", "attributes": attributes}}
        built.append(post(account, "/event-bulk-create-jobs", body, (index,)))
    return built


def _product(payload: Payload, product: Mapping[str, object], unique_id: str) -> JsonObject:
    attributes: JsonObject = {
        "metric": {"data": {"type": "metric", "attributes": {"name": "Ordered Product"}}},
        "properties": dict(product),
        "unique_id": unique_id,
    }
    price, currency = product.get("price"), payload.get("value_currency")
    if isinstance(price, int | float):
        attributes["value"] = price
    if currency:
        attributes["value_currency"] = currency
    if payload.get("time"):
        attributes["time"] = payload["time"]
    return {"type": "event", "attributes": attributes}


def find_profile(
    payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext
) -> RequestSpec | None:
    """Ask for the profile of a person, who may be one that is to be deleted."""
    payload = payloads[0]
    emails, phones = (ids_in(payload.get(key)) for key in ("emails", "phones"))
    known = {
        "external_id": payload.get("external_id") or payload.get("user_id"),
        "email": payload.get("email") or next(iter(emails), None),
        "phone_number": payload.get("phone_number") or next(iter(phones), None),
    }
    key = next((key for key, value in known.items() if value), None)
    if key is None:
        return None
    value = str(known[key]).replace("\\", "\\\\").replace('"', '\\"')
    asked = quote(f'equals({key},"{value}")', safe="")
    url = f"{account.url}/profiles?filter={asked}&fields[profile]=email&page[size]=1"
    return RequestSpec("GET", url, account.headers, endpoint_label="profiles")


FIND_PROFILE = ResolveStep("profile_id", find_profile, answers.found_at("data", 0, "id"))


def build_removals(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Take people off one list, by the profiles that were found; who has none is on no list."""
    found = [found_in(context, index, "profile_id") for index in range(len(payloads))]
    built: list[Built] = [
        ItemOutcome(index, Outcome.FILTERED, reason="not_found", message="Klaviyo has no profile of this person.")
        for index, profile_id in enumerate(found)
        if not profile_id
    ]
    covers = tuple(index for index, profile_id in enumerate(found) if profile_id)
    if covers:
        body: JsonObject = {"data": [{"type": "profile", "id": found[index]} for index in covers]}
        path = f"/lists/{quote(str(payloads[0]['list_id']), safe='')}/relationships/profiles"
        request = post(account, path, body, covers, "lists/relationships/profiles")
        request.method = "DELETE"
        built.append(request)
    return built


def build_subscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record consent; the batch shares list, source and whether it was given in the past."""
    built, covers = _split(payloads, IDENTIFIERS[:2])
    if not covers:
        return built
    first = payloads[covers[0]]
    is_past = first.get("historical_import") is True
    profiles = [_consenting(payloads[index], "SUBSCRIBED", is_past=is_past) for index in covers]
    attributes: JsonObject = {"profiles": {"data": profiles}}
    if first.get("custom_source"):
        attributes["custom_source"] = first["custom_source"]
    if is_past:
        attributes["historical_import"] = True
    return [*built, _consent_job(account, "profile-subscription-bulk-create-job", attributes, first, covers)]


def build_unsubscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record that consent was taken back."""
    built, covers = _split(payloads, IDENTIFIERS[:2])
    if not covers:
        return built
    profiles = [_consenting(payloads[index], "UNSUBSCRIBED") for index in covers]
    attributes: JsonObject = {"profiles": {"data": profiles}}
    job = _consent_job(account, "profile-subscription-bulk-delete-job", attributes, payloads[covers[0]], covers)
    return [*built, job]


def _consenting(payload: Payload, consent: str, *, is_past: bool = False) -> JsonObject:
    channels = payload.get("channels")
    chosen = channels if isinstance(channels, list) else ["email"]
    told: JsonObject = {"consent": consent}
    if is_past and payload.get("consented_at"):
        told["consented_at"] = payload["consented_at"]
    known = {"email": payload.get("email"), "sms": payload.get("phone_number")}
    subscriptions = {channel: {"marketing": told} for channel in chosen if known.get(str(channel))}
    return {"type": "profile", "attributes": {**named(payload, IDENTIFIERS[:2]), "subscriptions": subscriptions}}


def _consent_job(
    account: Account, kind: str, attributes: JsonObject, first: Payload, covers: tuple[int, ...]
) -> RequestSpec:
    data: JsonObject = {"type": kind, "attributes": attributes}
    if first.get("list_id"):
        data["relationships"] = {"list": {"data": {"type": "list", "id": first["list_id"]}}}
    return post(account, f"/{kind}s", {"data": data}, covers)


REFUSED = answers.verdict(Outcome.REJECTED, "entry_refused", "Klaviyo does not take this entry.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The API key lacks a permission.")
FAILED = answers.verdict(Outcome.REJECTED, "import_failed", "Klaviyo could not import these profiles.")
AGAIN = answers.verdict(
    Outcome.TOO_LARGE, "batch_refused", "Others of the batch are to blame; sent again without them."
)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Imports are jobs; errors point at the entries of a request, which was then refused as a whole."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        job = answers.words(answers.member(answer, "data", "id"))
        if request.endpoint_label == "profile-bulk-import-jobs" and job:
            return answers.pending(request, response, job)
        return answers.delivered(request, response)
    error = answers.member(answer, "errors", 0)
    said = answers.words(answers.member(error, "detail")) or answers.words(answers.member(error, "title"))
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    if response.status == 409 and request.endpoint_label == "events":
        return answers.delivered(request, response)  # an event of this id is there already
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    if response.status == 400 and len(request.covers) > 1 and (blamed := _blamed(request, answer)):
        return answers.partial(request, response, blamed, AGAIN)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _blamed(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    """Find the entries that errors point at; an import leaves out repeats, which go out again with the others."""
    blamed = {}
    for error in answers.members(answer, "errors"):
        found = POINTER.search(answers.words(answers.member(error.get("source"), "pointer")))
        count = len(request.owners or request.covers)
        place = answers.index_of(found.group(1), count) if found else None
        if place is not None:
            blamed[request.owners[place] if request.owners else place] = (REFUSED, answers.words(error.get("detail")))
    return blamed


ERRORS, VAGUE = "import-errors", "vague-import-errors"
# Each error holds a whole profile, and of a long answer only the beginning is read.
ERRORS_A_PAGE = 20
LONGEST_MARK = 900  # of a page of errors, with the id of its job


def ask_job(job_id: str, account: Account, context: BuildContext) -> RequestSpec:
    """Ask how far an import has come, or for a page of the errors in it."""
    job, _, page = job_id.partition("|")
    url = f"{account.url}/profile-bulk-import-jobs/{quote(job, safe='')}"
    if not page:
        return RequestSpec("GET", url, account.headers, endpoint_label="profile-bulk-import-jobs/job")
    kind, _, cursor = page.partition("|")
    url += f"/import-errors?page[size]={ERRORS_A_PAGE}" + (f"&page[cursor]={quote(cursor, safe='')}" if cursor else "")
    return RequestSpec("GET", url, account.headers, endpoint_label=f"profile-bulk-import-jobs/{kind}")


def read_job(request: RequestSpec, response: Response, count: int) -> list[ItemOutcome] | None:
    """Read an import that has ended; where profiles failed, their errors are asked for next."""
    everyone = RequestSpec(request.method, request.url, covers=tuple(range(count)))
    if not request.endpoint_label.endswith("/job"):
        # What has been imported and can no longer be read is not imported a second time.
        done = answers.delivered(everyone, response)
        return answers.warned(done, COUNT_MISMATCH) if 400 <= response.status < 500 else None
    attributes = answers.member(answers.parsed(response), "data", "attributes")
    status = answers.words(answers.member(attributes, "status"))
    if not 200 <= response.status < 300 or status not in ("complete", "cancelled"):
        return None
    if status == "cancelled":
        return answers.for_all(everyone, response, FAILED, status)
    failures = answers.member(attributes, "failed_count")
    if type(failures) is int and failures > 0:
        return answers.pending(everyone, response, f"{unquote(request.url.rpartition('/')[2])}|{ERRORS}")
    return answers.delivered(everyone, response)


def read_errors(request: RequestSpec, response: Response) -> Named | None:
    """Read a page of an import's errors; each holds the profile that it is about, as it was sent."""
    kind = request.endpoint_label.rpartition("/")[2]
    if kind not in (ERRORS, VAGUE) or not 200 <= response.status < 300:
        return None
    answer = answers.parsed(response)
    errors = answers.members(answer, "data")
    named_ones: dict[str, ItemOutcome] = {}
    for error in errors:
        about = answers.object_of(answers.member(error, "attributes", "original_payload"))
        about = answers.object_of(about.get("attributes")) or about
        if named(about):
            said = answers.words(answers.member(error, "attributes", "detail"))
            named_ones[mark_of(about)] = answers.item(0, response, REFUSED, said)
        else:
            kind = VAGUE
    following = parse_qs(urlsplit(answers.words(answers.member(answer, "links", "next"))).query).get(
        "page[cursor]", [""]
    )[0]
    job = unquote(urlsplit(request.url).path.split("/")[-2])
    mark = f"{job}|{kind}|{following}"
    if following and len(mark) <= LONGEST_MARK:
        return Named(named_ones, ItemOutcome(0, Outcome.PENDING, response.status, remote_id=mark))
    is_told = answer is not None and kind == ERRORS and bool(errors or "cursor" in request.url) and not following
    warnings = () if is_told else (COUNT_MISMATCH,)
    return Named(named_ones, ItemOutcome(0, Outcome.DELIVERED, response.status, warnings=warnings))


NAMING = Naming(mark_of, read_errors)
