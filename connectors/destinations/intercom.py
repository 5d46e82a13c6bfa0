"""Intercom: users, leads and companies for support and messages, and what they do.

**What you need.** An access token of an app of yours (Developer Hub → Authentication), or sign in at Intercom with the
client id and secret of the app. Workspaces in Europe and Australia choose their region.

**What is sent.** Identify calls create or update a contact: the hub looks it up by user id, else by e-mail, and updates
it when there is exactly one. Track calls become events of the contact. Group calls create or update a company, and make
the contact a member of it. Contacts can be tagged. Custom attributes must exist in Intercom before.

**Limits.** Intercom takes 10,000 requests a minute for each app; when it asks to wait, the hub waits. An event has at
most ten values of metadata, none of them nested: more are left out. A revenue becomes Intercom's price in cents.
"""

from __future__ import annotations

from dataclasses import replace

from connectors import answers, fields
from connectors.base import (
    Action,
    Connector,
    Deletion,
    Field,
    Preset,
    RateLimit,
    ResolveStep,
    When,
)
from connectors.destinations import _intercom as calls

WHO = (
    Field("external_id", "User id", default=fields.USER_ID, category="identifier"),
    Field("email", "E-mail", default=fields.EMAIL, format="email", category="pii"),
)
ACTIONS = (
    Action(
        "upsert_contact",
        "Create or update a contact",
        "Keep a user or lead up to date.",
        'type = "identify"',
        (
            *WHO,
            Field("role", "Role", default="user", choices=(("user", "User"), ("lead", "Lead"))),
            Field("phone", "Phone", default=fields.PHONE, category="pii"),
            Field("name", "Name", default=fields.of_person("name"), category="pii"),
            Field("avatar", "Picture", default=fields.of_person("avatar")),
            Field("signed_up_at", "Signed up", "datetime", default=fields.of_person("createdAt")),
            Field("last_seen_at", "Last seen", "datetime", default=fields.TIMESTAMP),
            Field("owner_id", "Owner", "integer", "Id of the teammate."),
            Field("unsubscribed_from_emails", "Unsubscribed from e-mails", "boolean"),
            Field("custom_attributes", "Custom attributes", "object", "Must exist in Intercom; none nested."),
        ),
        calls.build_contacts,
        resolve=(calls.CONTACT,),
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a contact did.",
        'type = "track"',
        (
            *WHO,
            Field("name", "Event", required=True, default=fields.EVENT, maximum=255),
            Field("time", "Time", "datetime", required=True, default=fields.TIMESTAMP),
            Field("revenue", "Revenue", "number", default={"@path": "$.properties.revenue"}),
            Field("currency", "Currency", default={"@path": "$.properties.currency"}, pattern="[A-Za-z]{3}"),
            Field("metadata", "Metadata", "object", default=fields.PROPERTIES),
        ),
        calls.build_events,
        resolve=(
            replace(
                calls.CONTACT,
                build=lambda payloads, found, workspace, context: (
                    None if payloads[0].get("external_id") else calls.find_contact(payloads, found, workspace, context)
                ),
            ),
        ),
    ),
    Action(
        "upsert_company",
        "Create or update a company",
        "Keep a company up to date, and make the contact a member of it.",
        'type = "group"',
        (
            *WHO,
            Field("company_id", "Company", required=True, default={"@path": "$.groupId"}, category="identifier"),
            Field("name", "Name", default={"@path": "$.traits.name"}),
            Field("plan", "Plan", default={"@path": "$.traits.plan"}),
            Field("size", "Employees", "integer", default={"@path": "$.traits.employees"}),
            Field("website", "Website", default={"@path": "$.traits.website"}),
            Field("industry", "Industry", default={"@path": "$.traits.industry"}),
            Field("monthly_spend", "Monthly spend", "number", default={"@path": "$.traits.monthly_spend"}),
            Field("remote_created_at", "Created", "datetime", default={"@path": "$.traits.createdAt"}),
            Field("custom_attributes", "Custom attributes", "object"),
        ),
        calls.build_companies,
        resolve=(calls.CONTACT, ResolveStep("company", calls.write_company, answers.found_at("id"))),
    ),
    Action(
        "tag_contact",
        "Tag a contact",
        "Give a contact a tag, which is made if it is new.",
        'type = "track" and event = "Tagged"',
        (*WHO, Field("tag", "Tag", description="Its name.", required=True, maximum=255)),
        calls.build_tags,
        resolve=(calls.CONTACT,),
    ),
)
CODE = When("auth", ("oauth2_code",))

connector = Connector(
    slug="intercom",
    name="Intercom",
    version="1.0.0",
    category="support",
    status="stable",
    description="Keeps users, companies and events in Intercom.",
    docs_url="https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts",
    settings=(
        Field(
            "auth",
            "Authentication",
            default="bearer",
            choices=(("bearer", "Access token"), ("oauth2_code", "Sign in at Intercom")),
        ),
        Field("access_token", "Access token", "password", required=When("auth", ("bearer",)), secret=True, maximum=500),
        Field("client_id", "Client id", required=CODE, maximum=200),
        Field("client_secret", "Client secret", "password", required=CODE, secret=True, maximum=200),
        fields.region(("us", "United States"), ("eu", "Europe"), ("au", "Australia")),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=tuple(
        Preset(action.title, action.key, action.default_trigger, action.default_mapping) for action in ACTIONS[:3]
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(
        max_people=50,
        build=calls.build_deletion,
        resolve=(ResolveStep("contacts", calls.find_person, calls.read_person),),
    ),
    interpret=calls.interpret_answer,
    auth=calls.SCHEMES,
    base_urls=calls.BASE_URLS,
    rate_limits=(RateLimit("credential", "requests", 1_600, 10.0),),
)
