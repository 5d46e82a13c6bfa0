"""Zendesk: users and organisations for the support team, and what a user did before they wrote.

**What you need.** The subdomain of your Zendesk, the e-mail of an administrator, and an API token (Admin Center → Apps
and integrations → APIs).

**What is sent.** Identify calls create or update a user by external id or e-mail, with user fields by their keys. Group
calls create or update an organisation, and the user's membership in it. Track calls become events of the user, whom the
hub looks up first and remembers for five minutes. An action of its own makes a changed e-mail the primary one. User
fields must exist in Zendesk, unless the destination is set to make them.

**Limits.** Zendesk limits requests by plan; when it asks to wait, the hub waits. Up to 100 users go in one request in
bulk, which Zendesk works off as a job; the hub asks until it has ended. Deleting a user moves them to Zendesk's deleted
users, and then deletes them there for good.
"""

from __future__ import annotations

from dataclasses import replace

from connectors import auth, fields
from connectors.base import (
    Action,
    BatchRule,
    Connector,
    Deletion,
    Field,
    Job,
    Preset,
    ResolveStep,
)
from connectors.batching import MOST_EMAILS
from connectors.destinations import _zendesk as calls

WHO = (
    Field("external_id", "External id", default=fields.USER_ID, category="identifier", maximum=255),
    Field("email", "E-mail", default=fields.EMAIL, category="pii", format="email"),
)
PROFILE = (
    *WHO,
    Field("name", "Name", default=fields.of_person("name"), category="pii", maximum=255),
    Field("phone", "Phone", default=fields.PHONE, category="pii"),
    Field("time_zone", "Time zone", maximum=60),
    Field("locale", "Locale", default={"@path": "$.context.locale"}, maximum=20),
    Field("details", "Details", "text"),
    Field("notes", "Notes", "text"),
    Field("tags", "Tags", multiple=True),
    Field("user_fields", "User fields", "object", "Values by the keys of Zendesk's user fields."),
)
GROUP = (
    Field("organization_id", "Organisation", required=True, default={"@path": "$.groupId"}, category="identifier"),
    Field("name", "Name", default={"@path": "$.traits.name"}, maximum=255),
    Field("domain_names", "Domains", multiple=True),
    Field("details", "Details", "text"),
    Field("notes", "Notes", "text"),
    Field("tags", "Tags", multiple=True),
    Field("organization_fields", "Organisation fields", "object", "Values by the keys of Zendesk's fields."),
)
ACTIONS = (
    Action(
        "upsert_user",
        "Create or update a user",
        "Keep a user up to date.",
        'type = "identify"',
        PROFILE,
        calls.build_users,
        resolve=calls.FIELDS,
    ),
    Action(
        "upsert_users",
        "Create or update users in bulk",
        "Keep many users up to date in few requests.",
        'type = "identify"',
        PROFILE,
        calls.build_many,
        batch=BatchRule(max_items=calls.MOST_USERS, max_bytes=1_000_000, max_wait_s=5.0),
        job=Job(calls.ask_job, calls.read_job, poll_interval_s=10.0, max_wait_s=3600.0),
    ),
    Action(
        "upsert_organization",
        "Create or update an organisation",
        "Keep an organisation up to date.",
        'type = "group"',
        GROUP,
        calls.build_organizations,
    ),
    Action(
        "set_membership",
        "Set a membership",
        "Keep an organisation up to date and make the user a member.",
        'type = "group"',
        (WHO[0], *GROUP),
        calls.build_memberships,
        resolve=(calls.USER, calls.ORGANIZATION),
    ),
    Action(
        "track_event",
        "Track an event",
        "Show the support team what a user did.",
        'type = "track"',
        (
            *WHO,
            Field("name", "Event", required=True, default=fields.EVENT, maximum=255),
            Field("description", "Description", maximum=1_000),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
            Field("time", "Time", "datetime", default=fields.TIMESTAMP),
        ),
        calls.build_events,
        resolve=(calls.USER,),
    ),
    Action(
        "set_primary_email",
        "Set the primary e-mail",
        "Make a changed e-mail the one that a user is written to. Updating a user only adds it.",
        'type = "identify"',
        (replace(WHO[0], required=True), replace(WHO[1], required=True)),
        calls.build_primary,
        resolve=(
            ResolveStep("user", calls.ask_user, calls.USER_ID),
            ResolveStep("identities", calls.ask_identities, calls.read_identities),
        ),
    ),
)

connector = Connector(
    slug="zendesk",
    name="Zendesk",
    version="1.0.0",
    category="support",
    status="stable",
    description="Keeps users, organisations and their events in Zendesk.",
    docs_url="https://developer.zendesk.com/api-reference/ticketing/users/users/",
    settings=(
        Field("subdomain", "Subdomain", required=True, pattern=r"[a-z0-9][a-z0-9-]{0,62}", clears_secrets=True),
        Field("email", "Administrator's e-mail", required=True, format="email", category="pii"),
        fields.secret("api_token", "API token"),
        Field(
            "make_user_fields",
            "Make missing user fields",
            "boolean",
            "When a single user is updated, up to five fields that Zendesk does not know yet are made.",
            default=False,
        ),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep users up to date", "upsert_user", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Keep organisations and members", "set_membership", 'type = "group"', ACTIONS[3].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[4].default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(
        max_people=20,
        build=calls.build_deletion,
        resolve=(
            ResolveStep("user", calls.ask_user, calls.USER_ID),
            *map(calls.finding_by_email, range(MOST_EMAILS)),
            *map(calls.moving, range(MOST_EMAILS + 1)),
        ),
    ),
    interpret=calls.interpret_answer,
    auth=(auth.basic("email", "api_token"),),
    base_urls=calls.BASE_URLS,
)
