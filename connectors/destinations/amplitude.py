"""Amplitude: product analytics over events, users and accounts.

You need the project's API key, and for deletions its secret key as well (Settings → Projects → your project).

Track, page and screen calls become events. Identify calls set the user's properties. Group calls set the properties of
the group and put the user into it; groups are part of Amplitude's Accounts add-on. Alias calls map a user to a global
user id, by which a portfolio of several projects counts one person once. "Order Completed" can be logged as one event
with revenue for each of its products.

Amplitude tells a repeated event by its insert id for seven days; it is the message id. Ids shorter than five characters
count as none unless the project allows shorter ones, and texts are cut to 1,024 characters. A user or device that sends
more than 30 events a second is made to wait by itself; the others go on. Of a batch with a bad event Amplitude takes
nothing: the bad one is rejected and the rest goes out again. Deletions are carried out by Amplitude within 30 days.
"""

from __future__ import annotations

from connectors.auth import AuthScheme
from connectors.base import Action, BatchRule, Connector, Deletion, Field, Preset, RateLimit
from connectors.destinations import _amplitude as calls
from connectors.fields import (
    ANONYMOUS_ID,
    API_URL,
    EVENT,
    IP,
    MESSAGE_ID,
    ORDER,
    PROPERTIES,
    TIMESTAMP,
    TRAITS,
    USER_AGENT,
    USER_ID,
    region,
    secret,
)

SETTINGS = (
    secret("api_key", "API key", "Settings → Projects → your project."),
    secret("secret_key", "Secret key", "Only needed to delete users. It stands beside the API key.", required=False),
    region(("us", "United States"), ("eu", "European Union")),
    Field(
        "upload",
        "Upload",
        description="Batch takes more from each user, and shows events a little later.",
        default="httpapi",
        choices=(("httpapi", "HTTP V2 API"), ("batch", "Batch event upload")),
    ),
    Field(
        "min_id_length",
        "Shortest id",
        "integer",
        "How many characters an id must have. Empty for Amplitude's own rule, which is five.",
        minimum=1,
        maximum=128,
    ),
    API_URL,
)


def context(path: str) -> dict[str, object]:
    """Give the mapping of a fact about device, app or place."""
    return {"@path": f"$.context.{path}"}


def first_of(path: str, other: object) -> dict[str, object]:
    """Give the mapping of the first that is there."""
    found = {"@path": path}
    return {"@if": {"exists": found, "then": found, "else": other}}


USER = Field("user_id", "User id", description="Who it was.", default=USER_ID, category="identifier")
DEVICE = Field(
    "device_id",
    "Device id",
    description="The device, before it is known whose.",
    default=first_of("$.context.device.id", ANONYMOUS_ID),
    category="identifier",
)
ATTRIBUTION = Field(
    "attribution",
    "Where the visit came from",
    "object",
    "Campaign and referrer: kept as the user's latest, and the first of each as initial.",
    default={
        "utm_source": context("campaign.source"),
        "utm_medium": context("campaign.medium"),
        "utm_campaign": context("campaign.name"),
        "utm_term": context("campaign.term"),
        "utm_content": context("campaign.content"),
        "referrer": context("page.referrer"),
    },
)
CIRCUMSTANCES = (
    Field("app_version", "App version", default=context("app.version")),
    Field(
        "platform",
        "Platform",
        default={
            "@if": {
                "exists": context("device.type"),
                "then": context("device.type"),
                "else": {"@if": {"exists": context("page.url"), "then": "Web"}},
            }
        },
    ),
    Field("os_name", "System", default=context("os.name")),
    Field("os_version", "System version", default=context("os.version")),
    Field("device_brand", "Device brand", default=context("device.brand")),
    Field("device_manufacturer", "Device manufacturer", default=context("device.manufacturer")),
    Field("device_model", "Device model", default=context("device.model")),
    Field("carrier", "Carrier", default=context("network.carrier")),
    Field("country", "Country", default=context("location.country")),
    Field("region", "Region", default=context("location.region")),
    Field("city", "City", default=context("location.city")),
    Field("dma", "Market area"),
    Field("language", "Language", default=context("locale")),
)
SURROUNDINGS = (
    Field("time", "Time", "datetime", "When it happened.", default=TIMESTAMP),
    Field(
        "session_id",
        "Session",
        description="When the session began; -1 for none.",
        default={"@path": "$.integrations.Amplitude.session_id"},
    ),
    Field(
        "insert_id", "Insert id", description="Amplitude tells repeats by it.", default=MESSAGE_ID, category="internal"
    ),
    Field("user_properties", "User properties", "object", "Facts about the user.", category="pii"),
    ATTRIBUTION,
    Field("groups", "Groups", "object", "Of which groups the user is part: kind and name."),
    *CIRCUMSTANCES,
    Field("ip", "IP address", description="Tells the place.", default=IP, category="pii"),
    Field("location_lat", "Latitude", "number", default=context("location.latitude"), category="pii"),
    Field("location_lng", "Longitude", "number", default=context("location.longitude"), category="pii"),
    Field("idfa", "iOS advertising id", category="identifier"),
    Field("idfv", "iOS vendor id", category="identifier"),
    Field("adid", "Android advertising id", category="identifier"),
    Field("android_id", "Android id", category="identifier"),
    Field("user_agent", "User agent", description="Tells browser and system.", default=USER_AGENT, maximum=2_000),
    Field("library", "Library", default=context("library.name"), category="internal"),
)
OF_EVENT = Field("event_properties", "Event properties", "object", "Facts about the event.", default=PROPERTIES)
NAME = Field("event_type", "Event", description="Its name.", required=True, default=EVENT, maximum=1_024)
GROUP_TYPE = Field(
    "group_type", "Group type", description="The kind of group.", required=True, default="company", category="config"
)
LOGGED = BatchRule(max_items=500, max_bytes=950_000)
ORDERED = 'type = "track" and event = "Order Completed"'

