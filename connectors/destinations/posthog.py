"""PostHog: product analytics over events, persons and groups, in its cloud or on a server of your own.

You need the project's API key (Settings → Project → General; it begins with phc_). To delete people, a personal API
key that may write persons, and the project's id, are needed as well. For a server of your own enter its address.

Track calls become events, page calls `$pageview`, screen calls `$screen`. Identify calls set the person's properties
and tie the anonymous id to the person. Group calls set the group's properties, alias calls join two ids.

PostHog tells a repeated event by its uuid, which is made of the message id. A request may hold 20 MB and an event 1 MB.
When the project's quota is used up PostHog takes nothing more; the destination stops until you have seen to it.
Deleted people vanish at once; their events are deleted by PostHog at the next weekend.
"""

from __future__ import annotations

from dataclasses import replace

from connectors import auth
from connectors.base import Action, BatchRule, Connector, Deletion, Field, Preset
from connectors.destinations import _posthog as calls
from connectors.fields import (
    ANONYMOUS_ID,
    API_URL,
    EVENT,
    IP,
    MESSAGE_ID,
    PROPERTIES,
    TIMESTAMP,
    TRAITS,
    USER_AGENT,
    USER_ID,
    USER_OR_ANONYMOUS_ID,
    region,
    secret,
)

SETTINGS = (
    secret("project_api_key", "Project API key", "Settings → Project → General. It begins with phc_."),
    region(("us", "US cloud"), ("eu", "EU cloud")),
    Field(
        "historical_migration",
        "Import of the past",
        "boolean",
        "For events older than a few days: PostHog takes them in more slowly, beside its live events.",
        default=False,
    ),
    secret("personal_api_key", "Personal API key", "Only needed to delete people; scope person:write.", required=False),
    Field("project_id", "Project id", description="Only needed to delete people. A number.", pattern=r"\d{1,12}"),
    API_URL,
)
TIME = Field("timestamp", "Time", "datetime", "When it happened.", default=TIMESTAMP)
ADDRESS = Field("ip", "IP address", description="Tells the place.", default=IP, category="pii")
PERSON = Field(
    "distinct_id",
    "Person",
    description="The user's id, or else that of the device.",
    required=True,
    default=USER_OR_ANONYMOUS_ID,
    category="identifier",
)


def context_of(path: str) -> dict[str, str]:
    """Give the mapping of a fact about device, app, page or campaign."""
    return {"@path": f"$.context.{path}"}


