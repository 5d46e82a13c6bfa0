"""What Braze's endpoints take: who a person is, and the requests that calls come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors.base import BuildContext, Payload
from connectors.batching import refuse
from connectors.destinations._braze_fields import PROFILE
from connectors.http import Headers, ItemOutcome, RequestSpec

BASE_URLS = {
    **{f"iad-{number:02}": f"https://rest.iad-{number:02}.braze.com" for number in range(1, 9)},
    "us-09": "https://rest.us-09.braze.com",
    "us-10": "https://rest.us-10.braze.com",
    "fra-01": "https://rest.fra-01.braze.eu",
    "fra-02": "https://rest.fra-02.braze.eu",
    "au-01": "https://rest.au-01.braze.com",
    "id-01": "https://rest.id-01.braze.com",
    "jp-01": "https://rest.jp-01.braze.com",
}
MOST_ENTRIES, MOST_ALIASES = 75, 50
TIMEOUT_S = 30.0
IDENTIFIERS = ("external_id", "braze_id", "user_alias", "email", "phone")
GENDERS = {"male": "M", "female": "F", "other": "O", "not applicable": "N", "prefer not to say": "P"}

JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Account:
    """One workspace of Braze."""

    url: str
    headers: Headers
    app_id: str


def post(
    account: Account,
    path: str,
    body: JsonObject,
    covers: tuple[int, ...],
    owners: tuple[int, ...] = (),
    method: str = "POST",
) -> RequestSpec:
    """Make a request of Braze's one form."""
    headers = (*account.headers, ("x-braze-batch", "true")) if path == "/users/track" else account.headers
    label = path.strip("/") if not path.startswith("/catalogs/") else "catalogs/items"
    return RequestSpec(
        method, account.url + path, headers, body, "json", covers, TIMEOUT_S, endpoint_label=label, owners=owners
    )


def identifiers(payload: Payload) -> JsonObject:
    """Say who it is by the first thing that is known, as Braze takes only one."""
    return next(({key: payload[key]} for key in IDENTIFIERS if payload.get(key)), {})


def nobody(index: int) -> ItemOutcome:
    """Refuse what is about nobody."""
    message = "A person needs an external id, Braze id, alias, e-mail or phone number."
    return refuse(index, "no_identifier", message)


def _entries(
    payloads: Sequence[Payload], account: Account, array: str, make: Callable[[Payload, Account], list[JsonObject]]
) -> list[Built]:
    """Fill requests with up to 75 entries; a payload's entries stay together."""
    built: list[Built] = []
    entries: list[JsonObject] = []
    covers: list[int] = []
    owners: list[int] = []

    def close() -> None:
        if entries:
            are_alike = owners == list(range(len(covers)))
            built.append(
                post(account, "/users/track", {array: [*entries]}, tuple(covers), () if are_alike else tuple(owners))
            )
            entries.clear()
            covers.clear()
            owners.clear()

    for index, payload in enumerate(payloads):
        if not identifiers(payload):
            built.append(nobody(index))
            continue
        made = make(payload, account)
        if not 0 < len(made) <= MOST_ENTRIES:
            message = f"An order has between one and {MOST_ENTRIES} products."
            built.append(refuse(index, "products_out_of_range", message))
            continue
        if len(entries) + len(made) > MOST_ENTRIES:
            close()
        owners += [len(covers)] * len(made)
        covers.append(index)
        entries += made
    close()
    return built


