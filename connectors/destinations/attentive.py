"""Attentive: subscribers and what they do, for SMS and e-mail marketing.

**What you need.** The API key of a private app (Marketplace → Create app) with the permissions of what you map. To
subscribe people also the id of a sign-up unit, which Attentive's support tells.

**What is sent.** Identify calls set custom attributes, or tie a person's other names to their phone or e-mail. Track
calls become custom events; "Product Viewed", "Product Added" and "Order Completed" become Attentive's own commerce
events. People can be subscribed and unsubscribed. A person is named by phone with its country, e-mail, or an external
identifier.

**Limits.** Attentive takes about a hundred requests a second for each kind, and no event that is more than twelve hours
old. Property names with quotes, commas, braces or brackets are refused there; the hub takes these characters out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields
from connectors.base import (
    Action,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Payload,
    Preset,
    RateLimit,
    Settings,
)
from connectors.batching import refuse, unknown_person
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import is_older

BASE_URLS = {"api": "https://api.attentivemobile.com"}
SCHEME = auth.bearer("api_key")
OLDEST_DAYS = 0.5
BAD_IN_NAMES = re.compile(r"""["',{}\[\]]""")
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome
Make = Callable[[Payload, int, BuildContext], JsonObject]


@dataclass(frozen=True, slots=True)
class Account:
    """One account of Attentive."""

    url: str
    headers: Headers
    sign_up_source: str


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    base = fields.api_url(BASE_URLS, settings)
    return Account(f"{base}/v1", auth.headers(SCHEME, settings), str(settings.get("sign_up_source_id") or ""))


def person(payload: Payload) -> JsonObject:
    """Name the person by phone and e-mail, and by other names where there are some."""
    email = str(payload.get("email") or "").lower()
    user: JsonObject = {key: value for key, value in (("phone", payload.get("phone")), ("email", email)) if value}
    others = external(payload)
    return {**user, "externalIdentifiers": others} if others else user


def external(payload: Payload) -> JsonObject:
    """Give the other names of a person."""
    names: JsonObject = {}
    if payload.get("client_user_id"):
        names["clientUserId"] = payload["client_user_id"]
    own = payload.get("custom_identifiers")
    if isinstance(own, Mapping) and own:
        names["customIdentifiers"] = [{"name": str(name), "value": str(value)} for name, value in own.items()]
    return names


def calls(path: str, make: Make, *, ages: bool = False) -> Callable[..., list[Built]]:
    """Build one call for each payload; events that are too old for Attentive are refused."""

    def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
        built: list[Built] = []
        for index, payload in enumerate(payloads):
            if not person(payload):
                built.append(refuse(index, "no_identifier", "A person needs a phone, an e-mail or another identifier."))
            elif ages and is_older(payload.get("occurred_at"), context.now, OLDEST_DAYS):
                built.append(refuse(index, "too_old", "Attentive takes no event that is more than twelve hours old."))
            else:
                built.append(post(account, path, make(payload, index, context), (index,)))
        return built

    return build


def post(account: Account, path: str, body: JsonObject, covers: tuple[int, ...], label: str = "") -> RequestSpec:
    """Make a request of Attentive's one form."""
    return RequestSpec(
        "POST", account.url + path, account.headers, body, "json", covers, endpoint_label=label or path.strip("/")
    )


def cleaned(value: object) -> JsonObject:
    """Take the characters out of property names that Attentive refuses."""
    return {BAD_IN_NAMES.sub("", str(key)): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}


