"""Iterable: people, events, orders and carts for messages across channels.

**What you need.** A server-side API key of the project (Integrations → API Keys). Projects in the European data centre
choose the region EU.

**What is sent.** Identify calls create or update a person, track calls become custom events, page and screen calls too.
"Order Completed" becomes a purchase with its items, changes of the cart an update of it. A person's address can be
changed, devices and browsers kept for push messages, and the items of a catalog kept up to date. A person is named by
e-mail, user id or both, as your project wants.

**Limits.** Up to 1,000 people or events go in one request. Iterable lists the people and events of a request that it
refuses; only these fail. Events and orders carry an id, so that a repeat is not counted twice. The type of a field is
fixed by the first value that Iterable has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from connectors import auth, fields
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Preset,
    Settings,
)
from connectors.batching import unknown_person
from connectors.destinations import _iterable as iterable
from connectors.destinations._iterable import Built, Project
from connectors.http import RequestSpec

SCHEME = auth.header("api-key")


def prepare(settings: Settings) -> Project:
    """Work out address and credentials once."""
    return Project(fields.api_url(iterable.BASE_URLS, settings), auth.headers(SCHEME, settings))


def build_deletion(people: Sequence[Identifiers], project: Project, context: BuildContext) -> list[Built]:
    """Delete each person by user id and by every address: an address may have a profile of its own."""
    built: list[Built] = []
    for index, person in enumerate(people):
        paths = [f"/users/byUserId/{quote(person.user_id, safe='')}"] if person.user_id else []
        paths += [f"/users/{quote(email, safe='')}" for email in dict.fromkeys(person.emails)]
        if not paths:
            built.append(unknown_person(index, iterable.NOBODY))
        for path in paths:
            url = f"{project.url}/api{path}"
            built.append(RequestSpec("DELETE", url, project.headers, covers=(index,), endpoint_label="delete"))
    return built


def build_test(project: Project, context: BuildContext) -> RequestSpec:
    """List the message channels, which any server-side key may."""
    return RequestSpec("GET", f"{project.url}/api/channels", project.headers, endpoint_label="test")


WHO = (
    Field("email", "E-mail", default=fields.EMAIL, category="pii"),
    Field("user_id", "User id", default=fields.USER_ID, category="identifier", maximum=52),
)


def _data(default: dict[str, str]) -> Field:
    return Field("data_fields", "Data", "object", "Moments are written as Iterable reads dates.", default=default)


EVENT = (
    *WHO,
    Field("name", "Event", required=True, default=fields.EVENT, maximum=255),
    Field("id", "Event id", description="By which a repeat is recognised; the message id unless mapped.", maximum=255),
    Field("created_at", "Time", "datetime", default=fields.TIMESTAMP),
    _data(fields.PROPERTIES),
    Field("campaign_id", "Campaign", "integer"),
    Field("template_id", "Template", "integer"),
)
ITEMS = Field(
    "items",
    "Items",
    "object",
    required=True,
    multiple=True,
    properties=(
        Field("id", "Id", required=True),
        Field("name", "Name", required=True),
        Field("price", "Price", "number", required=True),
        Field("quantity", "Quantity", "integer", required=True),
        Field("sku", "SKU"),
        Field("url", "Address"),
        Field("image_url", "Picture"),
        Field("categories", "Categories", multiple=True),
        Field("data_fields", "Data", "object"),
    ),
    additional=False,
    default={
        "@arrayPath": [
            "$.properties.products",
            {
                "id": {"@path": "$.product_id"},
                "sku": {"@path": "$.sku"},
                "name": {"@path": "$.name"},
                "price": {"@path": "$.price"},
                "quantity": {"@path": "$.quantity"},
                "url": {"@path": "$.url"},
                "image_url": {"@path": "$.image_url"},
            },
        ]
    },
)
USER_FIELDS = Field("user_fields", "Person's data", "object", "Kept with the person.")
BULK = BatchRule(max_items=iterable.MOST_ITEMS, max_bytes=4_000_000, max_wait_s=2.0)

ACTIONS = (
    Action(
        "update_user",
        "Create or update a person",
        "Keep a person's data up to date.",
        'type = "identify"',
        (
            *WHO,
            Field("phone", "Phone", default=fields.PHONE, category="pii"),
            _data(fields.TRAITS),
            Field("merge_nested", "Merge nested objects", "boolean", "Else a nested object is replaced as a whole."),
        ),
        iterable.in_bulk("/users/update", "/users/bulkUpdate", "users", iterable.user, is_unique=True),
        batch=BULK,
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a person did.",
        'type = "track" and event != "Order Completed"',
        EVENT,
        iterable.in_bulk("/events/track", "/events/trackBulk", "events", iterable.event),
        batch=BULK,
    ),
    Action(
        "track_purchase",
        "Track a purchase",
        "Record an order with its items.",
        'type = "track" and event = "Order Completed"',
        (
            *WHO,
            Field("id", "Order", default={"@path": "$.properties.order_id"}, maximum=255),
            Field("total", "Total", "number", required=True, default={"@path": "$.properties.total"}),
            Field("created_at", "Time", "datetime", default=fields.TIMESTAMP),
            ITEMS,
            Field("data_fields", "Data", "object"),
            USER_FIELDS,
        ),
        iterable.one_by_one("/commerce/trackPurchase", iterable.purchase),
    ),
    Action(
        "update_cart",
        "Update the cart",
        "Say what is in a person's cart now.",
        'type = "track" and event = "Cart Viewed"',
        (*WHO, ITEMS, USER_FIELDS),
        iterable.one_by_one("/commerce/updateCart", iterable.cart),
    ),
    Action(
        "update_email",
        "Change an address",
        "Change the e-mail by which a person is known.",
        'type = "alias"',
        (
            Field("email", "Old e-mail", default={"@path": "$.previousId"}, category="pii"),
            Field("user_id", "User id", category="identifier"),
            Field("new_email", "New e-mail", required=True, default=fields.USER_ID, format="email", category="pii"),
        ),
        iterable.one_by_one("/users/updateEmail", iterable.new_address),
    ),
    Action(
        "register_device",
        "Register a device",
        "Keep a device for push messages.",
        'type = "track" and (event = "Application Installed" or event = "Application Opened")',
        (
            *WHO,
            Field("token", "Device token", required=True, default={"@path": "$.context.device.token"}),
            Field(
                "platform",
                "Platform",
                required=True,
                choices=(("APNS", "iOS"), ("APNS_SANDBOX", "iOS, development"), ("GCM", "Android")),
            ),
            Field("application", "Push integration", required=True, description="Its name in Iterable."),
        ),
        iterable.one_by_one("/users/registerDeviceToken", iterable.device),
    ),
    Action(
        "register_browser",
        "Register a browser",
        "Keep a browser for push messages.",
        'type = "track" and event = "Push Allowed"',
        (*WHO, Field("token", "Browser token", required=True, default={"@path": "$.context.device.token"})),
        iterable.one_by_one("/users/registerBrowserToken", iterable.browser),
    ),
    Action(
        "update_catalog_item",
        "Update a catalog's item",
        "Keep the items of a catalog up to date. Fields that are not sent stay as they are.",
        'type = "track" and event = "Product Updated"',
        (
            Field("catalog", "Catalog", required=True, pattern=r"[A-Za-z0-9-]{1,255}"),
            Field(
                "item_id",
                "Item",
                description="Letters, digits and hyphens.",
                required=True,
                default={"@path": "$.properties.product_id"},
                pattern=r"[A-Za-z0-9-]{1,255}",
            ),
            Field("values", "Values", "object", default=fields.PROPERTIES),
        ),
        iterable.build_items,
        batch=BatchRule(max_items=iterable.MOST_ITEMS, max_bytes=4_000_000, keys=("catalog",)),
    ),
)
TRACK = ACTIONS[1].default_mapping

connector = Connector(
    slug="iterable",
    name="Iterable",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps people, events, orders and carts in Iterable.",
    docs_url="https://api.iterable.com/api/docs",
    settings=(
        fields.secret("api_key", "API key", "A server-side key of the project."),
        fields.region(("us", "United States"), ("eu", "European Union")),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        *(Preset(action.title, action.key, action.default_trigger, action.default_mapping) for action in ACTIONS[:4]),
        Preset(
            "Track pages and screens",
            "track_event",
            'type = "page" or type = "screen"',
            {**TRACK, "name": {"@template": "Viewed {{name}}"}},
        ),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    interpret=iterable.interpret_answer,
    auth=(SCHEME,),
    base_urls=iterable.BASE_URLS,
    idempotency="field:id",
)
