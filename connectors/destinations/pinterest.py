"""Pinterest Conversions API: tells Pinterest which of its people became customers.

**What you need.** The id of the ad account and a conversion access token (Ads → Conversions → Set up API).

**What is sent.** "Order Completed" becomes checkout, "Product Added" add_to_cart, "Products Searched" search, "Product
List Filtered" search, "Signed Up" signup, page calls page_visit, or view_category where the page has a category.
Pinterest's own names pass; what has none is sent as custom. E-mail, phone, names, address, birthday and user id leave
as SHA-256 digests; countries and American states are digests of their codes of two letters. The event id is the message
id, so that Pinterest drops what its tag has told already with the same id.

**Limits.** Pinterest needs an e-mail, a mobile advertising id, or IP address and user agent together. Up to 1,000
events go in one call; Pinterest answers for each of them, and only those fail that it could not process. In test mode
events are checked and not counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields, hashing
from connectors.base import Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret, warn_if_fewer
from connectors.moments import seconds_of

BASE_URLS = {"api": "https://api.pinterest.com"}
SCHEME = auth.bearer("conversion_token")
MOST_EVENTS = 1_000
STANDARD = frozenset(
    (
        *("add_payment_info", "add_to_cart", "add_to_wishlist", "app_install", "app_open", "checkout", "contact"),
        *("custom", "customize_product", "find_location", "initiate_checkout", "lead", "page_visit", "schedule"),
        *("search", "signup", "start_trial", "submit_application", "subscribe", "view_category", "view_content"),
        "watch_video",
    )
)
EVENTS: Mapping[str, str] = {
    "Order Completed": "checkout",
    "Product Added": "add_to_cart",
    "Products Searched": "search",
    "Product List Filtered": "search",
    "Product Viewed": "page_visit",
    "Product List Viewed": "view_category",
    "Signed Up": "signup",
    "Checkout Started": "initiate_checkout",
    "Payment Info Entered": "add_payment_info",
    "Product Added to Wishlist": "add_to_wishlist",
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
    "maid": "hashed_maids",
}
PLAIN = {
    "client_ip": "client_ip_address",
    "user_agent": "client_user_agent",
    "click_id": "click_id",
    "partner_id": "partner_id",
}
APP = (
    "app_id",
    "app_name",
    "app_version",
    "device_brand",
    "device_carrier",
    "device_model",
    "device_type",
    "os_version",
)


@dataclass(frozen=True, slots=True)
class Account:
    """One ad account."""

    url: str
    headers: Headers
    is_test: bool


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    url = f"{fields.api_url(BASE_URLS, settings)}/v5/ad_accounts/{settings['ad_account_id']}"
    return Account(url, auth.headers(SCHEME, settings), settings.get("test_mode") is True)


def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all events that can be sent into one call."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if gathered.entries:
        url = f"{account.url}/events" + ("?test=true" if account.is_test else "")
        body = {"data": gathered.entries}
        built.append(
            RequestSpec("POST", url, account.headers, body, "json", gathered.covers, 30.0, endpoint_label="events")
        )
    return built


def event_name(name: str) -> str:
    """Translate a shop's event; what Pinterest has no name for is custom."""
    snake = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    return EVENTS.get(name) or (snake if snake in STANDARD else "custom")


def gender(value: str) -> str:
    """Pinterest knows a third: `n`, non-binary."""
    return hashing.gender(value) or ("n" if hashing.letters(value) in ("n", "nonbinary") else "")


