"""What Google Analytics 4 calls things and allows: names of events, parameters, items and properties of users."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.batching import JsonObject

LONGEST_NAME, LONGEST_VALUE, MOST_PARAMETERS = 40, 100, 25
LONGEST_USER_NAME, LONGEST_USER_VALUE, MOST_USER_PROPERTIES = 24, 36, 25
MOST_ITEMS, MOST_ITEM_PARAMETERS = 200, 27
LONGER_VALUES = {"page_title": 300, "page_referrer": 420, "page_location": 1_000}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
UNNAMEABLE = re.compile(r"[^A-Za-z0-9_]+")
RESERVED_PREFIXES = ("ga_", "google_", "firebase_", "gtag.", "_")

# Track calls that have a name of their own here, in lower case.
STANDARD = {
    "products searched": "search",
    "product list viewed": "view_item_list",
    "promotion viewed": "view_promotion",
    "promotion clicked": "select_promotion",
    "product clicked": "select_item",
    "product viewed": "view_item",
    "product added": "add_to_cart",
    "product removed": "remove_from_cart",
    "cart viewed": "view_cart",
    "checkout started": "begin_checkout",
    "payment info entered": "add_payment_info",
    "checkout step completed": "add_shipping_info",
    "order completed": "purchase",
    "order refunded": "refund",
    "product added to wishlist": "add_to_wishlist",
    "product shared": "share",
    "cart shared": "share",
    "signed up": "sign_up",
    "signed in": "login",
}
# Events about money and items; those about one product have it in their own properties.
ONE_PRODUCT = frozenset(("select_item", "view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"))
COMMERCE = ONE_PRODUCT | {
    *("view_item_list", "view_cart", "begin_checkout", "add_payment_info", "add_shipping_info", "purchase", "refund"),
    *("view_promotion", "select_promotion"),
}
NEEDS_ITEMS = COMMERCE - {"refund", "view_promotion", "select_promotion"}
RENAMED = {
    "order_id": "transaction_id",
    "query": "search_term",
    "list_id": "item_list_id",
    "list_name": "item_list_name",
    "name": "promotion_name",
    "creative": "creative_name",
    "position": "creative_slot",
    "payment_method": "payment_type",
    "shipping_method": "shipping_tier",
    "share_via": "method",
}
# Renamed only where the property means this: a promotion's name, not a product's.
OF_PROMOTION = frozenset(("name", "position", "creative"))
# What stands in the event as value, currency and items, not as properties of a product or an order.
CONSUMED = frozenset(("products", "value", "revenue", "total", "currency", "price", "quantity", "product_id", "sku"))
OF_PRODUCT = frozenset(("name", "brand", "category", "variant", "position", "image_url", "url"))

RESERVED_EVENTS = frozenset(
    (
        *("ad_activeview", "ad_click", "ad_exposure", "ad_query", "ad_reward", "adunit_exposure", "app_background"),
        *("app_clear_data", "app_exception", "app_remove", "app_store_refund", "app_store_subscription_cancel"),
        *("app_store_subscription_convert", "app_store_subscription_renew", "app_update", "app_upgrade"),
        *("dynamic_link_app_open", "dynamic_link_app_update", "dynamic_link_first_open", "error", "first_open"),
        *("firebase_campaign", "first_visit", "in_app_purchase", "notification_dismiss", "notification_foreground"),
        *("notification_open", "notification_receive", "notification_send", "os_update", "session_start"),
        *("session_start_with_rollout", "user_engagement"),
    )
)
RESERVED_USER_PROPERTIES = frozenset(
    ("first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install")
)
# Traits that say who somebody is, which Google's terms forbid to send in clear.
PERSONAL = frozenset(
    (
        *("email", "phone", "name", "firstName", "lastName", "first_name", "last_name", "username", "avatar"),
        *("birthday", "address", "street", "postalCode", "postal_code", "zip"),
    )
)
ISO_4217 = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR "
    "LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)
CURRENCIES = frozenset(ISO_4217.split())


def name_of(event: str) -> str:
    """Give the event's name here: the standard one, else the own one with underscores for what is not allowed."""
    standard = STANDARD.get(event.strip().lower())
    return standard or UNNAMEABLE.sub("_", event.strip()).strip("_")


def problem_of_name(name: str) -> tuple[str, str] | None:
    """Tell why a name cannot be sent: a code and a sentence."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return (
            "bad_event_name",
            f"A name begins with a letter and has at most {LONGEST_NAME} letters, digits and underscores.",
        )
    if name in RESERVED_EVENTS or name.startswith(RESERVED_PREFIXES):
        return "reserved_event_name", "Google keeps this name for events of its own."
    return None


def parameters_of(name: str, properties: Mapping[str, object]) -> JsonObject:
    """Give the properties as parameters: plain values under allowed names; the rest has no place."""
    is_commerce, is_promotion = name in COMMERCE, name.endswith("_promotion")
    hidden: frozenset[str] = CONSUMED if is_commerce else frozenset()
    if name in ONE_PRODUCT:
        hidden |= OF_PRODUCT
    named: JsonObject = {}
    for key, value in properties.items():
        if key in hidden or (key in OF_PROMOTION and is_commerce and not is_promotion):
            continue
        is_renamed = is_promotion if key in OF_PROMOTION else is_commerce or name in ("search", "share")
        _add(named, RENAMED.get(key, key) if is_renamed else key, value)
    return named


def _add(named: JsonObject, key: str, value: object) -> None:
    """Add a value that is plain, under a name that is allowed, cut to the length that is kept."""
    name = UNNAMEABLE.sub("_", key)[:LONGEST_NAME]
    if not NAME.fullmatch(name) or name.startswith(RESERVED_PREFIXES) or value is None or value == "":
        return
    if isinstance(value, bool):
        named[name] = "true" if value else "false"
    elif isinstance(value, int | float):
        named[name] = value
    elif isinstance(value, str):
        named[name] = value[: LONGER_VALUES.get(name, LONGEST_VALUE)]


def items_of(items: object) -> list[JsonObject]:
    """Give the items that have an id or a name; Google knows no others."""
    found: list[JsonObject] = []
    for item in items if isinstance(items, list) else ():
        plain: JsonObject = {}
        for key, value in (item if isinstance(item, Mapping) else {}).items():
            _add(plain, key, value)
        if plain.get("item_id") or plain.get("item_name"):
            found.append(dict(list(plain.items())[:MOST_ITEM_PARAMETERS]))
    return found[:MOST_ITEMS]


def worth_of(items: list[JsonObject]) -> float | None:
    """Add up prices and quantities; nothing where no item has a price."""
    prices = [(item.get("price"), item.get("quantity", 1)) for item in items]
    worth = [price * count for price, count in prices if _is_number(price) and _is_number(count)]  # type: ignore[operator]
    return round(sum(worth), 6) if worth else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def user_properties_of(traits: Mapping[str, object]) -> JsonObject:
    """Give traits as properties of the user: plain values under allowed names."""
    named: JsonObject = {}
    for key, value in traits.items():
        name = UNNAMEABLE.sub("_", key)
        if len(name) > LONGEST_USER_NAME or name in RESERVED_USER_PROPERTIES or key in PERSONAL:
            continue
        _add(named, name, value[:LONGEST_USER_VALUE] if isinstance(value, str) else value)
    return {name: {"value": value} for name, value in list(named.items())[:MOST_USER_PROPERTIES]}