def build_attributes(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Update profiles."""
    return _entries(payloads, account, "attributes", _attributes)


def _attributes(payload: Payload, account: Account) -> list[JsonObject]:
    own = payload.get("custom_attributes")
    taken = {field.key for field in PROFILE} | {*IDENTIFIERS, "app_id", "time"}
    custom = {str(key): value for key, value in own.items() if key not in taken} if isinstance(own, Mapping) else {}
    standard = {
        key: value
        for key, value in payload.items()
        if key not in (*IDENTIFIERS, "custom_attributes", "gender", "update_existing_only", "merge_objects")
    }
    contact = {key: payload[key] for key in ("email", "phone") if key in payload}
    entry: JsonObject = {**custom, **standard, **contact, **identifiers(payload)}
    if payload.get("gender"):
        gender = str(payload["gender"]).strip()
        entry["gender"] = GENDERS.get(gender.lower(), gender[:1].upper())
    if payload.get("update_existing_only"):
        entry["_update_existing_only"] = True
    if payload.get("merge_objects"):
        entry["_merge_objects"] = True
    return [entry]


def build_events(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record events."""
    return _entries(payloads, account, "events", _event)


def _event(payload: Payload, account: Account) -> list[JsonObject]:
    entry: JsonObject = {**identifiers(payload), "name": payload["name"], "time": payload["time"]}
    if account.app_id:
        entry["app_id"] = account.app_id
    if payload.get("properties"):
        entry["properties"] = payload["properties"]
    if payload.get("update_existing_only"):
        entry["_update_existing_only"] = True
    return [entry]


def build_purchases(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Record one purchase for each product."""
    return _entries(payloads, account, "purchases", _purchases)


def _purchases(payload: Payload, account: Account) -> list[JsonObject]:
    products = payload.get("products")
    common: JsonObject = {"time": payload["time"]} | ({"app_id": account.app_id} if account.app_id else {})
    entries = []
    for product in products if isinstance(products, list) else []:
        known = {key: product[key] for key in ("product_id", "price", "quantity") if key in product}
        others = {key: value for key, value in product.items() if key not in (*known, "currency")}
        entry = {**identifiers(payload), **known, "currency": product.get("currency") or payload["currency"], **common}
        shared = payload.get("properties")
        properties = {**(shared if isinstance(shared, Mapping) else {}), **others}
        entries.append({**entry, "properties": properties} if properties else entry)
    return entries


def _listed(
    payloads: Sequence[Payload],
    account: Account,
    path: str,
    array: str,
    make: Callable[[Payload], JsonObject],
) -> list[Built]:
    covers = tuple(range(len(payloads)))
    return [post(account, path, {array: [make(payload) for payload in payloads]}, covers)]


def build_aliases(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Give people further names."""
    return _listed(payloads, account, "/users/alias/new", "user_aliases", dict)


def build_identifications(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Join aliases with external ids."""
    return _listed(
        payloads,
        account,
        "/users/identify",
        "aliases_to_identify",
        lambda payload: {"external_id": payload["external_id"], "user_alias": payload["user_alias"]},
    )


def build_merges(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Merge people into others."""
    return _listed(
        payloads,
        account,
        "/users/merge",
        "merge_updates",
        lambda payload: {
            "identifier_to_merge": {"external_id": payload["previous_id"]},
            "identifier_to_keep": {"external_id": payload["external_id"]},
        },
    )


def build_subscriptions(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Set one state of one group for all; people are named by what is known of them."""
    built: list[Built] = []
    covers: list[int] = []
    people: dict[str, list[object]] = {}
    for index, payload in enumerate(payloads):
        key = next((key for key in ("external_id", "email", "phone") if payload.get(key)), "")
        if not key:
            built.append(nobody(index))
            continue
        covers.append(index)
        people.setdefault({"external_id": "external_ids", "email": "emails", "phone": "phones"}[key], []).append(
            payload[key]
        )
    if covers:
        first = payloads[covers[0]]
        group = {key: first[key] for key in ("subscription_group_id", "subscription_state")}
        body: JsonObject = {"subscription_groups": [{**group, **people}]}
        built.append(post(account, "/v2/subscription/status/set", body, tuple(covers)))
    return built


def build_campaign(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Send campaigns."""
    return [
        _triggered(payload, index, account, "/campaigns/trigger/send", "campaign_id", "trigger_properties")
        for index, payload in enumerate(payloads)
    ]


def build_canvas(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Start canvases."""
    return [
        _triggered(payload, index, account, "/canvas/trigger/send", "canvas_id", "canvas_entry_properties")
        for index, payload in enumerate(payloads)
    ]


def _triggered(payload: Payload, index: int, account: Account, path: str, id_key: str, properties_key: str) -> Built:
    who = {key: payload[key] for key in ("external_id", "user_alias", "email") if payload.get(key)}
    recipient: JsonObject = {}
    for key, name in (("external_id", "external_user_id"), ("user_alias", "user_alias"), ("email", "email")):
        if key in who:
            recipient = {name: who[key]}
            break
    if not recipient:
        return nobody(index)
    body: JsonObject = {id_key: payload[id_key]}
    if payload.get("properties"):
        body[properties_key] = payload["properties"]
    if payload.get("send_id"):
        body["send_id"] = payload["send_id"]
    return post(account, path, {**body, "recipients": [recipient]}, (index,))


def build_items(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Update the items of one catalog; of two updates of one item the later counts."""
    items = {str(payload["item_id"]): {"id": payload["item_id"], **_values(payload)} for payload in payloads}
    path = f"/catalogs/{quote(str(payloads[0]['catalog']), safe='')}/items"
    return [post(account, path, {"items": list(items.values())}, tuple(range(len(payloads))), method="PUT")]


def _values(payload: Payload) -> JsonObject:
    values = payload.get("values")
    return dict(values) if isinstance(values, Mapping) else {}