DETAILS: dict[str, object] = {
    "$current_url": context_of("page.url"),
    "$pathname": context_of("page.path"),
    "$referrer": context_of("page.referrer"),
    "title": context_of("page.title"),
    "$os": context_of("os.name"),
    "$os_version": context_of("os.version"),
    "$device_id": context_of("device.id"),
    "$device_type": context_of("device.type"),
    "$device_manufacturer": context_of("device.manufacturer"),
    "$device_model": context_of("device.model"),
    "$app_name": context_of("app.name"),
    "$app_version": context_of("app.version"),
    "$app_build": context_of("app.build"),
    "$screen_width": context_of("screen.width"),
    "$screen_height": context_of("screen.height"),
    "$locale": context_of("locale"),
    "$timezone": context_of("timezone"),
    "utm_source": context_of("campaign.source"),
    "utm_medium": context_of("campaign.medium"),
    "utm_campaign": context_of("campaign.name"),
    "utm_term": context_of("campaign.term"),
    "utm_content": context_of("campaign.content"),
    "$lib": context_of("library.name"),
    "$lib_version": context_of("library.version"),
}
CAPTURED = BatchRule(max_items=500, max_bytes=10_000_000)
CAPTURE = Action(
    key="capture",
    title="Capture an event",
    description="Record what somebody did.",
    default_trigger='type = "track"',
    fields=(
        Field("event", "Event", description="Its name.", required=True, default=EVENT, maximum=400),
        PERSON,
        Field("properties", "Properties", "object", "Facts about the event.", default=PROPERTIES),
        Field("details", "Details", "object", "Device, app, page and campaign, by PostHog's names.", default=DETAILS),
        Field("set", "Person's properties", "object", "What is known of the person.", category="pii"),
        Field("set_once", "Person's first properties", "object", "Set unless they have a value.", category="pii"),
        Field("groups", "Groups", "object", "Kind and key of the groups it happened in."),
        Field(
            "process_person_profile",
            "Make a profile",
            "boolean",
            "No: the event counts as anonymous, and costs less.",
            category="config",
        ),
        ADDRESS,
        Field("user_agent", "User agent", description="Tells browser and system.", default=USER_AGENT, maximum=2_000),
        TIME,
        Field("uuid", "Event id", description="PostHog tells repeats by it.", default=MESSAGE_ID, category="internal"),
    ),
    build=calls.build_events,
    batch=CAPTURED,
)
IDENTIFY = Action(
    key="identify",
    title="Set a person's properties",
    description="Tell what is known of a person, and which device is theirs.",
    default_trigger='type = "identify"',
    fields=(
        PERSON,
        Field("anonymous_id", "Anonymous id", description="The device.", default=ANONYMOUS_ID, category="identifier"),
        Field("set", "Properties", "object", "What is known of the person.", default=TRAITS, category="pii"),
        Field("set_once", "First properties", "object", "Set unless they have a value.", category="pii"),
        ADDRESS,
        TIME,
    ),
    build=calls.build_identities,
    batch=CAPTURED,
)
ALIAS = Action(
    key="alias",
    title="Join two ids",
    description="Let a second id be the same person.",
    default_trigger='type = "alias"',
    fields=(
        Field("distinct_id", "User id", required=True, default=USER_ID, category="identifier"),
        Field("alias", "Previous id", required=True, default={"@path": "$.previousId"}, category="identifier"),
        TIME,
    ),
    build=calls.build_aliases,
    batch=CAPTURED,
)
GROUP = Action(
    key="group",
    title="Set a group's properties",
    description="Tell what is known of a company or another group.",
    default_trigger='type = "group"',
    fields=(
        Field("group_type", "Group type", required=True, default="company", category="config", maximum=400),
        Field("group_key", "Group id", required=True, default={"@path": "$.groupId"}, category="identifier"),
        Field("group_set", "Properties", "object", "What is known of the group.", default=TRAITS),
        replace(PERSON, required=False),
        TIME,
    ),
    build=calls.build_groups,
    batch=CAPTURED,
)
SCREEN_NAME = {"$screen_name": {"@path": "$.name"}}

connector = Connector(
    slug="posthog",
    name="PostHog",
    version="1.0.0",
    category="analytics",
    status="stable",
    description="Sends events, persons and groups to PostHog.",
    docs_url="https://posthog.com/docs/api/capture",
    settings=SETTINGS,
    actions=(CAPTURE, IDENTIFY, ALIAS, GROUP),
    presets=(
        Preset("Events", "capture", 'type = "track"', CAPTURE.default_mapping),
        Preset("Page views", "capture", 'type = "page"', {**CAPTURE.default_mapping, "event": "$pageview"}),
        Preset(
            "Screen views",
            "capture",
            'type = "screen"',
            {**CAPTURE.default_mapping, "event": "$screen", "details": {**DETAILS, **SCREEN_NAME}},
        ),
        Preset("Persons", "identify", 'type = "identify"', IDENTIFY.default_mapping),
        Preset("Groups", "group", 'type = "group"', GROUP.default_mapping),
        Preset("Aliases", "alias", 'type = "alias"', ALIAS.default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=200, build=calls.build_deletion),
    interpret=calls.read_answer,
    auth=(auth.body("project_api_key"),),
    base_urls=calls.BASE_URLS,
    idempotency="field:batch.uuid",
)