def attributes(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Set custom attributes."""
    return {"user": person(payload), "properties": cleaned(payload.get("properties"))}


def event(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record a custom event; the id makes a repeat harmless."""
    body: JsonObject = {
        "type": payload["name"],
        "properties": cleaned(payload.get("properties")),
        "externalEventId": payload.get("event_id") or context.delivery_ids[index],
        "user": person(payload),
    }
    return body | ({"occurredAt": payload["occurred_at"]} if payload.get("occurred_at") else {})


def commerce(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record a view, an addition to the cart or a purchase of items."""
    items = []
    for item in answers.members(payload.get("items")):
        price = {"value": item.get("price"), "currency": item.get("currency") or payload.get("currency") or "USD"}
        named = {
            "product_id": "productId",
            "product_variant_id": "productVariantId",
            "product_image": "productImage",
            "product_url": "productUrl",
        }
        kept = {named.get(key, key): value for key, value in item.items() if key not in ("price", "currency")}
        items.append({**kept, "price": [price]})
    body: JsonObject = {"items": items, "user": person(payload)}
    return body | ({"occurredAt": payload["occurred_at"]} if payload.get("occurred_at") else {})


def identity(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Tie a person's other names together."""
    user = {key: value for key, value in person(payload).items() if key != "externalIdentifiers"}
    return {**user, **external(payload)}


def build_subscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Subscribe people through the sign-up unit."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        source = payload.get("sign_up_source_id") or account.sign_up_source
        user = {key: value for key, value in person(payload).items() if key != "externalIdentifiers"}
        if not user:
            built.append(refuse(index, "no_identifier", "A subscriber needs a phone or an e-mail."))
        elif not source:
            built.append(refuse(index, "sign_up_source_missing", "Subscribing needs the id of a sign-up unit."))
        else:
            body: JsonObject = {
                "user": user,
                "signUpSourceId": source,
                "subscriptionType": payload.get("subscription_type") or "MARKETING",
            }
            if payload.get("locale"):
                language, _, country = str(payload["locale"]).replace("_", "-").partition("-")
                body["locale"] = {"language": language, "country": country or "US"}
            others = external(payload)
            body |= {"externalIdentifiers": others} if others else {}
            built.append(post(account, "/subscriptions", body, (index,)))
    return built


def unsubscription(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Unsubscribe a person from the channels chosen, or from all."""
    channels = payload.get("channels")
    body: JsonObject = {"user": person(payload)}
    if isinstance(channels, list) and channels:
        kind = payload.get("subscription_type") or "MARKETING"
        body["subscriptions"] = [{"type": kind, "channel": channel} for channel in channels]
    return body


def build_deletion(people: Sequence[Identifiers], account: Account, context: BuildContext) -> list[Built]:
    """Ask for the deletion of each person by phone or e-mail."""
    built: list[Built] = []
    for index, one in enumerate(people):
        user: JsonObject = {"phone": one.phones[0]} if one.phones else {"email": one.emails[0]} if one.emails else {}
        if user:
            body: JsonObject = {"requestType": "DELETE", "user": user}
            built.append(post(account, "/privacy/delete-request", body, (index,), "delete"))
        else:
            message = "Attentive knows people by phone and e-mail."
            built.append(unknown_person(index, message))
    return built


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Ask who the key belongs to."""
    return RequestSpec("GET", f"{account.url}/me", account.headers, endpoint_label="test")


FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The app lacks a permission.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """The common table, with Attentive's words; who is to be deleted and not there is deleted."""
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    said = answers.words(answers.member(answers.parsed(response), "message"))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


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


def _commerce(key: str, title: str, description: str, name: str, path: str, items: object) -> Action:
    listed = Field(
        "items", "Items", "object", required=True, multiple=True, properties=ITEM, additional=False, default=items
    )
    currency = Field("currency", "Currency", default={"@path": "$.properties.currency"}, pattern="[A-Za-z]{3}")
    trigger = f'type = "track" and event = "{name}"'
    return Action(
        key, title, description, trigger, (*WHO, listed, currency, OCCURRED), calls(path, commerce, ages=True)
    )


ONE, MANY = [_item("$.properties.")], {"@arrayPath": ["$.properties.products", _item("$.")]}
ACTIONS = (
    Action(
        "set_attributes",
        "Set attributes",
        "Keep a person's custom attributes up to date.",
        'type = "identify"',
        (*WHO, Field("properties", "Attributes", "object", default=fields.TRAITS)),
        calls("/attributes/custom", attributes),
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
        calls("/events/custom", event, ages=True),
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
        build_subscriptions,
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
                "subscription_type", "Kind", choices=(("MARKETING", "Marketing"), ("TRANSACTIONAL", "Transactional"))
            ),
        ),
        calls("/subscriptions/unsubscribe", unsubscription),
    ),
    Action(
        "identify",
        "Tie identifiers",
        "Tie a person's other names to their phone or e-mail.",
        'type = "identify"',
        WHO,
        calls("/identity-resolution/user-identifiers", identity),
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
    delete=Deletion(max_people=50, build=build_deletion),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    idempotency="field:externalEventId",
    rate_limits=(RateLimit("credential", "requests", 100),),
)
