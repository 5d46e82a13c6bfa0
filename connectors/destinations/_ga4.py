"""Google Analytics 4's requests and answers: events of one person at a time, and deletions through the older API.

Google says yes to everything that is sent to be recorded, so one request of a hundred is also shown to its validation
server before: in a look-up, chosen by the id of its first message, so that a repetition is not drawn anew. What it
finds goes into the request as warnings on the events; that it cannot be asked holds up nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from connectors import auth, fields
from connectors.answers import for_all, index_of, list_of, member, members, object_of, parsed, verdict, words
from connectors.base import BuildContext, Built, Found, Identifiers, Payload, ResolveStep, Settings
from connectors.batching import JsonObject, found_in, gather, ids_of, refuse, told_apart, unknown_people
from connectors.destinations import _ga4_events as events
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import is_older, microseconds_of

BASE_URLS = {
    "global": "https://www.google-analytics.com",
    "eu": "https://region1.google-analytics.com",
    "deletion": "https://www.googleapis.com",
}
GRANT = auth.ServiceAccount(scopes=("https://www.googleapis.com/auth/analytics.user.deletion",))
SCHEMES = (auth.query("api_secret"), auth.service_account(GRANT))
OLDEST_DAYS = 3
ONE_OF = 100  # so many requests is shown to the validation server too
APP_INSTANCE = re.compile(r"[0-9a-fA-F]{32}")
PLACE = re.compile(r"(?:events\[|index: \[)(\d{1,4})\]")
CODE = re.compile(r"[A-Z_]{1,40}")
# Of one person's devices so many can be erased.
MOST_DEVICES = 10
# What is said once in a request, for all of its events.
SHARED = (
    *("client_id", "app_instance_id", "user_id", "user_properties", "ad_user_data", "ad_personalization"),
    *("email", "phone", "first_name", "last_name", "ip_override", "user_agent"),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """The data stream that events go to."""

    url: str
    test_url: str
    is_app: bool
    is_trial: bool  # events are only looked at
    deletion_url: str
    property_id: str  # empty: nobody can be erased


def prepare(settings: Settings) -> Stream:
    """Work out the addresses once. The colons of an app's id must stay as they are."""
    is_app = settings.get("stream") == "app"
    name = "firebase_app_id" if is_app else "measurement_id"
    query = f"{name}={quote(str(settings.get(name) or ''), safe=':')}"
    query += f"&api_secret={quote(str(settings['api_secret']), safe='')}"
    base, is_trial = fields.api_url(BASE_URLS, settings), settings.get("validate_only") is True
    has_account = auth.choose(SCHEMES, settings) is SCHEMES[1]
    return Stream(
        f"{base}/{'debug/' if is_trial else ''}mp/collect?{query}",
        f"{base}/debug/mp/collect?{query}",
        is_app,
        is_trial,
        fields.api_url(BASE_URLS, settings, "deletion") + "/analytics/v3/userDeletion/userDeletionRequests:upsert",
        str(settings.get("property_id") or "") if has_account else "",
    )


def build(payloads: Sequence[Payload], stream: Stream, context: BuildContext) -> list[Built]:
    """Send the events of one person together."""
    made, covers, decided = gather(payloads, lambda index, payload: _event(index, payload, stream, context))
    if not made:
        return list(decided)
    body = {**_person(payloads[covers[0]], stream), "events": made}
    if stream.is_trial:
        body["validation_behavior"] = "ENFORCE_RECOMMENDATIONS"
    label = "validate" if stream.is_trial else "collect"
    request = RequestSpec("POST", stream.url, (), body, "json", covers, endpoint_label=label, uses_grant=False)
    request.warnings = tuple(_warnings(found_in(context, covers[0], "sample"), covers))
    return [*decided, request]


def build_sample(
    payloads: Sequence[Payload], found: Found, stream: Stream, context: BuildContext
) -> RequestSpec | None:
    """Show the request to the validation server, where it is the one of so many that is shown."""
    if stream.is_trial or zlib.crc32(context.message_ids[0].encode("utf-8", "surrogatepass")) % ONE_OF:
        return None
    for one in build(payloads, stream, context):
        if isinstance(one, RequestSpec):
            return replace(one, url=stream.test_url, endpoint_label="sample")
    return None


