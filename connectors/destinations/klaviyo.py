"""Klaviyo: profiles, events, lists and consent for e-mail and SMS marketing.

**What you need.** A private API key (Settings → API keys) with full access to profiles, events, lists, subscriptions
and data privacy.

**What is sent.** Identify calls create or update a profile. Track calls become events of a metric with the event's
name; "Order Completed" can be one more event for each product. Group calls put people on a list; consent to e-mail and
SMS is given and taken by actions of its own. A profile is named by e-mail, phone with its country, external id or
anonymous id.

**What comes back.** Single profiles and events are taken at once. Imports in bulk are jobs; the hub asks until each has
ended. Of profiles that an import refuses Klaviyo keeps a list with its reasons; the hub reads it, and they alone fail.
Where the list does not say whom an error is about, the others carry the warning count_mismatch. Consent to marketing is
taken as a job too, of which Klaviyo tells nothing afterwards.

**Limits.** Klaviyo limits every endpoint by account size; when it asks to wait, the hub waits. Up to 10,000 profiles of
one list go in one request, as long as it has less than 5 MB. Events carry the message id, so that a repeat is not
counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors import answers, auth, fields
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Choices,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Job,
    Preset,
    Settings,
)
from connectors.batching import found_in, never_known
from connectors.destinations import _klaviyo as klaviyo
from connectors.destinations._klaviyo import Account, Built
from connectors.http import RequestSpec, Response

SCHEME = auth.header("authorization", prefix="Klaviyo-API-Key ")


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    headers = (*auth.headers(SCHEME, settings), ("revision", klaviyo.REVISION), ("accept", "application/vnd.api+json"))
    return Account(fields.api_url(klaviyo.BASE_URLS, settings) + "/api", headers)


def build_deletion(people: Sequence[Identifiers], account: Account, context: BuildContext) -> list[Built]:
    """Ask for the deletion of each person: of the profile found for the user id, and by each e-mail, else by phone."""
    built: list[Built] = []
    for index, person in enumerate(people):
        profile_id = found_in(context, index, "profile_id")
        profiles: list[klaviyo.JsonObject] = [{"type": "profile", "id": profile_id}] if profile_id else []
        profiles += [{"type": "profile", "attributes": {"email": email}} for email in person.emails]
        if not profiles:
            profiles = [{"type": "profile", "attributes": {"phone_number": phone}} for phone in person.phones]
        if not profiles:
            built.append(never_known(index, person.user_id))
        for profile in profiles:
            attributes = {"profile": {"data": profile}}
            body: klaviyo.JsonObject = {"data": {"type": "data-privacy-deletion-job", "attributes": attributes}}
            built.append(klaviyo.post(account, "/data-privacy-deletion-jobs", body, (index,), "delete"))
    return built


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Read the account."""
    return RequestSpec("GET", f"{account.url}/accounts", account.headers, endpoint_label="test")


def _lists(account: Account, context: BuildContext, page: str) -> RequestSpec:
    url = fields.page_url(f"{account.url}/lists", page)
    return RequestSpec("GET", url, account.headers, endpoint_label="choices")


def read_lists(request: RequestSpec, response: Response) -> tuple[list[tuple[str, str]], str]:
    """Give the lists by their names."""
    answer = answers.parsed(response)
    found = [
        (answers.words(one.get("id")), answers.words(answers.member(one.get("attributes"), "name")))
        for one in answers.members(answer, "data")
    ]
    return [(key, name or key) for key, name in found if key], answers.words(answers.member(answer, "links", "next"))


JOB = Job(klaviyo.ask_job, klaviyo.read_job, poll_interval_s=15.0, max_wait_s=6 * 3600.0, naming=klaviyo.NAMING)
LOCATION = tuple(
    Field(key, label, "number" if key in ("latitude", "longitude") else "string", category="pii")
    for key, label in (
        ("address1", "Address"),
        ("address2", "Address, second line"),
        ("city", "City"),
        ("region", "Region"),
        ("country", "Country"),
        ("zip", "Postcode"),
        ("timezone", "Time zone"),
        ("latitude", "Latitude"),
        ("longitude", "Longitude"),
    )
)
WHO = (
    Field("email", "E-mail", default=fields.EMAIL, category="pii", format="email"),
    Field(
        "phone_number", "Phone", description="With its country.", default=fields.PHONE, category="pii", format="e164"
    ),
    Field("external_id", "External id", default=fields.USER_ID, category="identifier", maximum=255),
)
ANONYMOUS = Field("anonymous_id", "Anonymous id", default=fields.ANONYMOUS_ID, category="identifier", maximum=255)
PROFILE = (
    Field("first_name", "First name", default=fields.of_person("first_name"), category="pii"),
    Field("last_name", "Last name", default=fields.of_person("last_name"), category="pii"),
    Field("organization", "Organisation", default=fields.of_person("company.name")),
    Field("title", "Title", default=fields.of_person("title")),
    Field("image", "Picture", default=fields.of_person("avatar")),
    Field(
        "location",
        "Location",
        "object",
        properties=LOCATION,
        additional=False,
        default={
            "city": fields.of_person("address.city"),
            "region": fields.of_person("address.state"),
            "country": fields.of_person("address.country"),
            "zip": fields.of_person("address.postal_code"),
        },
    ),
    Field("properties", "Properties", "object", "Everything else about the person.", default=fields.TRAITS),
)
LIST = Field("list_id", "List", description="Also put the person on it.", dynamic="lists", maximum=50)
EVENT = (
    *WHO,
    ANONYMOUS,
    Field("metric", "Metric", required=True, default=fields.EVENT, maximum=128),
    Field("time", "Time", "datetime", default=fields.TIMESTAMP),
    Field("properties", "Properties", "object", default=fields.PROPERTIES),
    Field(
        "value",
        "Value",
        "number",
        default={
            "@if": {
                "exists": {"@path": "$.properties.revenue"},
                "then": {"@path": "$.properties.revenue"},
                "else": {"@path": "$.properties.value"},
            }
        },
    ),
    Field("value_currency", "Currency", default={"@path": "$.properties.currency"}, pattern="[A-Za-z]{3}"),
    Field("unique_id", "Event id", description="By which a repeat is recognised; the message id unless mapped."),
)
CONSENT = (
    *WHO[:2],
    Field("list_id", "List", dynamic="lists", maximum=50),
    Field("channels", "Channels", multiple=True, default=["email"], choices=(("email", "E-mail"), ("sms", "SMS"))),
)

