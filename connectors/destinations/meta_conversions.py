"""Meta Conversions API: tells Facebook and Instagram which of their people became customers.

**What you need.** The id of the pixel (dataset) and an access token made in Events Manager → Settings → Conversions
API. While you set it up, enter the test event code: events then show under "Test events" and count for nothing.

**What is sent.** "Order Completed" becomes Purchase, "Product Added" AddToCart, "Product Viewed" and "Product List
Viewed" ViewContent, "Checkout Started" InitiateCheckout, "Products Searched" Search, "Payment Info Entered"
AddPaymentInfo, "Product Added to Wishlist" AddToWishlist, page and screen calls PageView; other track calls custom
events of their names. E-mail, phone, name, address, birthday and user id leave as SHA-256 digests, never in clear.
Before that, countries and American states become their codes of two letters, whether an event has names or codes; phone
numbers become digits, birthdays YYYYMMDD. The event id is the message id, so that Meta drops what your browser pixel
has told already with the same id.

**Limits.** Meta takes events of the last seven days (62 of physical stores), needs something to match by, and for
events on a website the browser's user agent; for events in an app, app data with the sixteen values of extinfo. Up to
1,000 events go in one call; Meta refuses a call for one bad event in it, which is then found by halving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields, hashing
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Field,
    Payload,
    Preset,
    Settings,
)
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import COUNT_MISMATCH, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import milliseconds_of, seconds_of

BASE_URLS = {"graph": "https://graph.facebook.com"}
# The version of the Graph API that these requests are written for; Meta ends one after about two years.
VERSION = "v24.0"
MOST_EVENTS = 1_000
DAYS, DAYS_IN_STORES = 7, 62
EXTINFO_LENGTH = 16
ACTION_SOURCES = (
    ("website", "Website"),
    ("app", "App"),
    ("email", "E-mail"),
    ("phone_call", "Phone call"),
    ("chat", "Chat"),
    ("physical_store", "Physical store"),
    ("system_generated", "System"),
    ("business_messaging", "Business messaging"),
    ("other", "Other"),
)
EVENTS: Mapping[str, str] = {
    "Order Completed": "Purchase",
    "Product Added": "AddToCart",
    "Product Viewed": "ViewContent",
    "Product List Viewed": "ViewContent",
    "Checkout Started": "InitiateCheckout",
    "Products Searched": "Search",
    "Payment Info Entered": "AddPaymentInfo",
    "Product Added to Wishlist": "AddToWishlist",
}
HASHED = {
    "email": "em",
    "phone": "ph",
    "gender": "ge",
    "birthday": "db",
    "last_name": "ln",
    "first_name": "fn",
    "city": "ct",
    "state": "st",
    "postal_code": "zp",
    "country": "country",
    "external_id": "external_id",
}
PLAIN = {
    "client_ip": "client_ip_address",
    "user_agent": "client_user_agent",
    "fbc": "fbc",
    "fbp": "fbp",
    "subscription_id": "subscription_id",
    "lead_id": "lead_id",
    "fb_login_id": "fb_login_id",
    "madid": "madid",
    "anonymous_id": "anon_id",
    "page_id": "page_id",
    "page_scoped_user_id": "page_scoped_user_id",
    "ctwa_clid": "ctwa_clid",
    "ig_account_id": "ig_account_id",
    "ig_sid": "ig_sid",
}
CUSTOM = (
    *("value", "content_ids", "content_type", "content_name", "content_category", "num_items"),
    *("search_string", "order_id", "predicted_ltv", "net_revenue"),
)


@dataclass(frozen=True, slots=True)
class Pixel:
    """One pixel and the token to it."""

    url: str
    token: str
    test_code: str


def prepare(settings: Settings) -> Pixel:
    """Work out the address once."""
    url = f"{fields.api_url(BASE_URLS, settings)}/{VERSION}/{settings['pixel_id']}"
    return Pixel(url, str(settings["access_token"]), str(settings.get("test_event_code") or ""))


def build(payloads: Sequence[Payload], pixel: Pixel, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all events that can be sent into one call; the token goes in the body, where no log sees it."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if gathered.entries:
        body: dict[str, object] = {"data": gathered.entries, "access_token": pixel.token}
        if pixel.test_code:
            body["test_event_code"] = pixel.test_code
        built.append(
            RequestSpec("POST", f"{pixel.url}/events", (), body, "json", gathered.covers, 30.0, endpoint_label="events")
        )
    return built


def _event(index: int, payload: Payload, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    source = str(payload.get("action_source") or "website")
    name = EVENTS.get(str(payload["event_name"]), str(payload["event_name"]))
    user = _user(payload)
    problem = ads.first_problem(
        lambda: _age(index, payload, source, context),
        lambda: ads.currency_problem(index, payload.get("currency"), "Meta"),
        lambda: _missing(index, payload, name, source, user),
    )
    if problem is not None:
        return problem
    event: ads.JsonObject = {
        "event_name": name,
        "event_time": seconds_of(payload["event_time"]),
        "event_id": payload.get("event_id") or context.message_ids[index],
        "action_source": source,
        "user_data": user,
    }
    custom = _custom(payload)
    if custom:
        event["custom_data"] = custom
    event |= {key: payload[key] for key in ("event_source_url", "app_data", "opt_out") if key in payload}
    if payload.get("limited_data_use"):
        event["data_processing_options"] = ["LDU"]
        event["data_processing_options_country"] = payload.get("ldu_country") or 0
        event["data_processing_options_state"] = payload.get("ldu_state") or 0
    return event


def _age(index: int, payload: Payload, source: str, context: BuildContext) -> ItemOutcome | None:
    days = DAYS_IN_STORES if source == "physical_store" else DAYS
    return ads.age_problem(index, payload["event_time"], context.now, days, "Meta")


def _missing(index: int, payload: Payload, name: str, source: str, user: ads.JsonObject) -> ItemOutcome | None:
    if not user:
        return refuse(index, "no_identifier", "Meta needs something to match a person by.")
    if source == "website" and not payload.get("user_agent"):
        return refuse(index, "no_user_agent", "An event on a website needs the browser's user agent.")
    if source == "app" and not _is_whole_app_data(payload.get("app_data")):
        return refuse(index, "no_app_data", "An event in an app needs app data with the sixteen values of extinfo.")
    if name == "Purchase" and ("value" not in payload or "currency" not in payload):
        return refuse(index, "no_value", "A purchase needs a value and a currency.")
    return None


def _is_whole_app_data(value: object) -> bool:
    extinfo = answers.member(value, "extinfo")
    return isinstance(extinfo, list) and len(extinfo) == EXTINFO_LENGTH


def _user(payload: Payload) -> ads.JsonObject:
    """Say who it was: digests in lists, identifiers as they are."""
    user: ads.JsonObject = {
        name: [payload[key]] if isinstance(payload[key], str) else payload[key]
        for key, name in HASHED.items()
        if key in payload
    }
    user |= {name: payload[key] for key, name in PLAIN.items() if key in payload}
    click = payload.get("fbclid")
    if "fbc" not in user and click:
        user["fbc"] = f"fb.1.{milliseconds_of(payload['event_time'])}.{click}"
    return user


def _custom(payload: Payload) -> ads.JsonObject:
    custom: ads.JsonObject = {key: payload[key] for key in CUSTOM if key in payload}
    if "currency" in payload:
        custom["currency"] = str(payload["currency"]).upper()
    contents = [
        ads.present(
            one, {"id": "id", "quantity": "quantity", "price": "item_price", "delivery_category": "delivery_category"}
        )
        for one in answers.members(payload.get("contents"))
        if one.get("id")
    ]
    if contents:
        custom["contents"] = contents
        custom.setdefault("content_type", "product")
    own = payload.get("custom_data")
    return {**own, **custom} if isinstance(own, Mapping) else custom


def build_test(pixel: Pixel, context: BuildContext) -> RequestSpec:
    """Read the pixel's name."""
    url = f"{pixel.url}?fields=id,name"
    return RequestSpec("GET", url, (("authorization", f"Bearer {pixel.token}"),), endpoint_label="test")


TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "Meta refuses the token; make a new one.")
NO_RIGHTS = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this pixel.")
NO_PIXEL = answers.verdict(Outcome.DISABLED, "pixel_not_found", "There is no such pixel, or no right to it.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Meta asks to wait.")
TROUBLE = answers.verdict(Outcome.RETRY, "server_error", "Meta has trouble of its own.")
ALONE = answers.verdict(Outcome.REJECTED, "event_refused", "Meta does not take this event.")
AMONG = answers.verdict(Outcome.TOO_LARGE, "batch_refused", "Meta refuses the batch for one event in it.")
CODES: Mapping[int, Verdict] = {
    **dict.fromkeys((1, 2, 341, 368, 5000, 21009), TROUBLE),
    **dict.fromkeys((4, 17, 32, 613, 80003, 80004), LIMITED),
    **dict.fromkeys((102, 190), TOKEN),
    **dict.fromkeys((10, 200, 294), NO_RIGHTS),
}
MISSING_OBJECT = 33


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Meta's codes say more than its statuses, which are 400 for nearly everything."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        done = answers.delivered(request, response)
        received = answers.member(answer, "events_received")
        is_fewer = isinstance(received, int) and not isinstance(received, bool) and received < len(request.covers)
        return answers.warned(done, COUNT_MISMATCH) if is_fewer else done
    error = answers.member(answer, "error")
    code, subcode = answers.member(error, "code"), answers.member(error, "error_subcode")
    said = answers.words(answers.member(error, "error_user_msg")) or answers.words(answers.member(error, "message"))
    if not isinstance(code, int) or response.status >= 500 or response.status == 429:
        return answers.with_words(request, response, said) if said else interpret(request, response)
    if code == 100 and subcode == MISSING_OBJECT:
        return answers.for_all(request, response, NO_PIXEL, said)
    found = CODES.get(code, AMONG if len(request.covers) > 1 else ALONE)
    return answers.for_all(request, response, found, said)


