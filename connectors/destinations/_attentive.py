"""Attentive's calls: whom they are about, what they say, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors import answers
from connectors.base import BuildContext, Identifiers, Payload
from connectors.batching import refuse, unknown_person
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret
from connectors.moments import is_older

BASE_URLS = {"api": "https://api.attentivemobile.com"}
OLDEST_DAYS = 0.5
LOCALE = re.compile(r"([A-Za-z]{2})[-_]([A-Za-z]{2})")
BAD_IN_NAMES = re.compile(r"""["',{}\[\]\\|]""")
BAD_IN_EVENTS = re.compile(r"""["'(),{}\[\]\\|]""")
LONGEST_ID = 100
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome
Make = Callable[[Payload, int, BuildContext], JsonObject]


@dataclass(frozen=True, slots=True)
class Account:
    """One account of Attentive."""

    url: str
    headers: Headers
    sign_up_source: str


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
    """Take the characters out of property names that Attentive refuses, inside too."""
    named = value.items() if isinstance(value, Mapping) else ()
    return {BAD_IN_NAMES.sub("", str(key)): _cleaned_inside(inner) for key, inner in named}


def _cleaned_inside(value: object) -> object:
    if isinstance(value, Mapping):
        return cleaned(value)
    return [_cleaned_inside(one) for one in value] if isinstance(value, list) else value


def attributes(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Set custom attributes."""
    return {"user": person(payload), "properties": cleaned(payload.get("properties"))}


def event(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record a custom event; the id makes a repeat harmless."""
    body: JsonObject = {
        "type": BAD_IN_EVENTS.sub("", str(payload["name"])).strip() or "event",
        "properties": cleaned(payload.get("properties")),
        "externalEventId": payload.get("event_id") or context.delivery_ids[index],
        "user": person(payload),
    }
    return body | ({"occurredAt": payload["occurred_at"]} if payload.get("occurred_at") else {})


def commerce(payload: Payload, index: int, context: BuildContext) -> JsonObject:
    """Record a view, an addition to the cart or a purchase of items."""
    items = []
    for item in answers.members(payload.get("items")):
        currency = str(item.get("currency") or payload.get("currency") or "USD").upper()
        price = {"value": item.get("price"), "currency": currency}
        named = {
            "product_id": "productId",
            "product_variant_id": "productVariantId",
            "product_image": "productImage",
            "product_url": "productUrl",
        }
        kept = {named.get(key, key): value for key, value in item.items() if key not in ("price", "currency")}
        items.append({**kept, "price": [price]})
    body: JsonObject = {"items": items, "user": person(payload)}
    if payload.get("order_id"):
        body["orderId"] = str(payload["order_id"])
    if payload.get("sales_channel"):
        body["salesChannel"] = {"channelType": payload["sales_channel"]}
    return body | ({"occurredAt": payload["occurred_at"]} if payload.get("occurred_at") else {})


def reachable(payload: Payload) -> JsonObject:
    """Name the person by phone and e-mail alone."""
    return {key: value for key, value in person(payload).items() if key != "externalIdentifiers"}


def build_identities(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Tie a person's names together: of two at least, one of which is no phone and no e-mail."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        own, others = reachable(payload), external(payload)
        ids = [others.get("clientUserId"), *(one["value"] for one in answers.members(others.get("customIdentifiers")))]
        known = [one for one in ids if one]
        if not known or len(own) + len(known) < 2:
            message = "Tying needs another identifier, and something to tie it to: a phone, an e-mail or one more."
            built.append(refuse(index, "one_identifier", message))
        elif any(len(str(one)) > LONGEST_ID for one in [*known, own.get("email") or ""]):
            built.append(refuse(index, "identifier_too_long", "Attentive takes identifiers of up to 100 characters."))
        else:
            built.append(post(account, "/identity-resolution/user-identifiers", {**own, **others}, (index,)))
    return built


def build_subscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Subscribe people through the sign-up unit."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        source = payload.get("sign_up_source_id") or account.sign_up_source
        user, locale = reachable(payload), _locale(payload.get("locale"))
        if not user:
            built.append(refuse(index, "no_identifier", "A subscriber needs a phone or an e-mail."))
        elif not source and not locale:
            message = "Subscribing needs the id of a sign-up unit, or a locale with its country, such as en-US."
            built.append(refuse(index, "sign_up_source_missing", message))
        else:
            body: JsonObject = {"user": user, "subscriptionType": payload.get("subscription_type") or "MARKETING"}
            body |= {"signUpSourceId": source} if source else {}
            body |= {"locale": locale} if locale else {}
            others = external(payload)
            body |= {"externalIdentifiers": others} if others else {}
            built.append(post(account, "/subscriptions", body, (index,)))
    return built


def _locale(value: object) -> JsonObject:
    """Split a locale such as en-US; without a country it names no sign-up unit."""
    found = LOCALE.fullmatch(str(value or ""))
    return {"language": found[1].lower(), "country": found[2].upper()} if found else {}


def build_unsubscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Unsubscribe people from the channels chosen, or from all that their phone and e-mail are subscribed to."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        body: JsonObject = {"user": reachable(payload)}
        if not body["user"]:
            built.append(refuse(index, "no_identifier", "Attentive unsubscribes a phone or an e-mail."))
            continue
        channels = payload.get("channels")
        if isinstance(channels, list) and channels:
            kind = payload.get("subscription_type") or "MARKETING"
            body["subscriptions"] = [{"type": kind, "channel": channel} for channel in channels]
        built.append(post(account, "/subscriptions/unsubscribe", body, (index,)))
    return built


def build_deletion(people: Sequence[Identifiers], account: Account, context: BuildContext) -> list[Built]:
    """Ask for the deletion of each person by every phone and e-mail, else by the user id."""
    built: list[Built] = []
    for index, one in enumerate(people):
        subjects: list[JsonObject] = [{"subjectPhone": phone} for phone in one.phones]
        subjects += [{"subjectEmail": email.lower()} for email in one.emails]
        if not subjects and one.user_id:
            subjects = [{"clientUserId": one.user_id}]
        built += [post(account, "/privacy/delete-request", body, (index,), "delete") for body in subjects]
        if not subjects:
            built.append(unknown_person(index, "Attentive knows people by phone, e-mail and user id."))
    return built


FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The app lacks a permission.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """The common table, with Attentive's words; who is to be deleted and not there is deleted."""
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    answer = answers.parsed(response)
    said = answers.words(answers.member(answer, "message")) or answers.words(answers.member(answer, "error"))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)
