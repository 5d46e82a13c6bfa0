"""Google Ads: tells Google which clicks became customers, and keeps customer lists for ads.

**What you need.** A developer token of your manager account, the id of the ad account, and a client id and secret of a
Google Cloud project with the Google Ads API; somebody who may manage the ad account signs in. For conversions also the
number of a conversion action (Goals → Conversions), for lists the number of a customer list.

**What is sent.** Click conversions carry the click id (gclid, gbraid or wbraid), or with enhanced conversions for leads
the person's e-mail and phone. Enhancements add e-mail, phone and address to an order that the tag has told; adjustments
restate or retract an order. Call conversions name the caller and the time of the call. People are put on a customer
list, or taken off it, by e-mail, phone and address. Personal data leaves as SHA-256 digests; country and postcode go as
they are, as Google wants them.

**Limits.** Up to 2,000 conversions go in one call; Google names those that it refuses, and only these fail. A
conversion that Google knows already counts as delivered. People in the European Economic Area need their consent, which
can be mapped. Lists are changed by a job of Google's, which takes some hours. Since 2026 Google lets new developer
tokens upload conversions and lists by its Data Manager API alone; then it answers 403 here, and the destination stops.
"""

from __future__ import annotations

from connectors import auth, fields, hashing
from connectors.auth import OAuth2
from connectors.base import Action, BatchRule, BuildContext, Connector, Field, Preset, ResolveStep, Settings
from connectors.destinations import _ads as ads
from connectors.destinations import _google_ads as google
from connectors.destinations._google_ads import Customer
from connectors.http import RequestSpec

GRANT = OAuth2(
    token_url="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    revoke_url="https://oauth2.googleapis.com/revoke",
    scopes=("https://www.googleapis.com/auth/adwords",),
    authorize_parameters={"access_type": "offline", "prompt": "consent"},
)
SCHEME = auth.oauth2_code(GRANT)


def prepare(settings: Settings) -> Customer:
    """Work out address and headers once."""
    number = str(settings["customer_id"]).replace("-", "")
    headers = [("developer-token", str(settings["developer_token"]))]
    if settings.get("login_customer_id"):
        headers.append(("login-customer-id", str(settings["login_customer_id"]).replace("-", "")))
    url = f"{fields.api_url(google.BASE_URLS, settings)}/{google.VERSION}/customers/{number}"
    return Customer(url, number, tuple(headers), str(settings.get("conversion_action") or ""))


def build_test(customer: Customer, context: BuildContext) -> RequestSpec:
    """Read the account's number."""
    body = {"query": "SELECT customer.id FROM customer LIMIT 1"}
    url = f"{customer.url}/googleAds:search"
    return RequestSpec("POST", url, customer.headers, body, "json", endpoint_label="test")


