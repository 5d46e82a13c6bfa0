"""Attentive: subscribers and what they do, for SMS and e-mail marketing.

**What you need.** The API key of a private app (Marketplace → Create app) with the permissions of what you map. To
subscribe people also the id of a sign-up unit (Sign-up Units → ID); without one, Attentive looks for the one unit that
fits the person's locale and the kind of subscription.

**What is sent.** Identify calls set custom attributes, or tie a person's other names to their phone or e-mail. Track
calls become custom events; "Product Viewed", "Product Added" and "Order Completed" become Attentive's own commerce
events. People can be subscribed and unsubscribed. A person is named by phone with its country, e-mail, or an external
identifier.

**Limits.** Attentive takes about a hundred requests a second for each kind. An event that is more than twelve hours old
starts no journey there, so the hub does not send it. Names of events with quotes, commas, brackets of any kind,
backslashes or bars are refused there, and names of properties with most of these; the hub takes these characters out.
To be unsubscribed a person must be named by phone (for SMS) or e-mail; to be tied, by two identifiers. Deletion takes
Attentive up to thirty days.
"""

from __future__ import annotations

from connectors import auth, fields
from connectors.base import (
    Action,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Preset,
    RateLimit,
    Settings,
)
from connectors.destinations import _attentive as attentive
from connectors.destinations._attentive import Account
from connectors.http import RequestSpec

SCHEME = auth.bearer("api_key")


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    base = fields.api_url(attentive.BASE_URLS, settings)
    return Account(f"{base}/v1", auth.headers(SCHEME, settings), str(settings.get("sign_up_source_id") or ""))


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Ask who the key belongs to."""
    return RequestSpec("GET", f"{account.url}/me", account.headers, endpoint_label="test")


WHO = (
    Field("phone", "Phone", description="With its country.", default=fields.PHONE, format="e164", category="pii"),
    Field("email", "E-mail", default=fields.EMAIL, format="email", category="pii"),
    Field("client_user_id", "User id", default=fields.USER_ID, category="identifier"),
    Field("custom_identifiers", "Other identifiers", "object", "Values by the names of Attentive's identifiers."),
)
OCCURRED = Field("occurred_at", "Time", "datetime", default=fields.TIMESTAMP)
ITEM = (
    Field("product_id", "Product", required=True),
    Field("product_variant_id", "Variant", required=True),
    Field("name", "Name"),
    Field("product_image", "Picture"),
    Field("product_url", "Address"),
    Field("quantity", "Quantity", "integer"),
    Field("price", "Price", "number", required=True),
    Field("currency", "Currency", pattern="[A-Za-z]{3}"),
)


def _item(root: str) -> dict[str, object]:
    def at(key: str) -> dict[str, str]:
        return {"@path": f"{root}{key}"}

    return {
        "product_id": at("product_id"),
        "product_variant_id": {"@if": {"exists": at("variant"), "then": at("variant"), "else": at("product_id")}},
        "name": at("name"),
        "product_image": at("image_url"),
        "product_url": at("url"),
        "quantity": at("quantity"),
        "price": at("price"),
    }


def _commerce(
    key: str, title: str, description: str, name: str, path: str, items: object, own: tuple[Field, ...] = ()
) -> Action:
    listed = Field(
        "items", "Items", "object", required=True, multiple=True, properties=ITEM, additional=False, default=items
    )
    currency = Field("currency", "Currency", default={"@path": "$.properties.currency"}, pattern="[A-Za-z]{3}")
    trigger = f'type = "track" and event = "{name}"'
    return Action(
        key,
        title,
        description,
        trigger,
        (*WHO, listed, currency, OCCURRED, *own),
        attentive.calls(path, attentive.commerce, ages=True),
    )


CHANNELS = (
    ("WEB", "Website"),
    ("IOS_APP", "iOS app"),
    ("ANDROID_APP", "Android app"),
    ("IN_STORE", "In a shop"),
    ("PHONE", "By phone"),
    ("OTHER", "Other"),
)
ONE, MANY = [_item("$.properties.")], {"@arrayPath": ["$.properties.products", _item("$.")]}
ACTIONS = (
    Action(
        "set_attributes",
        "Set attributes",
        "Keep a person's custom attributes up to date.",
        'type = "identify"',
        (*WHO, Field("properties", "Attributes", "object", default=fields.TRAITS)),
        attentive.calls("/attributes/custom", attentive.attributes),
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a person did.",
        'type = "track"',
        (
            *WHO,
            Field("name", "Event", required=True, default=fields.EVENT),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
            Field("event_id", "Event id", description="By which a repeat is recognised."),
            OCCURRED,
        ),
        attentive.calls("/events/custom", attentive.event, ages=True),
    ),
    _commerce(
        "product_view",
        "Track a product view",
        "Record the view of a product.",
        "Product Viewed",
        "/events/ecommerce/product-view",
        ONE,
    ),
    _commerce(
        "add_to_cart",
        "Track an addition to the cart",
        "Record what was put into the cart.",
        "Product Added",
        "/events/ecommerce/add-to-cart",
        ONE,
    ),
    _commerce(
        "purchase",
        "Track a purchase",
        "Record an order with its items.",
        "Order Completed",
        "/events/ecommerce/purchase",
        MANY,
        (
            Field("order_id", "Order", default={"@path": "$.properties.order_id"}, category="identifier"),
            Field("sales_channel", "Where it was sold", choices=CHANNELS),
        ),
    ),
    Action(
        "subscribe",
        "Subscribe",
        "Subscribe a person through a sign-up unit.",
        'type = "track" and event = "Subscribed"',
        (
            *WHO,
            Field("sign_up_source_id", "Sign-up unit", description="Instead of the destination's own."),
            Field(
                "subscription_type",
                "Kind",
                default="MARKETING",
                choices=(("MARKETING", "Marketing"), ("TRANSACTIONAL", "Transactional")),
            ),
            Field("locale", "Locale", default={"@path": "$.context.locale"}, placeholder="en-US"),
        ),
        attentive.build_subscriptions,
    ),
    Action(
        "unsubscribe",
        "Unsubscribe",
        "Unsubscribe a person.",
        'type = "track" and event = "Unsubscribed"',
        (
            *WHO,
            Field("channels", "Channels", multiple=True, choices=(("TEXT", "SMS"), ("EMAIL", "E-mail"))),
            Field(
                "subscription_type",
                "Kind",
                choices=(
                    ("MARKETING", "Marketing"),
                    ("TRANSACTIONAL", "Transactional"),
                    ("CHECKOUT_ABANDONED", "Checkout abandoned"),
                ),
            ),
        ),
        attentive.build_unsubscriptions,
    ),
    Action(
        "identify",
        "Tie identifiers",
        "Tie a person's other names to their phone or e-mail.",
        'type = "identify"',
        WHO,
        attentive.build_identities,
    ),
)

connector = Connector(
    slug="attentive",
    name="Attentive",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps subscribers, attributes and commerce events in Attentive.",
    docs_url="https://docs.attentive.com/openapi/reference/overview/",
    settings=(
        fields.secret("api_key", "API key", "Of a private app."),
        Field("sign_up_source_id", "Sign-up unit", description="For subscribing people.", maximum=50),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=tuple(
        Preset(action.title, action.key, action.default_trigger, action.default_mapping) for action in ACTIONS[:5]
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=50, build=attentive.build_deletion),
    interpret=attentive.interpret_answer,
    auth=(SCHEME,),
    base_urls=attentive.BASE_URLS,
    idempotency="field:externalEventId",
    rate_limits=(RateLimit("credential", "requests", 100),),
)
