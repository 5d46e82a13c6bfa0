"""Salesforce: leads, contacts, accounts and every other object, created, updated and deleted.

**What you need.** A connected app in Salesforce with the scopes `api` and `refresh_token`; its consumer key and secret
go here, and an administrator signs in. Or let the app use client credentials, with a user that it runs as, and give the
address of your own domain. Sandboxes sign in at test.salesforce.com.

**What is sent.** Identify calls can create or update leads or contacts, group calls accounts, track calls
opportunities, cases or objects of your own. A record is found by its id, by an external id field, or by values that it
must have; where several match, nothing is changed and the delivery says so. Up to 200 records with an external id go in
one call, or thousands as a bulk job, which the hub follows to its end: when records of it fail, it fetches the file of
these, and they alone fail, with Salesforce's words. A record that comes twice in a job is sent as it is last. When more
fail than the hub reads of that file (60 kB), the rest counts as delivered with the warning count_mismatch.

**Limits.** An organisation has a number of calls a day; when it is used up, the hub waits. A record that another
process is changing at the moment is tried again. Required fields, picklists and duplicate rules are Salesforce's own:
what they refuse fails with Salesforce's words.
"""

from __future__ import annotations

from connectors import auth, fields
from connectors.auth import OAuth2
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Field,
    Job,
    Preset,
    RateLimit,
    ResolveStep,
    Settings,
)
from connectors.destinations import _salesforce as salesforce
from connectors.destinations import _salesforce_bulk as bulk
from connectors.destinations._salesforce import Org
from connectors.http import RequestSpec

TOKEN_URL = "https://{login_host}/services/oauth2/token"  # noqa: S105 - an address
CODE = OAuth2(
    token_url=TOKEN_URL,
    authorize_url="https://{login_host}/services/oauth2/authorize",
    revoke_url="https://{login_host}/services/oauth2/revoke",
    scopes=("api", "refresh_token"),
    keeps=("instance_url",),
)
SCHEMES = (
    auth.oauth2_code(CODE),
    auth.oauth2_client_credentials(OAuth2(token_url=TOKEN_URL, keeps=("instance_url",))),
)


def prepare(settings: Settings) -> Org:
    """Work out the address once: the organisation's own, which signing in has told."""
    base = settings.get("api_url") or settings.get("instance_url") or f"https://{settings['login_host']}"
    return Org(f"{str(base).rstrip('/')}/services/data/{salesforce.VERSION}")


def build_test(org: Org, context: BuildContext) -> RequestSpec:
    """Read the organisation's limits."""
    return salesforce.call(org, "GET", "/limits", None, (0,), "test")


