"""Reddit Conversions API: tells Reddit which of its people became customers.

**What you need.** The id of the pixel and a conversion access token (Events Manager → Conversions API).

**What is sent.** "Order Completed" becomes PURCHASE, "Product Added" ADD_TO_CART, "Product Added to Wishlist"
ADD_TO_WISHLIST, "Product Viewed" and "Product List Viewed" VIEW_CONTENT, "Products Searched" SEARCH, "Signed Up"
SIGN_UP, page calls PAGE_VISIT; Reddit's own names pass, other names are sent as CUSTOM with their name. E-mail, phone,
user id, IP address and advertising id leave as SHA-256 digests; an e-mail first loses what follows a plus sign and all
but letters and digits of its name, as Reddit's own matching does. The conversion id is the message id and goes as it
is, so that Reddit drops what its pixel has told already with the same id within two days.

**Limits.** Reddit takes events of the last seven days, and needs something to match by. Values and currencies go with
the events alone that Reddit takes them with. Up to 1,000 events go in one call; Reddit refuses a call for one bad event
in it, which is then found by halving. With a test id (Events Manager → Event Testing) events are shown there, one call
for each; take it out again before you go live.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields, hashing
from connectors.base import Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import milliseconds_of

BASE_URLS = {"api": "https://ads-api.reddit.com"}
SCHEME = auth.bearer("conversion_token")
MOST_EVENTS, DAYS = 1_000, 7
EVENTS: Mapping[str, str] = {
    "Order Completed": "PURCHASE",
    "Product Added": "ADD_TO_CART",
    "Product Added to Wishlist": "ADD_TO_WISHLIST",
    "Product Viewed": "VIEW_CONTENT",
    "Product List Viewed": "VIEW_CONTENT",
    "Products Searched": "SEARCH",
    "Signed Up": "SIGN_UP",
}
STANDARD = ("PAGE_VISIT", "VIEW_CONTENT", "SEARCH", "ADD_TO_CART", "ADD_TO_WISHLIST", "PURCHASE", "LEAD", "SIGN_UP")
CANONICAL = {name.replace("_", "").lower(): name for name in STANDARD}
# What Reddit takes a number of items with, and what a value with its currency.
COUNTED = frozenset({"ADD_TO_CART", "ADD_TO_WISHLIST", "PURCHASE", "CUSTOM"})
VALUED = COUNTED | {"LEAD", "SIGN_UP"}
EXTENSION = re.compile(r"\s*(?:ext\.?|x|anexo|#|poste|int\.?)\s*\d*.*$", re.IGNORECASE)
HASHED = {
    "email": "email",
    "external_id": "external_id",
    "ip": "ip_address",
    "phone": "phone_number",
    "idfa": "idfa",
    "aaid": "aaid",
}


@dataclass(frozen=True, slots=True)
class Pixel:
    """One pixel."""

    url: str
    headers: Headers
    test_id: str


def prepare(settings: Settings) -> Pixel:
    """Work out address and credentials once."""
    url = f"{fields.api_url(BASE_URLS, settings)}/api/v3/pixels/{settings['pixel_id']}/conversion_events"
    return Pixel(url, auth.headers(SCHEME, settings), str(settings.get("test_id") or ""))


def phone(value: str) -> str:
    """Reddit wants a number without its extension."""
    return hashing.phone_e164(EXTENSION.sub("", value.strip()))


def event_type(name: str) -> ads.JsonObject:
    """Translate a shop's event; what Reddit has no name for is custom."""
    known = EVENTS.get(name) or CANONICAL.get(re.sub(r"[\s_]", "", name).lower())
    return {"tracking_type": known} if known else {"tracking_type": "CUSTOM", "custom_event_name": name[:64]}


