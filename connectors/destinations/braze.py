"""Braze: profiles, events and purchases of people, and the campaigns, canvases and catalogs made for them.

**What you need.** A REST API key (Settings → APIs and Identifiers) with the permissions of what you map: `users.track`,
`users.alias.new`, `users.identify`, `users.merge`, `users.delete`, `subscription.status.set`,
`campaigns.trigger.send`, `canvas.trigger.send`, `catalog.*`. And your cluster: the address of your dashboard tells it.

**What is sent.** Identify calls update the profile of the person. Track, page and screen calls become events;
"Order Completed" becomes one purchase for each product. Group calls can set an attribute or a subscription. Aliases,
merging, campaigns, canvases and catalog items have actions of their own. A person is named by external id, Braze id,
alias, e-mail or phone; without any of them a delivery is rejected.

**Limits.** Up to 75 profiles, events or purchases go in one request. Braze refuses single entries of a request by their
position; only these fail, with Braze's own words. Braze does not recognise repeated events, so an event whose request
may have arrived already can count twice: they are tried again all the same, as Braze itself recommends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors import answers, auth, fields
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Preset,
    RateLimit,
    Settings,
)
from connectors.batching import unknown_person
from connectors.destinations import _braze as braze
from connectors.destinations import _braze_fields as shapes
from connectors.destinations._braze import Account
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret

MOST_DELETED = 50
SCHEME = auth.bearer("api_key")
Built = RequestSpec | ItemOutcome


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    return Account(
        url=fields.api_url(braze.BASE_URLS, settings),
        headers=auth.headers(SCHEME, settings),
        app_id=str(settings.get("app_id") or ""),
    )


def build_deletion(people: Sequence[Identifiers], account: Account, context: BuildContext) -> list[Built]:
    """Delete people by their external ids, and by every e-mail: each may have a profile of its own.

    Of several profiles with one e-mail Braze deletes a single one, and wants to be told which.
    """
    said = "Braze knows people by user id and e-mail."
    built: list[Built] = [
        unknown_person(index, said) for index, one in enumerate(people) if not (one.user_id or one.emails)
    ]
    ids: list[tuple[int, object]] = [(index, one.user_id) for index, one in enumerate(people) if one.user_id]
    emails: list[tuple[int, object]] = [
        (index, {"email": email, "prioritization": ["unidentified", "most_recently_updated"]})
        for index, one in enumerate(people)
        for email in dict.fromkeys(one.emails)
    ]
    for key, named in (("external_ids", ids), ("email_addresses", emails)):
        for start in range(0, len(named), MOST_DELETED):
            some = named[start : start + MOST_DELETED]
            covers = tuple(dict.fromkeys(index for index, _ in some))
            built.append(braze.post(account, "/users/delete", {key: [each for _, each in some]}, covers))
    return built


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Send a request with nothing in it, which a valid key is told and an invalid one is not."""
    return RequestSpec(
        "POST", f"{account.url}/users/track", account.headers, {"attributes": []}, "json", endpoint_label="test"
    )