CONTENT = (
    Field("id", "Product", required=True),
    Field("quantity", "Quantity", "integer"),
    Field("price", "Price", "number"),
    Field("delivery_category", "Delivery"),
)
PRODUCT = {"id": ("product_id", "sku"), "quantity": "quantity", "price": "price"}
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell Meta what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field("event_time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("event_id", "Event id", description="The same as your browser pixel's; the message id unless mapped."),
        Field("action_source", "Where it happened", default="website", choices=ACTION_SOURCES),
        Field("event_source_url", "Page", default=ads.PAGE_URL, maximum=2_000),
        ads.hashed("email", "E-mail", hashing.email, fields.EMAIL, multiple=True),
        ads.hashed(
            "phone", "Phone", hashing.phone_digits, fields.PHONE, multiple=True, description="With its country."
        ),
        ads.hashed("external_id", "User id", hashing.trimmed, fields.USER_ID, multiple=True),
        ads.hashed("first_name", "First name", hashing.joined_name, ads.NAME_TRAITS["first_name"]),
        ads.hashed("last_name", "Last name", hashing.joined_name, ads.NAME_TRAITS["last_name"]),
        ads.hashed("gender", "Gender", hashing.gender, ads.NAME_TRAITS["gender"]),
        ads.hashed("birthday", "Date of birth", hashing.birth_date, ads.NAME_TRAITS["birthday"]),
        ads.hashed("city", "City", hashing.letters, ads.NAME_TRAITS["city"]),
        ads.hashed("state", "State", hashing.state, ads.NAME_TRAITS["state"], description="Of the USA: name or code."),
        ads.hashed("postal_code", "Postcode", hashing.postcode, ads.NAME_TRAITS["postal_code"]),
        ads.hashed("country", "Country", hashing.country, ads.NAME_TRAITS["country"], description="Name or code."),
        ads.plain("client_ip", "IP address", fields.IP),
        ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ads.plain("fbc", "Click id (fbc)", {"@path": "$.properties.fbc"}),
        ads.plain("fbclid", "Click id of the address (fbclid)", {"@path": "$.properties.fbclid"}),
        ads.plain("fbp", "Browser id (fbp)", {"@path": "$.properties.fbp"}),
        ads.plain("madid", "Mobile advertising id", {"@path": "$.context.device.advertisingId"}),
        ads.plain("anonymous_id", "Anonymous install id"),
        *(
            ads.plain(key, label)
            for key, label in (
                ("subscription_id", "Subscription"),
                ("lead_id", "Lead"),
                ("fb_login_id", "Facebook login"),
                ("page_id", "Page id"),
                ("page_scoped_user_id", "Page-scoped user id"),
                ("ctwa_clid", "WhatsApp click id"),
                ("ig_account_id", "Instagram account"),
                ("ig_sid", "Instagram-scoped user id"),
            )
        ),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field(
            "contents",
            "Products",
            "object",
            multiple=True,
            properties=CONTENT,
            additional=False,
            default=ads.products(PRODUCT),
        ),
        Field("content_ids", "Product ids", multiple=True, default={"@path": "$.properties.product_id"}),
        Field("content_type", "Kind of the ids", choices=(("product", "Product"), ("product_group", "Product group"))),
        Field("content_name", "Product's name", default={"@path": "$.properties.name"}),
        Field("content_category", "Category", default={"@path": "$.properties.category"}),
        Field("num_items", "Number of items", "integer"),
        Field("search_string", "Searched for", default=ads.SEARCH),
        Field("order_id", "Order", default=ads.ORDER_ID),
        Field("predicted_ltv", "Predicted lifetime value", "number"),
        Field("net_revenue", "Net revenue", "number"),
        Field("custom_data", "Other data", "object"),
        Field("app_data", "App data", "object", "Of apps: with the 16 values of extinfo."),
        Field("opt_out", "Not for ads", "boolean", "For measurement alone."),
        Field("limited_data_use", "Limited data use", "boolean"),
        Field("ldu_country", "Country of limited use", "integer"),
        Field("ldu_state", "State of limited use", "integer"),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_EVENTS, max_bytes=4_000_000),
)
PAGE = {**SEND.default_mapping, "event_name": "PageView"}

connector = Connector(
    slug="meta_conversions",
    name="Meta Conversions",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells Facebook and Instagram which of their people became customers.",
    docs_url="https://developers.facebook.com/docs/marketing-api/conversions-api",
    settings=(
        Field("pixel_id", "Pixel (dataset) id", required=True, pattern=r"\d{5,20}", clears_secrets=True),
        fields.secret("access_token", "Access token"),
        Field("test_event_code", "Test event code", description="While you set it up.", pattern=r"[A-Za-z0-9]{1,20}"),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page" or type = "screen"', PAGE),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=(auth.body("access_token"),),
    base_urls=BASE_URLS,
    idempotency="field:event_id",
)
