"""Google Analytics 4: events and user properties through the Measurement Protocol.

You need an API secret of the data stream (Admin → Data streams → your stream → Measurement Protocol API secrets) and,
for a website, its measurement id (G-…), for an app its Firebase app id. The data centre in the EU can be chosen.

Track calls become events; the calls of an online shop get Google's own names, so that "Order Completed" is `purchase`
with its items, value and currency. Page calls become `page_view`, screen calls `screen_view`, group calls `join_group`.
Identify calls set user properties along with an event `identify`. Other names keep their words, with underscores.

A website's events need the client id of Google's own cookie to belong to its sessions; without it they count, but as
somebody else's. An app's events need the app instance id. Google takes events of the last 72 hours, 25 parameters of
100 characters an event, 25 user properties of 36 characters, and nothing nested but items; what does not fit is left
out. Names, addresses and the like are never sent as user properties, which Google forbids; e-mail, phone and name have
fields that hash them.

Google answers yes to everything. One request of a hundred is therefore also shown to its validation server, which
records nothing: what that finds is a warning on the event, such as `validation_name_invalid`, which has been sent all
the same. To see every objection, switch on "Only validate": events are then checked and not recorded.

People can be erased once a service account with the right to do so and the property id are entered.
"""

from __future__ import annotations

from connectors import hashing
from connectors.base import Action, BatchRule, Connector, Deletion, Field, Preset, ResolveStep, When
from connectors.destinations import _ga4 as calls
from connectors.fields import ANONYMOUS_ID, API_URL, EVENT, PROPERTIES, TIMESTAMP, TRAITS, USER_ID, region, secret
from connectors.hashing import Hashed

WEB, APP = When("stream", ("web",)), When("stream", ("app",))
WITH_ACCOUNT = When("auth", ("service_account",))

SETTINGS = (
    Field("stream", "Stream", default="web", choices=(("web", "Website"), ("app", "App"))),
    Field("measurement_id", "Measurement id", required=WEB, pattern=r"G-[A-Z0-9]{4,20}", placeholder="G-XXXXXXXXXX"),
    Field("firebase_app_id", "Firebase app id", required=APP, pattern=r"[0-9A-Za-z:_-]{5,100}"),
    secret("api_secret", "API secret", "Admin → Data streams → your stream → Measurement Protocol API secrets."),
    region(("global", "Nearest"), ("eu", "European Union")),
    Field(
        "validate_only", "Only validate", "boolean", "Events are checked by Google, and not recorded.", default=False
    ),
    Field(
        "auth",
        "People can be erased",
        description="Erasing people needs a service account beside the API secret.",
        default="query",
        choices=(("query", "No"), ("service_account", "With a service account")),
    ),
    Field(
        "service_account",
        "Service account",
        "text",
        "Its JSON key. The account needs the right to edit the property.",
        required=WITH_ACCOUNT,
        secret=True,
        maximum=8_000,
    ),
    Field(
        "property_id",
        "Property id",
        description="A number: Admin → Property details.",
        required=WITH_ACCOUNT,
        pattern=r"\d{1,20}",
    ),
    API_URL,
)


def first_of(*paths: object) -> object:
    """Give the mapping of the first that is there."""
    found, *rest = paths
    return {"@if": {"exists": found, "then": found, "else": first_of(*rest)}} if rest else found


def integration(key: str) -> dict[str, str]:
    """Give the mapping of what a website hands over in its integrations object."""
    return {"@path": f"$.integrations.Google Analytics 4.{key}"}


def property_of(key: str) -> dict[str, str]:
    """Give the mapping of a property."""
    return {"@path": f"$.properties.{key}"}


def item(root: str) -> dict[str, object]:
    """Give the shape of an item, of a product that stands at this path."""
    names = {
        "item_name": "name",
        "affiliation": "affiliation",
        "coupon": "coupon",
        "discount": "discount",
        "index": "position",
        "item_brand": "brand",
        "item_category": "category",
        "item_variant": "variant",
        "price": "price",
        "quantity": "quantity",
    }
    ids = first_of({"@path": f"{root}product_id"}, {"@path": f"{root}sku"})
    return {"item_id": ids, **{name: {"@path": f"{root}{key}"} for name, key in names.items()}}