TRACK = Action(
    key="track",
    title="Log an event",
    description="Record what somebody did.",
    default_trigger='type = "track"',
    fields=(
        NAME,
        USER,
        DEVICE,
        OF_EVENT,
        Field("price", "Price", "number"),
        Field("quantity", "Quantity", "integer"),
        Field("revenue", "Revenue", "number"),
        Field("product_id", "Product id"),
        Field("revenue_type", "Revenue type"),
        *SURROUNDINGS,
    ),
    build=calls.build_events,
    batch=LOGGED,
)
PURCHASE = Action(
    key="log_purchase",
    title="Log the products of an order",
    description="Record an event with revenue for each product.",
    default_trigger=ORDERED,
    fields=(
        Field(
            "event_type", "Event", description="Its name.", required=True, default="Product Purchased", maximum=1_024
        ),
        USER,
        DEVICE,
        Field(
            "products",
            "Products",
            "object",
            multiple=True,
            default={"@path": "$.properties.products"},
            properties=(
                Field("product_id", "Product id"),
                Field("price", "Price", "number"),
                Field("quantity", "Quantity", "integer"),
                Field("revenue", "Revenue", "number"),
                Field("revenue_type", "Revenue type"),
            ),
        ),
        Field(
            "event_properties",
            "Properties of the order",
            "object",
            "Each product's event has these too.",
            default=ORDER,
        ),
        *SURROUNDINGS,
    ),
    build=calls.build_purchases,
)
IDENTIFY = Action(
    key="identify",
    title="Set a user's properties",
    description="Tell what is known of a user.",
    default_trigger='type = "identify"',
    fields=(
        USER,
        DEVICE,
        Field(
            "user_properties",
            "User properties",
            "object",
            "Facts about the user; operations such as $add and $unset may stand in it.",
            default=TRAITS,
            category="pii",
        ),
        ATTRIBUTION,
        Field("groups", "Groups", "object", "Of which groups the user is part: kind and name."),
        *CIRCUMSTANCES,
    ),
    build=calls.build_identities,
    batch=BatchRule(max_items=500, max_bytes=900_000),
)
GROUP = Action(
    key="set_group",
    title="Set a group's properties",
    description="Tell what is known of a company or another group.",
    default_trigger='type = "group"',
    fields=(
        GROUP_TYPE,
        Field("group_value", "Group id", required=True, default={"@path": "$.groupId"}, category="identifier"),
        Field("group_properties", "Group properties", "object", default=TRAITS),
    ),
    build=calls.build_groups,
    batch=BatchRule(max_items=500, max_bytes=900_000),
)
ALIAS = Action(
    key="map_user",
    title="Map a user",
    description="Let the users of several projects count as one person.",
    default_trigger='type = "alias"',
    fields=(
        Field("user_id", "User id", required=True, default={"@path": "$.previousId"}, category="identifier"),
        Field("global_user_id", "Global user id", default=USER_ID, category="identifier"),
        Field("unmap", "Undo", "boolean", "Take the mapping away again.", category="config"),
    ),
    build=calls.build_aliases,
    batch=BatchRule(max_items=500, max_bytes=900_000),
)


def viewed(what: str) -> dict[str, object]:
    """Give the mapping of a page or screen call, named after what was seen."""
    name = {"@path": "$.name"}
    named = {"@if": {"exists": name, "then": {"@template": "Viewed {{name}}"}, "else": f"Viewed {what}"}}
    return {**TRACK.default_mapping, "event_type": named}


MEMBERSHIP = {
    **{key: IDENTIFY.default_mapping[key] for key in ("user_id", "device_id")},
    "groups": {"company": {"@path": "$.groupId"}},
}

connector = Connector(
    slug="amplitude",
    name="Amplitude",
    version="1.0.0",
    category="analytics",
    status="stable",
    description="Sends events, user properties and groups to Amplitude.",
    docs_url="https://amplitude.com/docs/apis/analytics/http-v2",
    settings=SETTINGS,
    actions=(TRACK, PURCHASE, IDENTIFY, GROUP, ALIAS),
    presets=(
        Preset("Events", "track", 'type = "track"', TRACK.default_mapping),
        Preset("Page views", "track", 'type = "page"', viewed("a Page")),
        Preset("Screen views", "track", 'type = "screen"', viewed("a Screen")),
        Preset("Products of orders", "log_purchase", ORDERED, PURCHASE.default_mapping),
        Preset("User properties", "identify", 'type = "identify"', IDENTIFY.default_mapping),
        Preset("Groups", "set_group", 'type = "group"', GROUP.default_mapping),
        Preset("Members of groups", "identify", 'type = "group"', MEMBERSHIP),
        Preset("Aliases", "map_user", 'type = "alias"', ALIAS.default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=100, build=calls.build_deletion),
    interpret=calls.read_answer,
    auth=(AuthScheme("body", "API key", ("api_key",)),),
    base_urls=calls.BASE_URLS,
    idempotency="field:events.insert_id",
    rate_limits=(RateLimit("destination", "requests", 100),),
)