def _event(index: int, payload: Payload, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    user: ads.JsonObject = {name: payload[key] for key, name in HASHED.items() if payload.get(key)}
    user |= {name: payload[key] for key, name in PLAIN.items() if payload.get(key)}
    is_known = "em" in user or "hashed_maids" in user or ("client_ip_address" in user and "client_user_agent" in user)
    if not is_known:
        message = "Pinterest needs an e-mail, a mobile advertising id, or IP address and user agent."
        return refuse(index, "no_identifier", message)
    problem = ads.currency_problem(index, payload.get("currency"), "Pinterest")
    if problem is not None:
        return problem
    event: ads.JsonObject = {
        "event_name": event_name(str(payload["event_name"])),
        "action_source": payload.get("action_source") or "web",
        "event_time": seconds_of(payload["event_time"]),
        "event_id": payload.get("event_id") or context.message_ids[index],
        "partner_name": "ss-headwater",
        "user_data": user,
    }
    custom = _custom(payload)
    if custom:
        event["custom_data"] = custom
    event |= {key: payload[key] for key in ("event_source_url", "opt_out", *APP) if key in payload}
    if payload.get("language"):
        event["language"] = str(payload["language"])[:2].lower()
    return event


def _custom(payload: Payload) -> ads.JsonObject:
    """Pinterest wants values and prices as texts."""
    custom = ads.present(
        payload,
        {
            "content_ids": "content_ids",
            "num_items": "num_items",
            "order_id": "order_id",
            "search_string": "search_string",
            "opt_out_type": "opt_out_type",
        },
    )
    if "value" in payload:
        custom["value"] = str(payload["value"])
    if "currency" in payload:
        custom["currency"] = str(payload["currency"]).upper()
    contents = []
    for one in answers.members(payload.get("contents")):
        content = ads.present(
            one,
            {
                "id": "id",
                "quantity": "quantity",
                "name": "item_name",
                "category": "item_category",
                "brand": "item_brand",
            },
        )
        contents.append({**content, "item_price": str(one["price"])} if "price" in one else content)
    if contents:
        custom["contents"] = contents
    return custom


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Send nothing in test mode, which a valid token is told and an invalid one is not."""
    url = f"{account.url}/events?test=true"
    return RequestSpec("POST", url, account.headers, {"data": []}, "json", endpoint_label="test")


REFUSED = answers.verdict(Outcome.REJECTED, "event_refused", "Pinterest does not take this event.")
MISSING = answers.verdict(Outcome.RETRY, "missing_item", "Pinterest did not answer for this event.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this ad account.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Pinterest answers for each event in order."""
    answer = answers.parsed(response)
    if request.endpoint_label == "test" and response.status in (400, 422):
        return answers.delivered(request, response)
    is_success = 200 <= response.status < 300
    told = answers.list_of(answers.member(answer, "events") or answers.member(answer, "details", "events"))
    if response.error is None and (is_success or (response.status == 422 and told)):
        return _each(request, response, answer, told)
    said = answers.words(answers.member(answer, "message"))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _each(request: RequestSpec, response: Response, answer: object, told: Sequence[object]) -> list[ItemOutcome]:
    """Read what became of each event; with 422 Pinterest says that some failed, and which."""
    failed: dict[int, tuple[Verdict, str]] = {}
    for place in range(len(request.covers) if told else 0):
        status = answers.member(told[place], "status") if place < len(told) else None
        if status is None:
            failed[place] = (MISSING, "")
        elif status != "processed":
            failed[place] = (REFUSED, answers.words(answers.member(told[place], "error_message")))
    outcomes = answers.partial(request, response, failed)
    processed = answers.member(answer, "num_events_processed")
    return warn_if_fewer(outcomes, processed) if type(processed) is int else outcomes


CONTENT = (
    Field("id", "Product"),
    Field("name", "Name"),
    Field("category", "Category"),
    Field("brand", "Brand"),
    Field("quantity", "Quantity", "integer"),
    Field("price", "Price", "number"),
)
PRODUCT = {
    "id": ("product_id", "sku"),
    "name": "name",
    "category": "category",
    "brand": "brand",
    "quantity": "quantity",
    "price": "price",
}
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell Pinterest what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field(
            "action_source",
            "Where it happened",
            default="web",
            choices=(
                ("web", "Website"),
                ("app_ios", "iOS app"),
                ("app_android", "Android app"),
                ("offline", "Offline"),
            ),
        ),
        Field("event_time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("event_id", "Event id", description="The same as your tag's; the message id unless mapped."),
        Field("event_source_url", "Page", default=ads.PAGE_URL, maximum=2_000),
        ads.hashed("email", "E-mail", hashing.email, fields.EMAIL, multiple=True),
        ads.hashed(
            "phone", "Phone", hashing.phone_digits, fields.PHONE, multiple=True, description="With its country."
        ),
        ads.hashed("external_id", "User id", hashing.trimmed, fields.USER_ID, multiple=True),
        ads.hashed(
            "maid", "Mobile advertising id", hashing.lowered, {"@path": "$.context.device.advertisingId"}, multiple=True
        ),
        ads.hashed("first_name", "First name", hashing.name, ads.NAME_TRAITS["first_name"], multiple=True),
        ads.hashed("last_name", "Last name", hashing.name, ads.NAME_TRAITS["last_name"], multiple=True),
        ads.hashed("gender", "Gender", gender, ads.NAME_TRAITS["gender"], multiple=True),
        ads.hashed("birthday", "Date of birth", hashing.birth_date, ads.NAME_TRAITS["birthday"], multiple=True),
        ads.hashed("city", "City", hashing.letters, ads.NAME_TRAITS["city"], multiple=True),
        ads.hashed("state", "State", hashing.state, ads.NAME_TRAITS["state"], multiple=True),
        ads.hashed("postal_code", "Postcode", hashing.postcode, ads.NAME_TRAITS["postal_code"], multiple=True),
        ads.hashed("country", "Country", hashing.country, ads.NAME_TRAITS["country"], multiple=True),
        ads.plain("client_ip", "IP address", fields.IP),
        ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ads.plain("click_id", "Click id (epik)", {"@path": "$.properties.epik"}),
        ads.plain("partner_id", "Partner id"),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field("content_ids", "Product ids", multiple=True, default={"@path": "$.properties.product_id"}),
        Field("contents", "Products", "object", multiple=True, properties=CONTENT, default=ads.products(PRODUCT)),
        Field("num_items", "Number of items", "integer"),
        Field("order_id", "Order", default=ads.ORDER_ID),
        Field("search_string", "Searched for", default=ads.SEARCH),
        Field("opt_out_type", "Limited data processing", choices=(("LDP", "Limited"),)),
        Field("opt_out", "Opted out", "boolean"),
        Field("language", "Language", default={"@path": "$.context.locale"}),
        *(Field(key, key.replace("_", " ").capitalize()) for key in APP),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_EVENTS, max_bytes=4_000_000),
)
VISIT = {
    **SEND.default_mapping,
    "event_name": {
        "@if": {"exists": {"@path": "$.properties.category"}, "then": "view_category", "else": "page_visit"}
    },
}

connector = Connector(
    slug="pinterest",
    name="Pinterest Conversions",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells Pinterest which of its people became customers.",
    docs_url="https://developers.pinterest.com/docs/track-conversions/track-conversions-in-the-api/",
    settings=(
        Field("ad_account_id", "Ad account", required=True, pattern=r"\d{5,25}", clears_secrets=True),
        fields.secret("conversion_token", "Conversion access token"),
        Field("test_mode", "Test mode", "boolean", "Events are checked and not counted.", default=False),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page"', VISIT),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    idempotency="field:event_id",
    rate_limits=(RateLimit("credential", "requests", 5_000, 60.0),),
)