OBJECT = Field(
    "object",
    "Object",
    description="Its API name, such as Lead, Contact, Account, Opportunity, Case, or Boat__c.",
    required=True,
    pattern=salesforce.NAME.pattern,
)
OPERATION = Field(
    "operation",
    "What to do",
    default="upsert",
    choices=(("create", "Create"), ("update", "Update"), ("upsert", "Create or update"), ("delete", "Delete")),
)
EXTERNAL_FIELD = Field(
    "external_id_field",
    "External id field",
    description="Its API name, such as User_Id__c.",
    pattern=salesforce.NAME.pattern,
)
EXTERNAL_ID = Field("external_id", "External id", default=fields.USER_ID, category="identifier")
FIELDS = Field("fields", "Fields", "object", "Values by the API names of Salesforce's fields.", category="pii")
RECORD = ResolveStep("record", salesforce.find_record, salesforce.read_record)
ACTIONS = (
    Action(
        "save_record",
        "Save a record",
        "Create, update or delete one record.",
        'type = "identify"',
        (
            OBJECT,
            OPERATION,
            Field("record_id", "Salesforce's id", pattern=r"[A-Za-z0-9]{15,18}", category="identifier"),
            EXTERNAL_FIELD,
            EXTERNAL_ID,
            Field("match", "Match by", "object", "Values that the record must have, by the API names of the fields."),
            Field("match_operator", "Match", default="OR", choices=(("OR", "Any of them"), ("AND", "All of them"))),
            FIELDS,
        ),
        salesforce.build_records,
        resolve=(RECORD,),
    ),
    Action(
        "upsert_records",
        "Create or update records together",
        "Keep up to 200 records with an external id up to date in one call.",
        'type = "identify"',
        (
            OBJECT,
            Field(
                "external_id_field",
                "External id field",
                required=True,
                pattern=salesforce.NAME.pattern,
                description="Its API name, such as User_Id__c.",
            ),
            Field("external_id", "External id", required=True, default=fields.USER_ID, category="identifier"),
            FIELDS,
        ),
        salesforce.build_composite,
        batch=BatchRule(salesforce.MOST_COMPOSITE, 4_000_000, keys=("object", "external_id_field")),
    ),
    Action(
        "bulk_records",
        "Save records in bulk",
        "Hand thousands of records over as a bulk job.",
        'type = "identify"',
        (OBJECT, OPERATION, EXTERNAL_FIELD, EXTERNAL_ID, FIELDS),
        bulk.build_close,
        batch=BatchRule(5_000, 90_000_000, max_wait_s=30.0, keys=("object", "operation", "external_id_field")),
        resolve=(
            ResolveStep("job", bulk.create_job, bulk.read_job_id, per="batch"),
            ResolveStep("uploaded", bulk.upload, bulk.read_upload, per="batch"),
        ),
        job=Job(bulk.ask_job, bulk.read_job, poll_interval_s=30.0, max_wait_s=24 * 3600.0, naming=bulk.NAMING),
    ),
)
LEAD = {
    "object": "Lead",
    "operation": "upsert",
    "match": {"Email": fields.EMAIL},
    "match_operator": "OR",
    "fields": {
        "Email": fields.EMAIL,
        "FirstName": fields.of_person("first_name"),
        "LastName": {
            "@if": {
                "exists": fields.of_person("last_name"),
                "then": fields.of_person("last_name"),
                "else": "n/a",
            }
        },
        "Company": {
            "@if": {
                "exists": fields.of_person("company.name"),
                "then": fields.of_person("company.name"),
                "else": "n/a",
            }
        },
        "Phone": fields.PHONE,
        "Website": fields.of_person("website"),
    },
}
ACCOUNT = {
    "object": "Account",
    "operation": "upsert",
    "match": {"Name": {"@path": "$.traits.name"}},
    "match_operator": "OR",
    "fields": {
        "Name": {"@path": "$.traits.name"},
        "Website": {"@path": "$.traits.website"},
        "Industry": {"@path": "$.traits.industry"},
        "NumberOfEmployees": {"@path": "$.traits.employees"},
        "Phone": {"@path": "$.traits.phone"},
    },
}

connector = Connector(
    slug="salesforce",
    name="Salesforce",
    version="1.0.0",
    category="crm",
    status="stable",
    description="Keeps leads, contacts, accounts and other objects in Salesforce.",
    docs_url="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/intro_rest.htm",
    settings=(
        Field(
            "auth",
            "Authentication",
            default="oauth2_code",
            choices=(
                ("oauth2_code", "Sign in at Salesforce"),
                ("oauth2_client_credentials", "Client credentials"),
            ),
        ),
        Field("client_id", "Consumer key", required=True, maximum=500),
        fields.secret("client_secret", "Consumer secret"),
        Field(
            "login_host",
            "Sign-in host",
            description="login.salesforce.com, test.salesforce.com, or your own domain.",
            default="login.salesforce.com",
            pattern=r"(login|test)\.salesforce\.com|[a-z0-9-]{1,80}(\.sandbox|\.develop)?\.my\.salesforce\.com",
            clears_secrets=True,
        ),
        Field(
            "instance_url",
            "Organisation's address",
            description="Told by Salesforce when signing in.",
            pattern=r"https://[a-z0-9-]{1,80}(\.sandbox|\.develop)?\.my\.salesforce\.com/?",
            clears_secrets=True,
            is_hidden=True,
        ),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep leads up to date", "save_record", 'type = "identify"', LEAD),
        Preset("Keep accounts up to date", "save_record", 'type = "group"', ACCOUNT),
    ),
    prepare=prepare,
    test=build_test,
    interpret=salesforce.interpret_answer,
    auth=SCHEMES,
    base_urls=salesforce.BASE_URLS,
    rate_limits=(RateLimit("credential", "concurrent", 25),),
)