CONSENTS = (("GRANTED", "Granted"), ("DENIED", "Denied"))
OF_ITEM = (
    Field("item_id", "Item id"),
    Field("item_name", "Item name"),
    Field("price", "Price", "number"),
    Field("quantity", "Quantity", "number"),
    Field("discount", "Discount", "number"),
    Field("index", "Position", "integer"),
)
PERSON = (
    Field(
        "client_id",
        "Client id",
        description="Of a website: who it was, by Google's cookie.",
        default=first_of(integration("clientId"), ANONYMOUS_ID, USER_ID),
        category="identifier",
    ),
    Field(
        "app_instance_id",
        "App instance id",
        description="Of an app: the installation, by Firebase.",
        default=integration("appInstanceId"),
        category="identifier",
    ),
    Field("user_id", "User id", default=USER_ID, maximum=256, category="identifier"),
    Field("user_properties", "User properties", "object", "Facts about the user; no personal data."),
    Field("ad_user_data", "Consent to ad data", choices=CONSENTS, category="config"),
    Field("ad_personalization", "Consent to personal ads", choices=CONSENTS, category="config"),
    Field("email", "E-mail", hashed=Hashed(hashing.google_email), category="hashed_pii"),
    Field("phone", "Phone", hashed=Hashed(hashing.phone_e164), category="hashed_pii"),
    Field("first_name", "First name", hashed=Hashed(hashing.name), category="hashed_pii"),
    Field("last_name", "Last name", hashed=Hashed(hashing.name), category="hashed_pii"),
    Field("ip_override", "IP address", description="Tells the place. Not sent unless mapped.", category="pii"),
    Field("user_agent", "User agent", description="Tells the device. Not sent unless mapped.", maximum=2_000),
)
SEND = Action(
    key="event",
    title="Send an event",
    description="Record what somebody did.",
    default_trigger='type = "track"',
    fields=(
        Field("name", "Event", description="Its name.", required=True, default=EVENT),
        *PERSON,
        Field("timestamp", "Time", "datetime", "When it happened.", default=TIMESTAMP),
        Field("params", "Parameters", "object", "Facts about the event.", default=PROPERTIES, category="data"),
        Field(
            "items",
            "Items",
            "object",
            "The products of the event.",
            multiple=True,
            default={"@arrayPath": ["$.properties.products", item("$.")]},
            properties=OF_ITEM,
        ),
        Field(
            "item",
            "Item",
            "object",
            "The product of an event about one.",
            default=item("$.properties."),
            properties=OF_ITEM,
        ),
        Field(
            "value",
            "Value",
            "number",
            default=first_of(property_of("value"), property_of("revenue"), property_of("total")),
        ),
        Field("currency", "Currency", default=property_of("currency"), maximum=10),
        Field(
            "session_id",
            "Session id",
            description="Joins the event to a visit.",
            default=integration("sessionId"),
            category="identifier",
        ),
        Field(
            "engagement_time_msec",
            "Engagement time",
            "integer",
            "Milliseconds. Without any, the user does not count as active.",
            default=1,
        ),
    ),
    build=calls.build,
    resolve=(ResolveStep("sample", calls.build_sample, calls.read_sample, per="batch"),),
    batch=BatchRule(max_items=25, max_bytes=120_000, keys=calls.SHARED),
)
BASE = SEND.default_mapping
PAGE = {
    **BASE,
    "name": "page_view",
    "params": {
        "page_location": first_of(property_of("url"), {"@path": "$.context.page.url"}),
        "page_title": first_of(property_of("title"), {"@path": "$.context.page.title"}),
        "page_referrer": first_of(property_of("referrer"), {"@path": "$.context.page.referrer"}),
    },
}
SCREEN = {**BASE, "name": "screen_view", "params": {"screen_name": {"@path": "$.name"}}}
GROUP = {**BASE, "name": "join_group", "params": {"group_id": {"@path": "$.groupId"}}}
IDENTIFY = {**BASE, "name": "identify", "params": {}, "user_properties": TRAITS}

connector = Connector(
    slug="google_analytics_4",
    name="Google Analytics 4",
    version="1.0.0",
    category="analytics",
    status="stable",
    description="Sends events and user properties to Google Analytics.",
    docs_url="https://developers.google.com/analytics/devguides/collection/protocol/ga4",
    settings=SETTINGS,
    actions=(SEND,),
    presets=(
        Preset("Events", "event", 'type = "track"', BASE),
        Preset("Page views", "event", 'type = "page"', PAGE),
        Preset("Screen views", "event", 'type = "screen"', SCREEN),
        Preset("Joined groups", "event", 'type = "group"', GROUP),
        Preset("User properties", "event", 'type = "identify"', IDENTIFY),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(
        max_people=100,
        build=calls.build_deletion,
        resolve=tuple(calls.erasing_device(place) for place in range(calls.MOST_DEVICES)),
    ),
    interpret=calls.read_answer,
    auth=calls.SCHEMES,
    base_urls=calls.BASE_URLS,
)
