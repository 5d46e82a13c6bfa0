"""Mixpanel: product analytics over events, people and groups.

You need the project token (Settings → Project Settings → Access Keys). Events can be imported with the token alone, or
better with a service account (Settings → Project Settings → Service Accounts), which then needs the project id too.

Track, page and screen calls become events. Identify calls set the properties of the person's profile and, where they
carry an anonymous id as well, tie it to the person. Group calls set the properties of the group's profile and put the
person into the group. Alias calls are for projects with the original identity merge; with the simplified one Mixpanel
joins people by the events that carry both ids, and alias calls are left out. "Order Completed" is counted as revenue of
the person, and as one event for each of its products.

Mixpanel tells a repeated event by its insert id, which is made of the message id. It takes events with up to 255
properties, lists of up to 255 items and objects nested three deep. An event that breaks a rule is rejected by itself;
its neighbours are imported. Deleting a person removes the profile, and the events too once a GDPR token is entered.
"""

from __future__ import annotations

from connectors.base import Action, BatchRule, Connector, Deletion, Field, Preset, RateLimit, When
from connectors.destinations import _mixpanel as calls
from connectors.destinations import _mixpanel_answers as answers
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

WITH_ACCOUNT = When("auth", ("basic",))
DOCS = "https://developer.mixpanel.com/reference/overview"

SETTINGS = (
    secret("project_token", "Project token", "Settings → Project Settings → Access Keys."),
    region(("us", "United States"), ("eu", "European Union"), ("in", "India")),
    Field(
        "auth",
        "Import as",
        description="Who imports events. Mixpanel recommends a service account.",
        default="body",
        choices=(("body", "The project"), ("basic", "A service account")),
    ),
    secret("api_secret", "API secret", "Older projects import with it instead of the token.", required=False),
    Field("username", "Service account", description="Its user name.", required=WITH_ACCOUNT, pattern=r"[^:]*"),
    Field("password", "Service account's secret", "password", required=WITH_ACCOUNT, secret=True, maximum=500),
    Field("project_id", "Project id", description="A number.", required=WITH_ACCOUNT, pattern=r"[0-9]{1,20}"),
    Field(
        "id_merge",
        "Identity merge",
        description="As Settings → Project Settings → Identity Merge says.",
        default="simplified",
        choices=(("simplified", "Simplified"), ("original", "Original")),
    ),
    secret(
        "gdpr_token",
        "GDPR token",
        "With it, deleting a person erases the events too. From Profile & Preferences → Data & Privacy; lasts a year.",
        required=False,
    ),
    Field("compliance", "Erase under", default="GDPR", choices=(("GDPR", "GDPR"), ("CCPA", "CCPA"))),
    API_URL,
)

