"""ActiveCampaign: contacts, their lists and tags, and the events and page views that automations begin with.

**What you need.** The API address and key of the account (Settings → Developer). For events also the account id and the
event key (Settings → Tracking), for page views the account id.

**What is sent.** Identify calls create or update the contact of the person's e-mail; custom fields are mapped by their
ids. Contacts can be put on a list or tagged: the contact is created first, so that there is one. Track calls become
tracked events, page calls visits. Without an e-mail a delivery is rejected.

**Limits.** ActiveCampaign takes five requests a second. It records only events whose names it knows, and visits of
domains that are allowed; new ones are added to its lists, unless you switch "Make what is missing" off. Creating a
contact that is there already changes nothing but what you send, so repeats do no harm.
"""

from __future__ import annotations

from connectors import answers, fields
from connectors.base import (
    Action,
    BatchRule,
    Choices,
    Connector,
    Deletion,
    Field,
    Preset,
    RateLimit,
)
from connectors.batching import MOST_EMAILS
from connectors.destinations import _active_campaign as calls

EMAIL = Field("email", "E-mail", required=True, default=fields.EMAIL, format="email", category="pii")
PERSON = (
    EMAIL,
    Field("first_name", "First name", default=fields.of_person("first_name"), category="pii"),
    Field("last_name", "Last name", default=fields.of_person("last_name"), category="pii"),
    Field("phone", "Phone", default=fields.PHONE, category="pii"),
    Field("field_values", "Custom fields", "object", "Values by the ids of ActiveCampaign's fields."),
)
ACTIONS = (
    Action(
        "sync_contact",
        "Create or update a contact",
        "Keep a contact up to date.",
        'type = "identify"',
        PERSON,
        calls.build_contacts,
    ),
    Action(
        "import_contacts",
        "Import contacts in bulk",
        "Keep many contacts up to date in few requests.",
        'type = "identify"',
        (
            *PERSON,
            Field("tags", "Tags", description="By their names.", multiple=True),
            Field("list_ids", "Lists", "integer", multiple=True, dynamic="lists"),
        ),
        calls.build_import,
        batch=BatchRule(max_items=calls.MOST_CONTACTS, max_bytes=400_000, max_wait_s=5.0),
    ),
    Action(
        "set_list",
        "Put on a list",
        "Put a contact on a list, or take it off.",
        'type = "track" and event = "Subscribed"',
        (
            *PERSON,
            Field("list_id", "List", required=True, dynamic="lists"),
            Field(
                "status",
                "Status",
                default="subscribed",
                choices=(("subscribed", "Subscribed"), ("unsubscribed", "Unsubscribed")),
            ),
        ),
        calls.build_lists,
        resolve=(calls.CONTACT,),
    ),
    Action(
        "add_tag",
        "Tag a contact",
        "Give a contact a tag.",
        'type = "track"',
        (
            *PERSON,
            Field("tag_id", "Tag", dynamic="tags"),
            Field("tag_name", "Name of the tag", description="Instead; a tag that is new is made.", maximum=255),
        ),
        calls.build_tags,
        resolve=(calls.CONTACT, *calls.TAGS),
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a contact did.",
        'type = "track"',
        (
            EMAIL,
            Field("name", "Event", required=True, default=fields.EVENT),
            Field("properties", "Value", "object", default=fields.PROPERTIES),
        ),
        calls.build_events,
        resolve=(calls.EVENT,),
        idempotent=False,
    ),
    Action(
        "track_page",
        "Track a page",
        "Record the visit of a page.",
        'type = "page"',
        (EMAIL, Field("url", "Page", required=True, default={"@path": "$.properties.url"}, format="uri")),
        calls.build_pages,
        resolve=(calls.DOMAIN,),
        idempotent=False,
    ),
)

connector = Connector(
    slug="active_campaign",
    name="ActiveCampaign",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps contacts, lists, tags and events in ActiveCampaign.",
    docs_url="https://developers.activecampaign.com/reference/overview",
    settings=(
        Field(
            "account_url",
            "API address of the account",
            description="Such as https://acme.api-us1.com; Settings → Developer.",
            required=True,
            pattern=r"https://[a-z0-9-]{1,60}\.(api-us1|api-eu1|activehosted)\.com/?",
            clears_secrets=True,
        ),
        fields.secret("api_key", "API key", "Settings → Developer."),
        Field("account_id", "Account id", description="For events; Settings → Tracking.", pattern=r"[0-9]{1,20}"),
        fields.secret("event_key", "Event key", "For events; Settings → Tracking.", required=False),
        Field(
            "make_missing",
            "Make what is missing",
            "boolean",
            "Events and domains that the account does not know yet are added to its lists.",
            default=True,
        ),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep contacts up to date", "sync_contact", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[4].default_mapping),
        Preset("Track pages", "track_page", 'type = "page"', ACTIONS[5].default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(
        max_people=50,
        build=calls.build_deletion,
        resolve=tuple(map(calls.finding_person, range(MOST_EMAILS))),
    ),
    interpret=calls.interpret_answer,
    auth=(calls.SCHEME,),
    base_urls=calls.BASE_URLS,
    rate_limits=(RateLimit("credential", "requests", 5),),
    choices={
        "lists": Choices(calls.listing("/lists"), answers.listed("lists", value="id", label="name")),
        "tags": Choices(calls.listing("/tags"), answers.listed("tags", value="id", label="tag")),
    },
)
