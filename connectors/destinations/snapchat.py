"""Snapchat Conversions API: tells Snapchat which of its people became customers.

**What you need.** The id of the pixel, or of the app, and a long-lived access token (Ads Manager → Business Details →
Conversions API tokens).

**What is sent.** "Order Completed" becomes PURCHASE, "Checkout Started" START_CHECKOUT, "Product Added" ADD_CART,
"Payment Info Entered" ADD_BILLING, "Products Searched" SEARCH, "Product Viewed" and "Product List Viewed" VIEW_CONTENT,
"Product Added to Wishlist" ADD_TO_WISHLIST, "Signed Up" SIGN_UP, page calls PAGE_VIEW; Snapchat's own names pass, and
CUSTOM_EVENT_1 to 5 by their names. What Snapchat has no name for is rejected. E-mail, phone, names and places leave as
SHA-256 digests; countries and American states are digests of their codes of two letters. The event id is the message
id, so that Snapchat drops what its pixel has told already with the same id.

**Limits.** Snapchat takes events of the last seven days, and needs an e-mail, a phone, a mobile advertising id, or IP
address and user agent together. Up to 2,000 events go in one call; when Snapchat refuses it, it names the events at
fault or the call is halved to find them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers, auth, fields, hashing
from connectors.base import Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import seconds_of

BASE_URLS = {"api": "https://tr.snapchat.com"}
MOST_EVENTS, DAYS = 2_000, 7
NAMES = (
    *(
        "PURCHASE",
        "SAVE",
        "START_CHECKOUT",
        "ADD_CART",
        "VIEW_CONTENT",
        "ADD_BILLING",
        "SIGN_UP",
        "SEARCH",
        "PAGE_VIEW",
    ),
    *(
        "SUBSCRIBE",
        "AD_CLICK",
        "AD_VIEW",
        "COMPLETE_TUTORIAL",
        "INVITE",
        "LOGIN",
        "SHARE",
        "RESERVE",
        "RATE",
        "LIST_VIEW",
    ),
    *("ACHIEVEMENT_UNLOCKED", "ADD_TO_WISHLIST", "SPENT_CREDITS", "START_TRIAL", "APP_OPEN", "APP_INSTALL"),
    *("LEVEL_COMPLETE", *(f"CUSTOM_EVENT_{number}" for number in range(1, 6))),
)
EVENTS: Mapping[str, str] = {
    "order_completed": "PURCHASE",
    "checkout_started": "START_CHECKOUT",
    "product_added": "ADD_CART",
    "payment_info_entered": "ADD_BILLING",
    "products_searched": "SEARCH",
    "product_viewed": "VIEW_CONTENT",
    "product_list_viewed": "VIEW_CONTENT",
    "product_added_to_wishlist": "ADD_TO_WISHLIST",
    "promotion_viewed": "AD_VIEW",
    "promotion_clicked": "AD_CLICK",
    "signed_up": "SIGN_UP",
    **{name.lower(): name for name in NAMES},
}
LISTED = {"email": "em", "phone": "ph"}
HASHED = {
    "first_name": "fn",
    "last_name": "ln",
    "gender": "ge",
    "city": "ct",
    "state": "st",
    "postal_code": "zp",
    "country": "country",
    "external_id": "external_id",
}
PLAIN = {
    "client_ip": "client_ip_address",
    "user_agent": "client_user_agent",
    "click_id": "sc_click_id",
    "cookie": "sc_cookie1",
    "madid": "madid",
    "idfv": "idfv",
    "lead_id": "lead_id",
    "subscription_id": "subscription_id",
}
CUSTOM = ("value", "content_ids", "content_category", "num_items", "order_id", "search_string", "sign_up_method")


@dataclass(frozen=True, slots=True)
class Place:
    """The pixel and the app that events are of."""

    base: str
    token: str
    pixel_id: str
    app_id: str

    def url(self, is_app: bool) -> str:
        """Give the address for events of the app, or of everything else."""
        place = self.app_id if is_app else self.pixel_id
        return f"{self.base}/v3/{place}/events?access_token={quote(self.token, safe='')}"


def prepare(settings: Settings) -> Place:
    """Work out the address once."""
    return Place(
        base=fields.api_url(BASE_URLS, settings),
        token=str(settings["access_token"]),
        pixel_id=str(settings.get("pixel_id") or ""),
        app_id=str(settings.get("snap_app_id") or ""),
    )


def event_name(name: str) -> str | None:
    """Translate a shop's event; None where Snapchat has no name for it."""
    return EVENTS.get(re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_"))


def build(payloads: Sequence[Payload], place: Place, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put the events of the app into one call, all others into another."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, place, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    pairs = list(zip(gathered.covers, gathered.entries, strict=True))
    for is_app in (False, True):
        own = [(index, event) for index, event in pairs if (event["action_source"] == "MOBILE_APP") is is_app]
        if own:
            covers = tuple(index for index, _ in own)
            body = {"data": [event for _, event in own]}
            built.append(
                RequestSpec("POST", place.url(is_app), (), body, "json", covers, 30.0, endpoint_label="events")
            )
    return built


def _event(index: int, payload: Payload, place: Place, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    name, source = event_name(str(payload["event_name"])), str(payload.get("action_source") or "WEB")
    user = _user(payload)
    problem = ads.first_problem(
        lambda: None if name else refuse(index, "unknown_event", "Snapchat has no event of this name."),
        lambda: ads.age_problem(index, payload["event_time"], context.now, DAYS, "Snapchat"),
        lambda: ads.currency_problem(index, payload.get("currency"), "Snapchat"),
        lambda: _missing(index, source, user, place),
    )
    if problem is not None:
        return problem
    event: ads.JsonObject = {
        "integration": "headwater",
        "event_name": name,
        "event_time": seconds_of(payload["event_time"]),
        "event_id": payload.get("event_id") or context.message_ids[index],
        "action_source": source,
        "user_data": user,
    }
    if payload.get("event_source_url"):
        event["event_source_url"] = payload["event_source_url"]
    custom = _custom(payload)
    if custom:
        event["custom_data"] = custom
    if source == "MOBILE_APP":
        event["app_data"] = _app(payload)
    if payload.get("limited_data_use"):
        event["data_processing_options"] = ["LDU"]
    return event


def _missing(index: int, source: str, user: ads.JsonObject, place: Place) -> ItemOutcome | None:
    is_known = any(key in user for key in ("em", "ph", "madid"))
    if not is_known and not ("client_ip_address" in user and "client_user_agent" in user):
        message = "Snapchat needs an e-mail, a phone, an advertising id, or IP address and user agent."
        return refuse(index, "no_identifier", message)
    if not (place.app_id if source == "MOBILE_APP" else place.pixel_id):
        return refuse(index, "place_missing", "The destination names no pixel, or no app, for this event.")
    return None


def _user(payload: Payload) -> ads.JsonObject:
    user: ads.JsonObject = {name: payload[key] for key, name in LISTED.items() if payload.get(key)}
    user |= {name: payload[key] for key, name in HASHED.items() if payload.get(key)}
    return user | {name: payload[key] for key, name in PLAIN.items() if payload.get(key)}


def _custom(payload: Payload) -> ads.JsonObject:
    custom: ads.JsonObject = {key: payload[key] for key in CUSTOM if key in payload}
    if "currency" in payload:
        custom["currency"] = str(payload["currency"]).upper()
    contents = [
        ads.present(one, {"id": "id", "quantity": "quantity", "price": "item_price"})
        for one in answers.members(payload.get("contents"))
    ]
    return {**custom, "contents": contents} if contents else custom


def _app(payload: Payload) -> ads.JsonObject:
    """Say which app; its sixteen values begin with the kind of system, which the app's id tells."""
    app_id = str(payload.get("app_id") or "")
    extinfo = payload.get("extinfo")
    values = [str(one) for one in extinfo][:16] if isinstance(extinfo, list) else []
    values += [""] * (16 - len(values))
    values[0] = "i2" if app_id.isdigit() else "a2"
    told = ads.present(payload, {"app_id": "app_id"})
    for key in ("advertiser_tracking_enabled", "application_tracking_enabled"):
        if key in payload:
            told[key] = payload[key]
    return {**told, "extinfo": values}


def build_test(place: Place, context: BuildContext) -> RequestSpec:
    """Have nothing validated, which a valid token is told and an invalid one is not."""
    is_app = not place.pixel_id
    url = place.url(is_app).replace("/events?", "/events/validate?")
    return RequestSpec("POST", url, (), {"data": []}, "json", endpoint_label="test")


TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "Snapchat refuses the token; make a new one.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this pixel or app.")
REFUSED = answers.verdict(Outcome.REJECTED, "event_refused", "Snapchat does not take this event.")
AGAIN = answers.verdict(
    Outcome.TOO_LARGE, "batch_refused", "Others of the batch are to blame; sent again without them."
)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A refusal may name the events at fault; then the others go out again without them."""
    answer = answers.parsed(response)
    said = answers.words(answers.member(answer, "reason"))
    if request.endpoint_label == "test" and response.status == 400:
        return answers.delivered(request, response)
    status = answers.words(answers.member(answer, "status"))
    if 200 <= response.status < 300 and response.error is None and status != "INVALID":
        return answers.partial(request, response, _failed(request, answer))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    if response.status in (200, 400) and response.error is None:
        failed = _failed(request, answer)
        if len(request.covers) == 1:
            return answers.for_all(request, response, REFUSED, said)
        return answers.partial(request, response, failed, AGAIN)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _failed(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    found: dict[int, tuple[Verdict, str]] = {}
    for error in answers.members(answer, "error_records"):
        place = answers.index_of(error.get("index"), len(request.covers))
        if place is not None:
            found[place] = (REFUSED, answers.words(error.get("reason")))
    return found


CONTENT = (Field("id", "Product"), Field("quantity", "Quantity", "integer"), Field("price", "Price", "number"))
PRODUCT = {"id": ("product_id", "sku"), "quantity": "quantity", "price": "price"}
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell Snapchat what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field("event_time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("event_id", "Event id", description="The same as your pixel's; the message id unless mapped."),
        Field(
            "action_source",
            "Where it happened",
            default="WEB",
            choices=(("WEB", "Website"), ("MOBILE_APP", "App"), ("OFFLINE", "Offline")),
        ),
        Field("event_source_url", "Page", default=ads.PAGE_URL, maximum=2_000),
        ads.hashed("email", "E-mail", hashing.email, fields.EMAIL, multiple=True),
        ads.hashed(
            "phone", "Phone", hashing.phone_digits, fields.PHONE, multiple=True, description="With its country."
        ),
        ads.hashed("external_id", "User id", hashing.trimmed, fields.USER_ID),
        ads.hashed("first_name", "First name", hashing.joined_name, ads.NAME_TRAITS["first_name"]),
        ads.hashed("last_name", "Last name", hashing.joined_name, ads.NAME_TRAITS["last_name"]),
        ads.hashed("gender", "Gender", hashing.gender, ads.NAME_TRAITS["gender"]),
        ads.hashed("city", "City", hashing.letters, ads.NAME_TRAITS["city"]),
        ads.hashed("state", "State", hashing.state, ads.NAME_TRAITS["state"]),
        ads.hashed("postal_code", "Postcode", hashing.postcode, ads.NAME_TRAITS["postal_code"]),
        ads.hashed("country", "Country", hashing.country, ads.NAME_TRAITS["country"]),
        ads.plain("client_ip", "IP address", fields.IP),
        ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ads.plain("click_id", "Click id (ScCid)", {"@path": "$.properties.sc_click_id"}),
        ads.plain("cookie", "Cookie (_scid)", {"@path": "$.properties.sc_cookie1"}),
        ads.plain("madid", "Mobile advertising id", {"@path": "$.context.device.advertisingId"}),
        ads.plain("idfv", "IDFV"),
        ads.plain("lead_id", "Lead"),
        ads.plain("subscription_id", "Subscription"),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field("content_ids", "Product ids", multiple=True, default={"@path": "$.properties.product_id"}),
        Field("contents", "Products", "object", multiple=True, properties=CONTENT, default=ads.products(PRODUCT)),
        Field("content_category", "Category", default={"@path": "$.properties.category"}),
        Field("num_items", "Number of items", "integer"),
        Field("order_id", "Order", default=ads.ORDER_ID),
        Field("search_string", "Searched for", default=ads.SEARCH),
        Field("sign_up_method", "Sign-up method"),
        Field("app_id", "App id", default={"@path": "$.context.app.namespace"}),
        Field("advertiser_tracking_enabled", "Advertiser tracking", "boolean"),
        Field("application_tracking_enabled", "App tracking", "boolean"),
        Field("extinfo", "Device information", description="The 16 values of extinfo.", multiple=True),
        Field("limited_data_use", "Limited data use", "boolean"),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_EVENTS, max_bytes=4_000_000),
)

connector = Connector(
    slug="snapchat",
    name="Snapchat Conversions",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells Snapchat which of its people became customers.",
    docs_url="https://developers.snap.com/api/marketing-api/Conversions-API/Introduction",
    settings=(
        Field("pixel_id", "Pixel id", pattern=r"[0-9a-fA-F-]{8,40}", clears_secrets=True),
        Field("snap_app_id", "Snap app id", pattern=r"[0-9a-fA-F-]{8,40}", clears_secrets=True),
        fields.secret("access_token", "Access token"),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page"', {**SEND.default_mapping, "event_name": "PAGE_VIEW"}),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=(auth.query("access_token"),),
    base_urls=BASE_URLS,
    idempotency="field:event_id",
    rate_limits=(RateLimit("credential", "requests", 1_000),),
)