USER = Field("user_id", "User id", description="Who it was.", default=USER_ID, category="identifier")
DEVICE = Field(
    "anonymous_id",
    "Anonymous id",
    description="The device, before it is known whose.",
    default=ANONYMOUS_ID,
    category="identifier",
)
TIME = Field("time", "Time", "datetime", "When it happened.", default=TIMESTAMP)
ADDRESS = Field("ip", "IP address", description="Tells Mixpanel country and city.", default=IP, category="pii")
CONTEXT: dict[str, object] = {
    "$os_version": {"@path": "$.context.os.version"},
    "$os": {"@path": "$.context.os.name"},
    "$manufacturer": {"@path": "$.context.device.manufacturer"},
    "$model": {"@path": "$.context.device.model"},
    "$carrier": {"@path": "$.context.network.carrier"},
    "$wifi": {"@path": "$.context.network.wifi"},
    "$screen_width": {"@path": "$.context.screen.width"},
    "$screen_height": {"@path": "$.context.screen.height"},
    "$screen_dpi": {"@path": "$.context.screen.density"},
    "$app_version_string": {"@path": "$.context.app.version"},
    "$app_build_number": {"@path": "$.context.app.build"},
    "$current_url": {"@path": "$.context.page.url"},
    "$referrer": {"@path": "$.context.page.referrer"},
    "$city": {"@path": "$.context.location.city"},
    "$region": {"@path": "$.context.location.region"},
    "mp_country_code": {"@path": "$.context.location.country"},
    "utm_source": {"@path": "$.context.campaign.source"},
    "utm_medium": {"@path": "$.context.campaign.medium"},
    "utm_campaign": {"@path": "$.context.campaign.name"},
    "utm_term": {"@path": "$.context.campaign.term"},
    "utm_content": {"@path": "$.context.campaign.content"},
    "mp_lib": {"@path": "$.context.library.name"},
    "$lib_version": {"@path": "$.context.library.version"},
}
SURROUNDINGS = (
    TIME,
    Field(
        "insert_id", "Insert id", description="Mixpanel tells repeats by it.", default=MESSAGE_ID, category="internal"
    ),
    ADDRESS,
    Field("user_agent", "User agent", description="Tells browser and system.", default=USER_AGENT, maximum=2_000),
    Field("details", "Details", "object", "Device, app, page and campaign, by Mixpanel's own names.", default=CONTEXT),
)
OF_EVENT = Field("properties", "Properties", "object", "Facts about the event.", default=PROPERTIES, category="data")
GROUP_KEY = Field(
    "group_key",
    "Group key",
    description="The kind of group, as set up in the project.",
    required=True,
    default="company",
    category="config",
)
GROUP_ID = Field("group_id", "Group id", required=True, default={"@path": "$.groupId"}, category="identifier")
OPERATIONS = (
    ("set", "Set"),
    ("set_once", "Set, unless it has a value"),
    ("add", "Add numbers"),
    ("append", "Append to lists"),
    ("union", "Put into lists, once"),
    ("remove", "Remove from lists"),
    ("unset", "Forget"),
)
IMPORTED = BatchRule(max_items=1_000, max_bytes=9_500_000)
CHANGED = BatchRule(max_items=1_000, max_bytes=900_000, keys=("operation",))
IDENTIFIED = 'type = "identify"'
ORDERED = 'type = "track" and event = "Order Completed"'