def read_sample(request: RequestSpec, response: Response) -> object:
    """Give each objection: the place of its event, or -1 for the request as a whole, and its code."""
    return [[-1 if place is None else place, code] for place, code, _ in _objections(request, response)]


def _warnings(sampled: object, covers: Sequence[int]) -> Iterator[tuple[int, str]]:
    for one in list_of(sampled):
        code, place = words(member(one, 1)), index_of(member(one, 0), len(covers))
        for index in covers if place is None else (covers[place],):
            yield index, f"validation_{code}"


def _objections(request: RequestSpec, response: Response) -> Iterator[tuple[int | None, str, str]]:
    """Read what the validation server finds: where, the code, and its words."""
    if response.error is not None or not 200 <= response.status < 300:
        return
    for message in members(parsed(response), "validationMessages"):
        said, code = words(message.get("description")), words(message.get("validationCode"))
        place = PLACE.search(f"{words(message.get('fieldPath'))} {said}")
        where = index_of(place.group(1), len(list_of(member(request.body, "events")))) if place else None
        yield where, code.lower() if CODE.fullmatch(code) else "failed", said or "Google finds a mistake in this event."


def _person(payload: Payload, stream: Stream) -> JsonObject:
    key = "app_instance_id" if stream.is_app else "client_id"
    person: JsonObject = {key: payload[key]}
    for name in ("user_id", "ip_override", "user_agent"):
        if payload.get(name):
            person[name] = payload[name]
    known = events.user_properties_of(object_of(payload.get("user_properties")))
    if known:
        person["user_properties"] = known
    consent = {name: payload[name] for name in ("ad_user_data", "ad_personalization") if payload.get(name)}
    if consent:
        person["consent"] = consent
    data = _user_data(payload)
    return {**person, "user_data": data} if data else person


def _user_data(payload: Payload) -> JsonObject:
    data: JsonObject = {}
    for key, name in (("email", "sha256_email_address"), ("phone", "sha256_phone_number")):
        if payload.get(key):
            data[name] = [payload[key]]
    names = {f"sha256_{key}": payload[key] for key in ("first_name", "last_name") if payload.get(key)}
    return {**data, "address": [names]} if names else data


def _event(index: int, payload: Payload, stream: Stream, context: BuildContext) -> JsonObject | ItemOutcome:
    name = events.name_of(str(payload["name"]))
    problem = events.problem_of_name(name) or _problem_of_person(payload, stream)
    if problem is None and is_older(payload.get("timestamp"), context.now, OLDEST_DAYS):
        problem = "too_old", "Google Analytics takes events of the last 72 hours."
    if problem is not None:
        return refuse(index, *problem)
    named = _params(name, payload)
    if isinstance(named, tuple):
        return refuse(index, *named)
    moment = microseconds_of(payload.get("timestamp"))
    return {
        "name": name,
        "timestamp_micros": microseconds_of(context.now) if moment is None else moment,
        "params": named,
    }


def _problem_of_person(payload: Payload, stream: Stream) -> tuple[str, str] | None:
    if not stream.is_app:
        return None if payload.get("client_id") else ("no_client_id", "Events of a website need a client id.")
    is_instance = APP_INSTANCE.fullmatch(str(payload.get("app_instance_id") or ""))
    said = "Events of an app need the app instance id that Firebase gave it: 32 hexadecimal digits."
    return None if is_instance else ("bad_app_instance_id", said)


def _params(name: str, payload: Payload) -> JsonObject | tuple[str, str]:
    params: JsonObject = {}
    for key in ("session_id", "engagement_time_msec"):
        if payload.get(key) is not None:
            params[key] = payload[key]
    if name in events.COMMERCE:
        sold = _commerce(name, payload)
        if isinstance(sold, tuple):
            return sold
        params.update(sold)
    properties = events.parameters_of(name, object_of(payload.get("params")))
    for key, value in properties.items():
        if len(params) < events.MOST_PARAMETERS:
            params.setdefault(key, value)
    return params