def build(payloads: Sequence[Payload], pixel: Pixel, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all events that can be sent into one call; while testing, each into its own, as Reddit shows no others."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if pixel.test_id:
        pairs = zip(gathered.covers, gathered.entries, strict=True)
        return [*built, *(_call(pixel, [event], (index,)) for index, event in pairs)]
    return [*built, _call(pixel, gathered.entries, gathered.covers)] if gathered.entries else built


def _call(pixel: Pixel, events: Sequence[ads.JsonObject], covers: tuple[int, ...]) -> RequestSpec:
    data: ads.JsonObject = {"partner": "HEADWATER", "events": events}
    if pixel.test_id:
        data["test_id"] = pixel.test_id
    return RequestSpec(
        "POST", pixel.url, pixel.headers, {"data": data}, "json", covers, 30.0, endpoint_label="conversion_events"
    )


def _event(index: int, payload: Payload, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    user: ads.JsonObject = {name: payload[key] for key, name in HASHED.items() if payload.get(key)}
    user |= ads.present(payload, {"user_agent": "user_agent", "uuid": "uuid"})
    if not any(key in user for key in (*HASHED.values(), "uuid")) and not payload.get("click_id"):
        return refuse(index, "no_identifier", "Reddit needs something to match a person by.")
    problem = ads.first_problem(
        lambda: ads.age_problem(index, payload["event_at"], context.now, DAYS, "Reddit"),
        lambda: ads.currency_problem(index, payload.get("currency"), "Reddit"),
    )
    if problem is not None:
        return problem
    if payload.get("screen_width") and payload.get("screen_height"):
        user["screen_dimensions"] = {"height": payload["screen_height"], "width": payload["screen_width"]}
    if payload.get("limited_data_use"):
        user["data_processing_options"] = {
            "modes": ["LDU"],
            **ads.present(payload, {"country": "country", "region": "region"}),
        }
    kind, source = event_type(str(payload["event_name"])), payload.get("action_source") or "WEBSITE"
    conversion_id = payload.get("conversion_id") or context.message_ids[index]
    event: ads.JsonObject = {
        "event_at": milliseconds_of(payload["event_at"]),
        "action_source": source,
        "type": kind,
        "metadata": _metadata(payload, kind["tracking_type"], conversion_id),
        "user": user,
    }
    if source == "WEBSITE":
        event |= ads.present(payload, {"event_source_url": "event_source_url"})
    return event | ads.present(payload, {"click_id": "click_id"})


def _metadata(payload: Payload, kind: object, conversion_id: object) -> ads.JsonObject:
    metadata: ads.JsonObject = {"conversion_id": str(conversion_id)}
    if kind in COUNTED:
        metadata |= ads.present(payload, {"item_count": "item_count"})
    if kind in VALUED:
        metadata |= ads.present(payload, {"value": "value"})
        metadata |= {"currency": str(payload["currency"]).upper()} if "currency" in payload else {}
    names = {"id": "id", "name": "name", "category": "category", "quantity": "quantity", "price": "item_price"}
    listed = [ads.present(one, names) for one in answers.members(payload.get("products")) if one.get("id")]
    return {**metadata, "products": listed} if listed else metadata


TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "Reddit refuses the token; make a new one.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this pixel.")
REFUSED = answers.verdict(Outcome.REJECTED, "event_refused", "Reddit does not take this event.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Should Reddit give events back inside a success, as it did once, they are found again in what was sent."""
    answer = answers.parsed(response)
    places = (("error", "message"), ("data", "message"), ("message",))
    said = next((text for place in places if (text := answers.words(answers.member(answer, *place)))), "")
    if 200 <= response.status < 300 and response.error is None:
        return answers.partial(request, response, _refused(request, answer))
    if answers.words(answers.member(answer, "error", "reason")) == "UNAUTHORIZED" and response.status < 500:
        return answers.for_all(request, response, TOKEN, said)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _refused(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    sent = {_mark(event): place for place, event in enumerate(answers.members(request.body, "data", "events"))}
    found: dict[int, tuple[Verdict, str]] = {}
    for one in answers.members(answer, "data", "invalid_events") or answers.members(answer, "invalid_events"):
        place = sent.get(_mark(one.get("event")))
        if place is not None:
            found[place] = (REFUSED, answers.words(one.get("error_message")))
    return found


def _mark(event: object) -> str:
    """What tells an event from the others: its conversion id, else all of it."""
    conversion_id = answers.words(answers.member(event, "metadata", "conversion_id"))
    return conversion_id or json.dumps(event, sort_keys=True, default=str)


def build_test(pixel: Pixel, context: BuildContext) -> RequestSpec:
    """Send no event, which a valid token is told and an invalid one is not."""
    body: ads.JsonObject = {"data": {"events": []}}
    return RequestSpec("POST", pixel.url, pixel.headers, body, "json", endpoint_label="test")


def interpret_any(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A test that holds no event is refused, once the token is accepted."""
    if request.endpoint_label == "test" and response.status == 400:
        return answers.delivered(request, response)
    return interpret_answer(request, response)


PRODUCT = {
    "id": ("product_id", "sku"),
    "name": "name",
    "category": "category",
    "quantity": "quantity",
    "price": "price",
}
ITEM = (
    Field("id", "Product"),
    Field("name", "Name"),
    Field("category", "Category"),
    Field("quantity", "Quantity", "integer"),
    Field("price", "Price", "number"),
)
SOURCES = (("WEBSITE", "Website"), ("APP", "App"), ("PHYSICAL_STORE", "Physical store"), ("OTHER", "Other"))
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell Reddit what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field("event_at", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("action_source", "Where it happened", default="WEBSITE", choices=SOURCES),
        Field("event_source_url", "Page", default=ads.PAGE_URL, maximum=2_000),
        Field("conversion_id", "Conversion id", description="The same as your pixel's; the message id unless mapped."),
        ads.plain("click_id", "Click id (rdt_cid)", {"@path": "$.properties.rdt_cid"}),
        ads.hashed("email", "E-mail", hashing.plain_email, fields.EMAIL),
        ads.hashed("phone", "Phone", phone, fields.PHONE, description="With its country."),
        ads.hashed("external_id", "User id", hashing.trimmed, fields.USER_ID),
        ads.hashed("ip", "IP address", hashing.trimmed, fields.IP),
        ads.hashed("idfa", "IDFA", str.upper),
        ads.hashed("aaid", "Android advertising id", hashing.lowered),
        ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ads.plain("uuid", "Browser id (rdt_uuid)", {"@path": "$.properties.rdt_uuid"}),
        Field("screen_width", "Screen width", "integer", default={"@path": "$.context.screen.width"}),
        Field("screen_height", "Screen height", "integer", default={"@path": "$.context.screen.height"}),
        Field("limited_data_use", "Limited data use", "boolean"),
        Field("country", "Country of limited use", maximum=2),
        Field("region", "Region of limited use", maximum=10),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field("item_count", "Number of items", "integer"),
        Field("products", "Products", "object", multiple=True, properties=ITEM, default=ads.products(PRODUCT)),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_EVENTS, max_bytes=4_000_000),
)

connector = Connector(
    slug="reddit",
    name="Reddit Conversions",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells Reddit which of its people became customers.",
    docs_url="https://ads-api.reddit.com/docs/v3/",
    settings=(
        Field("pixel_id", "Pixel id", required=True, pattern=r"(a2|t2)_[a-z0-9]{3,20}", clears_secrets=True),
        fields.secret("conversion_token", "Conversion access token"),
        Field(
            "test_id", "Test id", description="Of Event Testing, while you set it up.", pattern=r"[A-Za-z0-9_-]{1,60}"
        ),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page"', {**SEND.default_mapping, "event_name": "PAGE_VISIT"}),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_any,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    idempotency="field:conversion_id",
    rate_limits=(RateLimit("credential", "requests", 1_000),),
)