TRACK = Action(
    key="track",
    title="Import an event",
    description="Record what somebody did.",
    default_trigger='type = "track"',
    fields=(
        Field("event", "Event", description="Its name.", required=True, default=EVENT, maximum=255),
        USER,
        DEVICE,
        OF_EVENT,
        *SURROUNDINGS,
    ),
    build=calls.build_events,
    batch=IMPORTED,
)
PRODUCTS = Action(
    key="track_products",
    title="Import the products of an order",
    description="Record an event “Product Purchased” for each product.",
    default_trigger=ORDERED,
    fields=(
        Field("products", "Products", "object", multiple=True, default={"@path": "$.properties.products"}),
        USER,
        DEVICE,
        Field(
            "properties",
            "Properties of the order",
            "object",
            "Each product's event has these too.",
            default=ORDER,
        ),
        *SURROUNDINGS,
    ),
    build=calls.build_products,
)
PROFILE = Action(
    key="set_profile",
    title="Change a profile",
    description="Set or change properties of a person.",
    default_trigger=IDENTIFIED,
    fields=(
        USER,
        DEVICE,
        Field(
            "operation",
            "Change",
            description="How values change.",
            default="set",
            choices=OPERATIONS,
            category="config",
        ),
        Field("properties", "Properties", "object", "What is known of the person.", default=TRAITS, category="pii"),
        ADDRESS,
    ),
    build=calls.build_profiles,
    batch=CHANGED,
)
REVENUE = Action(
    key="add_revenue",
    title="Add revenue",
    description="Add a purchase to the person's transactions.",
    default_trigger=ORDERED,
    fields=(
        USER,
        DEVICE,
        Field(
            "amount",
            "Amount",
            "number",
            required=True,
            default={
                "@if": {
                    "exists": {"@path": "$.properties.revenue"},
                    "then": {"@path": "$.properties.revenue"},
                    "else": {"@path": "$.properties.total"},
                }
            },
        ),
        TIME,
    ),
    build=calls.build_revenue,
    idempotent=False,
)
LINK = Action(
    key="link_ids",
    title="Tie an anonymous id to a user",
    description="Tell Mixpanel that a device is a user's, so that what was done before counts as the user's.",
    default_trigger=IDENTIFIED + " and userId != null",
    fields=(
        Field("user_id", "User id", required=True, default=USER_ID, category="identifier"),
        DEVICE,
        TIME,
    ),
    build=calls.build_links,
    batch=IMPORTED,
)
PAIR = (
    Field("previous_id", "Previous id", required=True, default={"@path": "$.previousId"}, category="identifier"),
    Field("user_id", "User id", required=True, default=USER_ID, category="identifier"),
)
ALIAS = Action(
    key="alias",
    title="Add an alias",
    description="Let a second id lead to a person. Only with the original identity merge.",
    default_trigger='type = "alias"',
    fields=PAIR,
    build=calls.build_aliases,
    batch=IMPORTED,
)
MERGE = Action(
    key="merge",
    title="Merge two people",
    description="Make one person of two for good. Only with the original identity merge.",
    default_trigger='type = "alias"',
    fields=PAIR,
    build=calls.build_merges,
    batch=IMPORTED,
)
GROUP = Action(
    key="set_group",
    title="Set a group's properties",
    description="Set what is known of a company or another group.",
    default_trigger='type = "group"',
    fields=(
        GROUP_KEY,
        GROUP_ID,
        Field("properties", "Properties", "object", "What is known of the group.", default=TRAITS),
    ),
    build=calls.build_groups,
    batch=BatchRule(max_items=200, max_bytes=900_000),
)
MEMBERSHIP = Action(
    key="join_group",
    title="Put a person into a group",
    description="Add the group to the groups of the person.",
    default_trigger='type = "group"',
    fields=(USER, DEVICE, GROUP_KEY, GROUP_ID),
    build=calls.build_memberships,
    batch=BatchRule(max_items=1_000, max_bytes=900_000),
)


def viewed(what: str) -> dict[str, object]:
    """Give the mapping of a page or screen call, named after what was seen."""
    name = {"@path": "$.name"}
    named = {"@if": {"exists": name, "then": {"@template": "Viewed {{name}}"}, "else": f"Viewed {what}"}}
    return {**TRACK.default_mapping, "event": named}


connector = Connector(
    slug="mixpanel",
    name="Mixpanel",
    version="1.0.0",
    category="analytics",
    status="stable",
    description="Sends events, profiles and groups to Mixpanel.",
    docs_url=DOCS,
    settings=SETTINGS,
    actions=(TRACK, PRODUCTS, PROFILE, REVENUE, LINK, ALIAS, MERGE, GROUP, MEMBERSHIP),
    presets=(
        Preset("Events", "track", 'type = "track"', TRACK.default_mapping),
        Preset("Page views", "track", 'type = "page"', viewed("a Page")),
        Preset("Screen views", "track", 'type = "screen"', viewed("a Screen")),
        Preset("Profiles", "set_profile", IDENTIFIED, PROFILE.default_mapping),
        Preset("Devices of known people", "link_ids", LINK.default_trigger, LINK.default_mapping),
        Preset("Products of orders", "track_products", ORDERED, PRODUCTS.default_mapping),
        Preset("Revenue", "add_revenue", ORDERED, REVENUE.default_mapping),
        Preset("Groups", "set_group", 'type = "group"', GROUP.default_mapping),
        Preset("Members of groups", "join_group", 'type = "group"', MEMBERSHIP.default_mapping),
        Preset("Aliases", "alias", 'type = "alias"', ALIAS.default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=500, build=calls.build_deletion),
    interpret=answers.read_answer,
    auth=calls.SCHEMES,
    base_urls=calls.BASE_URLS,
    idempotency="field:properties.$insert_id",
    rate_limits=(RateLimit("destination", "items", 30_000),),
)
