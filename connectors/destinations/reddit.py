"""Reddit Conversions API: tells Reddit which of its people became customers.

**What you need.** The id of the ad account and a conversion access token (Events Manager → Conversions API).

**What is sent.** "Order Completed" becomes Purchase, "Product Added" AddToCart, "Product Added to Wishlist"
AddToWishlist, "Product Viewed" and "Product List Viewed" ViewContent, "Products Searched" Search, "Signed Up" SignUp,
page calls PageVisit; Reddit's own names pass, other names are sent as Custom with their name. E-mail, phone, user id,
IP address and advertising id leave as SHA-256 digests. The conversion id is the message id, so that Reddit drops what
its pixel has told already with the same id.

**Limits.** Reddit takes events of the last seven days, and needs something to match by. Up to 1,000 events go in one
call; Reddit gives the events back that it refuses, and only these fail. In test mode events are checked and not
counted.
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

BASE_URLS = {"api": "https://ads-api.reddit.com"}
SCHEME = auth.bearer("conversion_token")
MOST_EVENTS, DAYS = 1_000, 7
EVENTS: Mapping[str, str] = {
    "Order Completed": "Purchase",
    "Product Added": "AddToCart",
    "Product Added to Wishlist": "AddToWishlist",
    "Product Viewed": "ViewContent",
    "Product List Viewed": "ViewContent",
    "Products Searched": "Search",
    "Signed Up": "SignUp",
}
STANDARD = ("PageVisit", "ViewContent", "Search", "AddToCart", "AddToWishlist", "Purchase", "Lead", "SignUp")
CANONICAL = {name.lower(): name for name in STANDARD}
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
class Account:
    """One ad account."""

    url: str
    headers: Headers
    is_test: bool


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    url = f"{fields.api_url(BASE_URLS, settings)}/api/v2.0/conversions/events/{settings['ad_account_id']}"
    return Account(url, auth.headers(SCHEME, settings), settings.get("test_mode") is True)


def phone(value: str) -> str:
    """Reddit wants a number without its extension."""
    return hashing.phone_e164(EXTENSION.sub("", value.strip()))


def event_type(name: str) -> ads.JsonObject:
    """Translate a shop's event; what Reddit has no name for is custom."""
    known = EVENTS.get(name) or CANONICAL.get(re.sub(r"[\s_]", "", name).lower())
    return {"tracking_type": known} if known else {"tracking_type": "Custom", "custom_event_name": name[:64]}


def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all events that can be sent into one call."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if gathered.entries:
        body = {"test_mode": account.is_test, "partner": "HEADWATER", "events": gathered.entries}
        built.append(
            RequestSpec(
                "POST", account.url, account.headers, body, "json", gathered.covers, 30.0, endpoint_label="events"
            )
        )
    return built


def _event(index: int, payload: Payload, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    user: ads.JsonObject = {name: payload[key] for key, name in HASHED.items() if payload.get(key)}
    user |= ads.present(payload, {"user_agent": "user_agent", "uuid": "uuid", "opt_out": "opt_out"})
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
    event: ads.JsonObject = {
        "event_at": payload["event_at"],
        "event_type": event_type(str(payload["event_name"])),
        "event_metadata": _metadata(payload, payload.get("conversion_id") or context.message_ids[index]),
        "user": user,
    }
    return event | ads.present(payload, {"click_id": "click_id"})


def _metadata(payload: Payload, conversion_id: object) -> ads.JsonObject:
    metadata: ads.JsonObject = {"conversion_id": str(conversion_id)}
    metadata |= ads.present(payload, {"item_count": "item_count", "value": "value_decimal"})
    if "currency" in payload:
        metadata["currency"] = str(payload["currency"]).upper()
    listed = [dict(one) for one in answers.members(payload.get("products")) if one]
    return {**metadata, "products": listed} if listed else metadata


TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "Reddit refuses the token; make a new one.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this ad account.")
REFUSED = answers.verdict(Outcome.REJECTED, "event_refused", "Reddit does not take this event.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Reddit gives back the events that it refuses inside a success; they are found again in what was sent."""
    answer = answers.parsed(response)
    said = answers.words(answers.member(answer, "message")) or answers.words(answers.member(answer, "error", "message"))
    if 200 <= response.status < 300 and response.error is None:
        return answers.partial(request, response, _refused(request, answer))
    if answers.words(answers.member(answer, "error", "reason")) == "UNAUTHORIZED" and response.status < 500:
        return answers.for_all(request, response, TOKEN, said)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _refused(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    body = request.body if isinstance(request.body, dict) else {}
    sent = {_mark(event): place for place, event in enumerate(answers.members(body, "events"))}
    found: dict[int, tuple[Verdict, str]] = {}
    for one in answers.members(answer, "invalid_events"):
        place = sent.get(_mark(one.get("event")))
        if place is not None:
            found[place] = (REFUSED, answers.words(one.get("error_message")))
    return found


def _mark(event: object) -> str:
    """What tells an event from the others: its conversion id, else all of it."""
    conversion_id = answers.words(answers.member(event, "event_metadata", "conversion_id"))
    return conversion_id or json.dumps(event, sort_keys=True, default=str)


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Send nothing in test mode, which a valid token is told and an invalid one is not."""
    body = {"test_mode": True, "events": []}
    return RequestSpec("POST", account.url, account.headers, body, "json", endpoint_label="test")


def interpret_any(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A test that holds no event is refused, once the token is accepted."""
    if request.endpoint_label == "test" and response.status == 400:
        return answers.delivered(request, response)
    return interpret_answer(request, response)


PRODUCT = {"id": ("product_id", "sku"), "name": "name", "category": "category"}
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell Reddit what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field("event_at", "Time", "datetime", required=True, default=fields.TIMESTAMP),
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
        Field("opt_out", "Opted out", "boolean"),
        Field("screen_width", "Screen width", "integer", default={"@path": "$.context.screen.width"}),
        Field("screen_height", "Screen height", "integer", default={"@path": "$.context.screen.height"}),
        Field("limited_data_use", "Limited data use", "boolean"),
        Field("country", "Country of limited use", maximum=2),
        Field("region", "Region of limited use", maximum=10),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field("item_count", "Number of items", "integer"),
        Field("products", "Products", "object", multiple=True, default=ads.products(PRODUCT)),
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
    docs_url="https://ads-api.reddit.com/docs/v2/#tag/Conversions-API",
    settings=(
        Field("ad_account_id", "Ad account", required=True, pattern=r"(a2|t2)_[a-z0-9]{3,20}", clears_secrets=True),
        fields.secret("conversion_token", "Conversion access token"),
        Field("test_mode", "Test mode", "boolean", "Events are checked and not counted.", default=False),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page"', {**SEND.default_mapping, "event_name": "PageVisit"}),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_any,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    idempotency="field:conversion_id",
    rate_limits=(RateLimit("credential", "requests", 10),),
)