ACTIONS = (
    Action(
        "upsert_profile",
        "Create or update a profile",
        "Keep a person's profile up to date.",
        'type = "identify"',
        (*WHO, ANONYMOUS, *PROFILE),
        klaviyo.build_profiles,
    ),
    Action(
        "import_profiles",
        "Import profiles in bulk",
        "Keep many profiles up to date in few requests, and put them on a list.",
        'type = "identify"',
        (*WHO, ANONYMOUS, *PROFILE, LIST),
        klaviyo.build_import,
        batch=BatchRule(klaviyo.MOST_PROFILES, max_bytes=4_500_000, max_wait_s=5.0, keys=("list_id",)),
        job=JOB,
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a person did.",
        'type = "track"',
        EVENT,
        klaviyo.build_events,
    ),
    Action(
        "track_products",
        "Track the products of an order",
        "Record one event for each product of an order.",
        'type = "track" and event = "Order Completed"',
        (
            *EVENT,
            Field(
                "products",
                "Products",
                "object",
                required=True,
                multiple=True,
                default={"@path": "$.properties.products"},
            ),
        ),
        klaviyo.build_product_events,
    ),
    Action(
        "add_to_list",
        "Put on a list",
        "Put people on a list; says nothing about consent.",
        'type = "group"',
        (*WHO, Field("list_id", "List", required=True, default={"@path": "$.groupId"}, dynamic="lists")),
        klaviyo.build_import,
        batch=BatchRule(klaviyo.MOST_PROFILES, max_bytes=4_500_000, max_wait_s=5.0, keys=("list_id",)),
        job=JOB,
    ),
    Action(
        "remove_from_list",
        "Take off a list",
        "Take a person off a list.",
        'type = "track" and event = "List Left"',
        (*WHO, Field("list_id", "List", required=True, dynamic="lists", maximum=50)),
        klaviyo.build_removals,
        batch=BatchRule(max_items=1_000, max_bytes=4_500_000, keys=("list_id",)),
        resolve=(klaviyo.FIND_PROFILE,),
    ),
    Action(
        "subscribe",
        "Subscribe",
        "Record a person's consent to marketing.",
        'type = "track" and event = "Subscribed"',
        (
            *CONSENT,
            Field("consented_at", "Consent given", "datetime", default=fields.TIMESTAMP),
            Field("custom_source", "Source of the consent", maximum=200),
            Field("historical_import", "Given in the past", "boolean", "No confirmation is asked for."),
        ),
        klaviyo.build_subscriptions,
        batch=BatchRule(max_items=1_000, max_bytes=4_500_000, keys=("list_id", "custom_source", "historical_import")),
    ),
    Action(
        "unsubscribe",
        "Unsubscribe",
        "Record that a person takes the consent back.",
        'type = "track" and event = "Unsubscribed"',
        CONSENT,
        klaviyo.build_unsubscriptions,
        batch=BatchRule(max_items=100, max_bytes=4_500_000, keys=("list_id",)),
    ),
)

connector = Connector(
    slug="klaviyo",
    name="Klaviyo",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps profiles, events, lists and consent in Klaviyo.",
    docs_url="https://developers.klaviyo.com/en/reference/api_overview",
    settings=(fields.secret("api_key", "Private API key", "Settings → API keys; begins with pk_."), fields.API_URL),
    actions=ACTIONS,
    presets=(
        Preset("Keep profiles up to date", "upsert_profile", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[2].default_mapping),
        Preset(
            "Track pages",
            "track_event",
            'type = "page"',
            {**ACTIONS[2].default_mapping, "metric": {"@template": "Viewed {{name}}"}},
        ),
        Preset("Put group members on the list", "add_to_list", 'type = "group"', ACTIONS[4].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion, resolve=(klaviyo.FIND_PROFILE,)),
    interpret=klaviyo.interpret_answer,
    auth=(SCHEME,),
    base_urls=klaviyo.BASE_URLS,
    idempotency="field:unique_id",
    choices={"lists": Choices(_lists, read_lists)},
)