REFUSED = answers.verdict(Outcome.REJECTED, "entry_refused", "Braze does not take this entry.")
FATAL = answers.verdict(Outcome.REJECTED, "request_refused", "Braze does not take this request.")
FORBIDDEN = answers.verdict(
    Outcome.DISABLED, "forbidden", "The API key lacks a permission, or its address list a host."
)


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Entries are refused by position inside a success; any other word than "success" there is about all of them."""
    answer = answers.parsed(response)
    said = answers.words(answers.member(answer, "message"))
    if request.endpoint_label == "test" and response.status == 400:
        return answers.delivered(request, response)
    if 200 <= response.status < 300 and response.error is None:
        if said and said.lower() not in ("success", "queued"):
            return answers.for_all(request, response, FATAL, said)
        return answers.partial(request, response, _refused(request, answer))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _refused(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    """Find which payloads the entries refused belong to."""
    count = len(request.owners) or len(request.covers)
    found = {}
    for error in answers.members(answer, "errors"):
        index = answers.index_of(error.get("index"), count)
        if index is not None:
            found[request.owners[index] if request.owners else index] = (REFUSED, answers.words(error.get("type")))
    return found


TRACK_BATCH = BatchRule(max_items=braze.MOST_ENTRIES, max_bytes=4_000_000, max_wait_s=1.0)
ALIAS_BATCH = BatchRule(max_items=braze.MOST_ALIASES, max_bytes=4_000_000)


ACTIONS = (
    Action(
        "update_user",
        "Update a profile",
        "Keep a person's attributes up to date.",
        'type = "identify"',
        (*shapes.WHO, *shapes.PROFILE),
        braze.build_attributes,
        TRACK_BATCH,
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a person did.",
        'type = "track" and event != "Order Completed"',
        (*shapes.WHO, *shapes.EVENT),
        braze.build_events,
        TRACK_BATCH,
    ),
    Action(
        "track_purchase",
        "Track a purchase",
        "Record one purchase for each product of an order.",
        'type = "track" and event = "Order Completed"',
        (*shapes.WHO, *shapes.PURCHASE),
        braze.build_purchases,
        TRACK_BATCH,
    ),
    Action(
        "create_alias",
        "Create an alias",
        "Give a person one more name.",
        'type = "identify"',
        shapes.NEW_ALIAS,
        braze.build_aliases,
        ALIAS_BATCH,
    ),
    Action(
        "identify_user",
        "Identify an alias",
        "Join the profile of an alias with that of a user id.",
        'type = "identify"',
        shapes.IDENTIFY,
        braze.build_identifications,
        ALIAS_BATCH,
    ),
    Action(
        "merge_users",
        "Merge two people",
        "Merge one profile into another.",
        'type = "alias"',
        shapes.MERGE,
        braze.build_merges,
        ALIAS_BATCH,
    ),
    Action(
        "set_subscription",
        "Set a subscription",
        "Subscribe people to a subscription group, or unsubscribe them.",
        'type = "group"',
        shapes.SUBSCRIPTION,
        braze.build_subscriptions,
        BatchRule(max_items=50, max_bytes=4_000_000, keys=("subscription_group_id", "subscription_state")),
    ),
    Action(
        "trigger_campaign",
        "Trigger a campaign",
        "Send an API-triggered campaign to a person.",
        'type = "track"',
        (*shapes.WHO[:3], *shapes.CAMPAIGN),
        braze.build_campaign,
        None,
        idempotent=False,
    ),
    Action(
        "trigger_canvas",
        "Trigger a canvas",
        "Start an API-triggered canvas for a person.",
        'type = "track"',
        (*shapes.WHO[:3], *shapes.CANVAS),
        braze.build_canvas,
        None,
        idempotent=False,
    ),
    Action(
        "update_catalog_item",
        "Update a catalog's item",
        "Keep the items of a catalog up to date.",
        'type = "track" and event = "Product Updated"',
        shapes.CATALOG_ITEM,
        braze.build_items,
        BatchRule(max_items=50, max_bytes=4_000_000, keys=("catalog",)),
    ),
)


def _fields_of(key: str) -> Mapping[str, object]:
    return next(action.default_mapping for action in ACTIONS if action.key == key)


PAGE = {**_fields_of("track_event"), "name": {"@template": "Viewed {{name}}"}}

connector = Connector(
    slug="braze",
    name="Braze",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps profiles, events and purchases in Braze, and triggers campaigns and canvases.",
    docs_url="https://www.braze.com/docs/api/endpoints/user_data/post_user_track/",
    settings=(
        fields.secret("api_key", "REST API key", "Settings → APIs and Identifiers in Braze's dashboard."),
        fields.region(*((key, key.upper()) for key in braze.BASE_URLS)),
        Field("app_id", "App id", description="The app that events and purchases are counted for.", maximum=100),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep profiles up to date", "update_user", 'type = "identify"', _fields_of("update_user")),
        Preset("Track events", "track_event", ACTIONS[1].default_trigger, _fields_of("track_event")),
        Preset("Track purchases", "track_purchase", ACTIONS[2].default_trigger, _fields_of("track_purchase")),
        Preset("Track pages and screens", "track_event", 'type = "page" or type = "screen"', PAGE),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=MOST_DELETED, build=build_deletion),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=braze.BASE_URLS,
    rate_limits=(RateLimit("credential", "requests", 3_000, 3.0),),
)