PEOPLE = (
    ads.hashed("email", "E-mail", hashing.google_email, fields.EMAIL),
    ads.hashed("phone", "Phone", hashing.phone_e164, fields.PHONE, description="With its country."),
    ads.hashed("first_name", "First name", hashing.spaced, ads.NAME_TRAITS["first_name"]),
    ads.hashed("last_name", "Last name", hashing.name, ads.NAME_TRAITS["last_name"]),
    ads.hashed("street", "Street", hashing.spaced, fields.of_person("address.street")),
    Field("city", "City", default=ads.NAME_TRAITS["city"], category="pii"),
    Field("state", "State", default=ads.NAME_TRAITS["state"], category="pii"),
    Field("country", "Country", description="Name or code.", default=ads.NAME_TRAITS["country"], category="pii"),
    Field("postal_code", "Postcode", default=ads.NAME_TRAITS["postal_code"], category="pii"),
)
CONSENT = tuple(
    Field(key, label, choices=(("GRANTED", "Given"), ("DENIED", "Refused"), ("UNSPECIFIED", "Unknown")))
    for key, label in (("ad_user_data", "Consent to sending data"), ("ad_personalization", "Consent to personal ads"))
)
ACTION = Field(
    "conversion_action", "Conversion action", description="Instead of the destination's own.", pattern=r"\d{3,20}"
)
TIME = Field("happened_at", "Time", "datetime", required=True, default=fields.TIMESTAMP)
ORDER = Field("order_id", "Order", default=ads.ORDER_ID, maximum=64)
MONEY = (Field("value", "Value", "number", default=ads.VALUE), Field("currency", "Currency", default=ads.CURRENCY))
ITEM = (Field("product_id", "Product"), Field("quantity", "Quantity", "integer"), Field("price", "Price", "number"))
CART = {"product_id": ("product_id", "sku"), "quantity": "quantity", "price": "price"}
BATCH = BatchRule(max_items=google.MOST_CONVERSIONS, max_bytes=8_000_000)
LIST_BATCH = BatchRule(
    max_items=google.MOST_MEMBERS, max_bytes=8_000_000, max_wait_s=10.0, keys=("list_id", "operation", *google.CONSENT)
)
ACTIONS = (
    Action(
        "click_conversion",
        "Upload a click conversion",
        "Tell Google that a click has become a customer.",
        'type = "track" and event = "Order Completed"',
        (
            ACTION,
            TIME,
            ads.plain("gclid", "Click id (gclid)", {"@path": "$.properties.gclid"}),
            ads.plain("gbraid", "App click id (gbraid)", {"@path": "$.properties.gbraid"}),
            ads.plain("wbraid", "Web click id (wbraid)", {"@path": "$.properties.wbraid"}),
            ORDER,
            *MONEY,
            *PEOPLE[:2],
            Field("environment", "Where it happened", choices=(("WEB", "Website"), ("APP", "App"))),
            Field("ip", "IP address", category="pii"),
            Field("merchant_id", "Merchant Center id", pattern=r"\d{1,20}"),
            Field("feed_country", "Feed's country", maximum=2),
            Field("feed_language", "Feed's language", maximum=5),
            Field(
                "items", "Items", "object", multiple=True, properties=ITEM, additional=False, default=ads.products(CART)
            ),
            Field("custom_variables", "Custom variables", "object", "Values by the numbers of the variables."),
            *CONSENT,
        ),
        google.build_clicks,
        batch=BATCH,
    ),
    Action(
        "enhance_conversion",
        "Enhance a conversion",
        "Add the person to an order that the tag has told.",
        'type = "track" and event = "Order Completed"',
        (
            ACTION,
            Field("order_id", "Order", required=True, default=ads.ORDER_ID, maximum=64),
            TIME,
            *PEOPLE,
            ads.plain("user_agent", "User agent", fields.USER_AGENT),
        ),
        google.build_enhancements,
        batch=BATCH,
    ),
    Action(
        "adjust_conversion",
        "Adjust a conversion",
        "Restate the value of an order, or take it back.",
        'type = "track" and event = "Order Refunded"',
        (
            ACTION,
            Field(
                "adjustment",
                "What to do",
                required=True,
                default="RETRACTION",
                choices=(("RETRACTION", "Take back"), ("RESTATEMENT", "Restate")),
            ),
            ORDER,
            ads.plain("gclid", "Click id (gclid)", {"@path": "$.properties.gclid"}),
            Field("converted_at", "Time of the conversion", "datetime"),
            TIME,
            *MONEY,
        ),
        google.build_adjustments,
        batch=BATCH,
    ),
    Action(
        "call_conversion",
        "Upload a call conversion",
        "Tell Google that a call has become a customer.",
        'type = "track" and event = "Call Converted"',
        (
            ACTION,
            TIME,
            Field("caller", "Caller", required=True, default=fields.PHONE, format="e164", category="pii"),
            Field(
                "called_at", "Time of the call", "datetime", required=True, default={"@path": "$.properties.called_at"}
            ),
            *MONEY,
            *CONSENT,
        ),
        google.build_calls,
        batch=BATCH,
    ),
    Action(
        "change_list",
        "Change a customer list",
        "Put people on a customer list, or take them off.",
        'type = "identify"',
        (
            Field("list_id", "Customer list", description="Its number.", required=True, pattern=r"\d{3,20}"),
            Field("operation", "What to do", default="create", choices=(("create", "Put on"), ("remove", "Take off"))),
            *PEOPLE,
            *CONSENT,
        ),
        google.build_list,
        batch=LIST_BATCH,
        resolve=(
            ResolveStep("job", google.create_job, google.read_job_name, per="batch"),
            ResolveStep("added", google.add_members, google.read_members, per="batch"),
        ),
    ),
)

connector = Connector(
    slug="google_ads",
    name="Google Ads",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells Google Ads of conversions and keeps customer lists.",
    docs_url="https://developers.google.com/google-ads/api/docs/conversions/overview",
    settings=(
        Field("customer_id", "Ad account", required=True, pattern=r"\d{3}-?\d{3}-?\d{4}"),
        Field(
            "login_customer_id",
            "Manager account",
            description="Where you sign in through one.",
            pattern=r"\d{3}-?\d{3}-?\d{4}",
        ),
        Field(
            "conversion_action",
            "Conversion action",
            description="Its number; a mapping may name another.",
            pattern=r"\d{3,20}",
        ),
        fields.secret("developer_token", "Developer token"),
        Field("client_id", "Client id", required=True, maximum=300),
        fields.secret("client_secret", "Client secret"),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(Preset("Orders", "click_conversion", ACTIONS[0].default_trigger, ACTIONS[0].default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=google.interpret_answer,
    auth=(SCHEME,),
    base_urls=google.BASE_URLS,
)
