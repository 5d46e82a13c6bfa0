"""HubSpot: contacts, companies, their events, lists and your own objects.

**What you need.** The token of a private app (Settings → Integrations → Private apps) with the scopes of what you map,
or sign in at HubSpot with client id and secret of an app of yours. For events also the account's number (Hub ID).

**What is sent.** Identify calls create or update the contact of the person's e-mail. Group calls create or update a
company by a property of yours that is unique, or make the contact belong to it. Track calls become custom behavioural
events, which must be defined in HubSpot. Objects of your own and static lists have actions too. Names of properties are
written as HubSpot has them: lower case with underscores.

**Limits.** Up to 100 objects go in one request; an object that comes twice is sent once, as it is last. HubSpot names
the objects of a request that it refuses; only these fail, and what it does not answer for is tried again. A contact
that a list cannot take fails too. A person who is to be erased is deleted for good by every e-mail known of them. When
the limit of ten seconds is used up the hub waits, when that of the day is, it asks again each hour.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors import answers, auth, fields
from connectors.auth import OAuth2
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
    ResolveStep,
    Settings,
    When,
)
from connectors.batching import unknown_person
from connectors.destinations import _hubspot as hubspot
from connectors.destinations._hubspot import Built, Portal
from connectors.http import RequestSpec

GRANT = OAuth2(
    token_url="https://api.hubapi.com/oauth/v1/token",  # noqa: S106 - an address
    authorize_url="https://app.hubspot.com/oauth/authorize",
    scopes=(
        "oauth",
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.objects.companies.read",
        "crm.objects.companies.write",
    ),
)
SCHEMES = (auth.bearer("access_token"), auth.oauth2_code(GRANT))


def prepare(settings: Settings) -> Portal:
    """Work out address and credentials once."""
    headers = auth.headers(auth.choose(SCHEMES, settings), settings)
    return Portal(fields.api_url(hubspot.BASE_URLS, settings), headers, str(settings.get("portal_id") or ""))


def build_deletion(people: Sequence[Identifiers], portal: Portal, context: BuildContext) -> list[Built]:
    """Delete contacts for good, by each e-mail that a person is known by."""
    built: list[Built] = []
    for index, person in enumerate(people):
        for email in person.emails:
            body: hubspot.JsonObject = {"objectId": email.strip().lower(), "idProperty": "email"}
            built.append(hubspot.call(portal, "POST", "/crm/v3/objects/contacts/gdpr-delete", body, (index,), "delete"))
        if not person.emails:
            message = "HubSpot knows contacts by e-mail."
            built.append(unknown_person(index, message))
    return built


def build_test(portal: Portal, context: BuildContext) -> RequestSpec:
    """Read one contact."""
    return hubspot.call(portal, "GET", "/crm/v3/objects/contacts?limit=1", None, (0,), "test")


CONTACT = ResolveStep(
    "contact",
    hubspot.find_contact,
    answers.found_at("id"),
    cache_key=lambda payload, portal: str(payload.get("email") or "").lower() or None,
)
COMPANY = ResolveStep(
    "company",
    hubspot.find_company,
    answers.found_at("id"),
    cache_key=lambda payload, portal: f"{payload['id_property']}={payload['company_id']}",
)
EMAIL = Field("email", "E-mail", required=True, default=fields.EMAIL, format="email", category="pii")


def _trait(key: str, label: str, trait: str = "") -> Field:
    return Field(key, label, default=fields.of_person(trait or key), category="pii")


CONTACT_FIELDS = (
    EMAIL,
    _trait("first_name", "First name"),
    _trait("last_name", "Last name"),
    _trait("phone", "Phone"),
    _trait("company", "Company", "company.name"),
    _trait("website", "Website"),
    _trait("address", "Address", "address.street"),
    _trait("city", "City", "address.city"),
    _trait("state", "State", "address.state"),
    _trait("postal_code", "Postcode", "address.postal_code"),
    _trait("country", "Country", "address.country"),
    Field("lifecycle_stage", "Lifecycle stage", description="HubSpot moves it forward only."),
    Field("properties", "Other properties", "object", "Must exist in HubSpot."),
)
COMPANY_ID = (
    Field("company_id", "Company", required=True, default={"@path": "$.groupId"}, category="identifier"),
    Field(
        "id_property",
        "Property of the id",
        description="A property of companies that you have made, with unique values.",
        required=True,
        default="group_id",
        pattern=r"[a-z][a-z0-9_]{0,99}",
    ),
)
BATCH = BatchRule(max_items=hubspot.MOST_INPUTS, max_bytes=3_000_000)
ACTIONS = (
    Action(
        "upsert_contact",
        "Create or update a contact",
        "Keep a contact up to date.",
        'type = "identify"',
        CONTACT_FIELDS,
        hubspot.build_contacts,
        batch=BATCH,
    ),
    Action(
        "send_event",
        "Send an event",
        "Record what a contact did, as a custom behavioural event.",
        'type = "track"',
        (
            Field(
                "name",
                "Event",
                description="Its internal name, with or without pe….",
                required=True,
                default=fields.EVENT,
            ),
            Field("email", "E-mail", default=fields.EMAIL, format="email", category="pii"),
            Field("object_id", "Contact id", category="identifier"),
            Field("utk", "Tracking cookie", description="The value of hubspotutk.", category="identifier"),
            Field("occurred_at", "Time", "datetime", default=fields.TIMESTAMP),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
        ),
        hubspot.build_events,
    ),
    Action(
        "upsert_company",
        "Create or update a company",
        "Keep a company up to date.",
        'type = "group"',
        (
            *COMPANY_ID,
            Field("name", "Name", default={"@path": "$.traits.name"}),
            Field("domain", "Domain", default={"@path": "$.traits.website"}),
            Field("industry", "Industry", default={"@path": "$.traits.industry"}),
            Field("phone", "Phone", default={"@path": "$.traits.phone"}),
            Field("city", "City", default={"@path": "$.traits.address.city"}),
            Field("country", "Country", default={"@path": "$.traits.address.country"}),
            Field("numberofemployees", "Employees", "integer", default={"@path": "$.traits.employees"}),
            Field("properties", "Other properties", "object", "Must exist in HubSpot."),
        ),
        hubspot.build_companies,
        batch=BATCH,
    ),
    Action(
        "associate_contact",
        "Associate a contact with a company",
        "Make a contact belong to a company; both must be there.",
        'type = "group"',
        (EMAIL, *COMPANY_ID),
        hubspot.build_associations,
        batch=BATCH,
        resolve=(CONTACT, COMPANY),
    ),
    Action(
        "upsert_object",
        "Create or update an object",
        "Keep objects of a type of your own up to date.",
        'type = "track"',
        (
            Field("object_type", "Object type", required=True, description="Its name or number.", maximum=100),
            Field("id_property", "Property of the id", required=True, pattern=r"[a-z][a-z0-9_]{0,99}"),
            Field("object_id", "Id", required=True, category="identifier"),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
        ),
        hubspot.build_objects,
        batch=BatchRule(max_items=hubspot.MOST_INPUTS, max_bytes=3_000_000, keys=("object_type",)),
    ),
    Action(
        "set_list_membership",
        "Put on a list",
        "Put a contact on a static list, or take it off.",
        'type = "track" and event = "Subscribed"',
        (
            EMAIL,
            Field("list_id", "List", required=True, maximum=30),
            Field("operation", "What to do", default="add", choices=(("add", "Put on"), ("remove", "Take off"))),
        ),
        hubspot.build_memberships,
        batch=BatchRule(max_items=hubspot.MOST_INPUTS, max_bytes=3_000_000, keys=("list_id", "operation")),
        resolve=(CONTACT,),
    ),
)
CODE = When("auth", ("oauth2_code",))

connector = Connector(
    slug="hubspot",
    name="HubSpot",
    version="1.0.0",
    category="crm",
    status="stable",
    description="Keeps contacts, companies, events and lists in HubSpot.",
    docs_url="https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide",
    settings=(
        Field(
            "auth",
            "Authentication",
            default="bearer",
            choices=(("bearer", "Private app"), ("oauth2_code", "Sign in at HubSpot")),
        ),
        Field("access_token", "Token", "password", required=When("auth", ("bearer",)), secret=True, maximum=500),
        Field("client_id", "Client id", required=CODE, maximum=200),
        Field("client_secret", "Client secret", "password", required=CODE, secret=True, maximum=200),
        Field("portal_id", "Hub ID", description="The account's number, for events.", pattern=r"\d{1,15}"),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep contacts up to date", "upsert_contact", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Keep companies up to date", "upsert_company", 'type = "group"', ACTIONS[2].default_mapping),
        Preset("Send events", "send_event", 'type = "track"', ACTIONS[1].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=50, build=build_deletion),
    interpret=hubspot.interpret_answer,
    auth=SCHEMES,
    base_urls=hubspot.BASE_URLS,
    idempotency="field:uuid",
    rate_limits=(RateLimit("credential", "requests", 100, 10.0),),
)
