"""TikTok Events API: tells TikTok which of its people became customers.

**What you need.** The pixel code (or app id, or offline event set) and an access token made in Events Manager. While
you set it up, enter the test event code: events then show under "Test events".

**What is sent.** "Order Completed" becomes Purchase, "Product Added" AddToCart, "Product Added to Wishlist"
AddToWishlist, "Product Viewed" ViewContent, "Checkout Started" InitiateCheckout, "Payment Info Entered" AddPaymentInfo,
"Products Searched" Search, "Signed Up" CompleteRegistration; TikTok's own names pass in any case, other names as they
are. E-mail, phone, names, postcode and user id leave as SHA-256 digests; city, state and country go in clear, the
latter two as codes. The event id is the message id, so that TikTok drops what your browser pixel has told already with
the same event and id.

**Limits.** Up to 1,000 events of one source go in one call. TikTok answers 200 even when it refuses: it names the
events of a call that it refuses, and only these fail. When it refuses a whole call for one event in it, that one is
found by halving. A token without rights to the source stops the destination; too many calls make it wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields, hashing
from connectors.base import Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, RateLimit, Settings
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import COUNT_MISMATCH, Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import seconds_of

BASE_URLS = {"api": "https://business-api.tiktok.com"}
SCHEME = auth.header("access-token", "access_token")
VERSION = "v1.3"
MOST_EVENTS = 1_000
OK, PARTLY = 0, 20001
EVENTS: Mapping[str, str] = {
    "Order Completed": "Purchase",
    "Product Added": "AddToCart",
    "Product Added to Wishlist": "AddToWishlist",
    "Product Viewed": "ViewContent",
    "Checkout Started": "InitiateCheckout",
    "Payment Info Entered": "AddPaymentInfo",
    "Checkout Step Completed": "CompletePayment",
    "Products Searched": "Search",
    "Signed Up": "CompleteRegistration",
}
STANDARD = (
    *("ViewContent", "ClickButton", "Search", "Contact", "Download", "SubmitForm", "CompleteRegistration", "Subscribe"),
    *("Purchase", "Lead", "CustomizeProduct", "FindLocation", "Schedule", "ApplicationApproval", "SubmitApplication"),
    *("AddToCart", "AddToWishlist", "InitiateCheckout", "AddPaymentInfo", "CompletePayment", "PlaceAnOrder"),
    *("StartTrial", "LaunchAPP", "InstallApp", "Pageview"),
)
CANONICAL = {name.lower(): name for name in STANDARD}
HASHED = ("external_id", "phone", "email")
HASHED_ALONE = ("first_name", "last_name", "zip_code")
# These go out in clear: in lower case, as codes of two letters where there are such.
CLEANED = {"city": hashing.letters, "state": hashing.state, "country": hashing.country}
PLAIN = ("ttclid", "ttp", "ip", "user_agent", "locale", "idfa", "idfv", "gaid", "att_status")
PROPERTIES = (
    *("content_type", "value", "query", "description", "order_id", "shop_id", "num_items", "predicted_ltv"),
    "search_string",
)


@dataclass(frozen=True, slots=True)
class Place:
    """One source of events at TikTok."""

    url: str
    headers: Headers
    source: str
    source_id: str
    test_code: str


def prepare(settings: Settings) -> Place:
    """Work out address and credentials once."""
    return Place(
        url=f"{fields.api_url(BASE_URLS, settings)}/open_api/{VERSION}",
        headers=auth.headers(SCHEME, settings),
        source=str(settings.get("event_source") or "web"),
        source_id=str(settings["event_source_id"]),
        test_code=str(settings.get("test_event_code") or ""),
    )


def phone(value: str) -> str:
    """TikTok takes at most fifteen characters, the plus sign included."""
    return hashing.phone_e164(value)[:15]


def build(payloads: Sequence[Payload], place: Place, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all events that can be sent into one call."""
    gathered = gather(payloads, lambda index, payload: _event(index, payload, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if gathered.entries:
        body: dict[str, object] = {
            "event_source": place.source,
            "event_source_id": place.source_id,
            "partner_name": "Headwater",
            "data": gathered.entries,
        }
        if place.test_code:
            body["test_event_code"] = place.test_code
        url = f"{place.url}/event/track/"
        built.append(
            RequestSpec("POST", url, place.headers, body, "json", gathered.covers, 30.0, endpoint_label="event/track")
        )
    return built


def event_name(name: str) -> str:
    """Translate a shop's event; TikTok's own names pass in any case."""
    return EVENTS.get(name) or CANONICAL.get(re.sub(r"[\s_]", "", name).lower(), name)


def _event(index: int, payload: Payload, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    user = _user(payload)
    keys = ("ttclid", "external_id", "phone", "email", "ttp", "idfa", "idfv", "gaid")
    if not any(key in user for key in keys) and not ("ip" in user and "user_agent" in user):
        return refuse(index, "no_identifier", "TikTok needs something to match a person by.")
    problem = ads.currency_problem(index, payload.get("currency"), "TikTok")
    if problem is not None:
        return problem
    event: ads.JsonObject = {
        "event": event_name(str(payload["event_name"])),
        "event_time": seconds_of(payload["event_time"]),
        "event_id": payload.get("event_id") or context.message_ids[index],
        "user": user,
    }
    properties = _properties(payload)
    if properties:
        event["properties"] = properties
    page = ads.present(payload, {"page_url": "url", "page_referrer": "referrer"})
    if page:
        event["page"] = page
    if payload.get("lead"):
        event["lead"] = payload["lead"]
    if payload.get("limited_data_use") is not None:
        event["limited_data_use"] = payload["limited_data_use"]
    return event


def _user(payload: Payload) -> ads.JsonObject:
    """Say who it was: digests in lists, names hashed, places cleaned; the click id of the page's address wins."""
    user: ads.JsonObject = {key: payload[key] for key in HASHED if payload.get(key)}
    user |= {key: payload[key] for key in HASHED_ALONE if payload.get(key)}
    user |= {key: text for key, clean in CLEANED.items() if (text := clean(str(payload.get(key) or "")))}
    user |= {key: payload[key] for key in PLAIN if payload.get(key)}
    clicked = re.search(r"[?&]ttclid=([^&#]+)", str(payload.get("page_url") or ""))
    if clicked:
        user["ttclid"] = clicked.group(1)
    return user


def _properties(payload: Payload) -> ads.JsonObject:
    properties: ads.JsonObject = {key: payload[key] for key in PROPERTIES if key in payload}
    if "currency" in payload:
        properties["currency"] = str(payload["currency"]).upper()
    contents = answers.members(payload.get("contents"))
    if contents:
        properties["contents"] = [dict(one) for one in contents]
        properties.setdefault("content_type", "product")
    return properties


def build_test(place: Place, context: BuildContext) -> RequestSpec:
    """Ask who the token belongs to."""
    return RequestSpec("GET", f"{place.url}/user/info/", place.headers, endpoint_label="test")


TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "TikTok refuses the token; make a new one.")
NO_RIGHTS = answers.verdict(Outcome.DISABLED, "forbidden", "The token has no right to this source of events.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "TikTok asks to wait.")
REFUSED = answers.verdict(Outcome.REJECTED, "event_refused", "TikTok does not take this event.")
AMONG = answers.verdict(Outcome.TOO_LARGE, "batch_refused", "TikTok refuses the call without saying which event.")
TROUBLE = answers.verdict(Outcome.RETRY, "server_error", "TikTok has trouble of its own.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """The code in the body says what the status, which is 200, does not."""
    answer = answers.parsed(response)
    code, said = answers.member(answer, "code"), answers.words(answers.member(answer, "message"))
    if not 200 <= response.status < 300 or response.error is not None or not isinstance(code, int):
        return answers.with_words(request, response, said) if said else interpret(request, response)
    failed = answers.members(answer, "data", "failed_events")
    if code in (OK, PARTLY):
        found = _failed(request, failed)
        is_vague = len(found) < max(len(failed), 1 if code == PARTLY else 0)
        outcomes = answers.partial(request, response, found)
        return answers.warned(outcomes, COUNT_MISMATCH) if is_vague else outcomes
    if code == 40100:
        return answers.for_all(request, response, LIMITED, said)
    if code in (40102, 40104, 40105):
        return answers.for_all(request, response, TOKEN, said)
    if code == 40001:
        return answers.for_all(request, response, NO_RIGHTS, said)
    if code >= 50000:
        return answers.for_all(request, response, TROUBLE, said)
    return answers.for_all(request, response, AMONG if len(request.covers) > 1 else REFUSED, said)


def _failed(request: RequestSpec, failed: Sequence[Mapping[str, object]]) -> dict[int, tuple[Verdict, str]]:
    found = {}
    for one in failed:
        place = answers.index_of(one.get("order_in_request"), len(request.covers))
        if place is not None:
            found[place] = (REFUSED, answers.words(one.get("error_message")))
    return found


CONTENT = (
    Field("content_id", "Product"),
    Field("content_name", "Name"),
    Field("content_category", "Category"),
    Field("brand", "Brand"),
    Field("quantity", "Quantity", "integer"),
    Field("price", "Price", "number"),
)
PRODUCT = {
    "content_id": ("product_id", "sku"),
    "content_name": "name",
    "content_category": "category",
    "brand": "brand",
    "quantity": "quantity",
    "price": "price",
}
SEND = Action(
    key="send_event",
    title="Send an event",
    description="Tell TikTok what a person did.",
    default_trigger='type = "track"',
    fields=(
        Field("event_name", "Event", required=True, default=fields.EVENT, description="Shop events are translated."),
        Field("event_time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("event_id", "Event id", description="The same as your browser pixel's; the message id unless mapped."),
        ads.hashed("email", "E-mail", hashing.email, fields.EMAIL, multiple=True),
        ads.hashed("phone", "Phone", phone, fields.PHONE, multiple=True, description="With its country."),
        ads.hashed("external_id", "User id", hashing.lowered, fields.USER_ID, multiple=True),
        ads.hashed("first_name", "First name", hashing.name, ads.NAME_TRAITS["first_name"]),
        ads.hashed("last_name", "Last name", hashing.name, ads.NAME_TRAITS["last_name"]),
        ads.hashed("zip_code", "Postcode", hashing.postcode, ads.NAME_TRAITS["postal_code"]),
        Field("city", "City", default=ads.NAME_TRAITS["city"], category="pii"),
        Field("state", "State", default=ads.NAME_TRAITS["state"], category="pii"),
        Field("country", "Country", default=ads.NAME_TRAITS["country"], category="pii"),
        ads.plain("ttclid", "Click id (ttclid)", {"@path": "$.properties.ttclid"}),
        ads.plain("ttp", "Browser id (ttp)", {"@path": "$.properties.ttp"}),
        ads.plain("ip", "IP address", fields.IP),
        ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ads.plain("locale", "Locale", {"@path": "$.context.locale"}),
        ads.plain("idfa", "IDFA"),
        ads.plain("idfv", "IDFV"),
        ads.plain("gaid", "Google advertising id"),
        Field("att_status", "Tracking status", choices=(("AUTHORIZED", "Allowed"), ("DENIED", "Denied"))),
        Field("page_url", "Page", default=ads.PAGE_URL, maximum=2_000),
        Field("page_referrer", "Referrer", default={"@path": "$.context.page.referrer"}, maximum=2_000),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
        Field("contents", "Products", "object", multiple=True, properties=CONTENT, default=ads.products(PRODUCT)),
        Field("content_type", "Kind of the ids", choices=(("product", "Product"), ("product_group", "Product group"))),
        Field("query", "Searched for", default=ads.SEARCH),
        Field("description", "Description"),
        Field("order_id", "Order", default=ads.ORDER_ID),
        Field("shop_id", "Shop"),
        Field("num_items", "Number of items", "integer"),
        Field("predicted_ltv", "Predicted lifetime value", "number"),
        Field("search_string", "Search string"),
        Field("lead", "Lead", "object"),
        Field("limited_data_use", "Limited data use", "boolean"),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_EVENTS, max_bytes=4_000_000),
)

connector = Connector(
    slug="tiktok",
    name="TikTok Events",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells TikTok which of its people became customers.",
    docs_url="https://business-api.tiktok.com/portal/docs?id=1741601162187777",
    settings=(
        Field(
            "event_source",
            "Kind of source",
            default="web",
            choices=(("web", "Website"), ("app", "App"), ("offline", "Offline"), ("crm", "CRM")),
        ),
        Field(
            "event_source_id",
            "Pixel code or other id",
            required=True,
            pattern=r"[A-Za-z0-9]{4,40}",
            clears_secrets=True,
        ),
        fields.secret("access_token", "Access token"),
        Field("test_event_code", "Test event code", description="While you set it up.", pattern=r"[A-Za-z0-9]{1,20}"),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(
        Preset("Shop events", "send_event", 'type = "track"', SEND.default_mapping),
        Preset("Pages", "send_event", 'type = "page"', {**SEND.default_mapping, "event_name": "Pageview"}),
    ),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    idempotency="field:event_id",
    rate_limits=(RateLimit("credential", "requests", 1_000),),
)