def _commerce(name: str, payload: Payload) -> JsonObject | tuple[str, str]:
    """Give currency, value and items of an event about products, or what is wrong with them."""
    own = [payload["item"]] if name in events.ONE_PRODUCT and payload.get("item") else []
    items = events.items_of(payload.get("items") or own)
    if name in events.NEEDS_ITEMS and not items:
        return "no_items", "Google Analytics needs at least one product with an id or a name."
    currency = str(payload.get("currency") or "").strip().upper()
    if currency and currency not in events.CURRENCIES:
        return "bad_currency", "The currency must be one of ISO 4217, such as EUR."
    value = payload.get("value")
    if value is not None and not currency:
        return "no_currency", "Google Analytics counts a value only together with its currency."
    if value is None and currency:
        value = events.worth_of(items)
    sold = {"currency": currency or None, "value": value, "items": items or None}
    return {key: one for key, one in sold.items() if one is not None}


def build_test(stream: Stream, context: BuildContext) -> RequestSpec:
    """Have an event looked at that is never recorded."""
    ids = {"app_instance_id": "0" * 32} if stream.is_app else {"client_id": "headwater.connection.test"}
    body = {**ids, "events": [{"name": "connection_test", "params": {"engagement_time_msec": 1}}]}
    return RequestSpec("POST", stream.test_url, (), body, "json", endpoint_label="test", uses_grant=False)


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Read what the validation server finds; without it Google says yes to everything."""
    is_success = response.error is None and 200 <= response.status < 300
    if not is_success or request.endpoint_label not in ("validate", "test"):
        return interpret(request, response)
    seen = ItemOutcome(0, Outcome.DELIVERED, response.status, warnings=("validated_only",))
    faults: dict[int, ItemOutcome] = {}
    for place, _, said in _objections(request, response):
        if place is None:
            return for_all(request, response, verdict(Outcome.REJECTED, "invalid", said))
        faults[place] = refuse(0, "invalid", f"{response.status}: {said}", response.status)
    return told_apart(request, faults, seen)


def build_deletion(people: Sequence[Identifiers], stream: Stream, context: BuildContext) -> list[Built]:
    """Ask for each person to be erased: the user, or else the first device; further devices went before."""
    if not stream.property_id:
        return []
    ids = [ids_of(person) for person in people]
    built: list[Built] = list(unknown_people(ids))
    for index, person in enumerate(people):
        if person.user_id:
            built.append(_erasing("USER_ID", person.user_id, stream, (index,)))
        elif person.anonymous_ids:
            built.append(_erasing(_device_kind(stream), person.anonymous_ids[0], stream, (index,)))
    return built


def _device_kind(stream: Stream) -> str:
    return "APP_INSTANCE_ID" if stream.is_app else "CLIENT_ID"


def _erasing(kind: str, value: str, stream: Stream, covers: tuple[int, ...] = (0,)) -> RequestSpec:
    body = {
        "kind": "analytics#userDeletionRequest",
        "id": {"type": kind, "userId": value},
        "propertyId": stream.property_id,
    }
    return RequestSpec("POST", stream.deletion_url, (), body, "json", covers, endpoint_label="delete")


def erasing_device(place: int) -> ResolveStep:
    """Make the step that erases one more device of a person; asking twice does no harm."""

    def build_step(
        payloads: Sequence[Payload], found: Found, stream: Stream, context: BuildContext
    ) -> RequestSpec | None:
        devices: Sequence[str] = payloads[0].get("anonymous_ids") or ()  # type: ignore[assignment]
        rest = devices if payloads[0].get("user_id") else devices[1:]
        if not stream.property_id or place >= len(rest):
            return None
        return _erasing(_device_kind(stream), rest[place], stream)

    return ResolveStep(f"device_{place}", build_step, read_erasure)


def read_erasure(request: RequestSpec, response: Response) -> object | ItemOutcome:
    """Whether the device is being erased; else the common table decides."""
    return True if response.error is None and 200 <= response.status < 300 else interpret(request, response)[0]
