"""Customer.io: people, their events, objects they belong to and their devices, for messages and journeys.

**What you need.** The site id and the API key of a Track API credential (Settings → Account Settings → API
Credentials). Accounts in the European Union choose the region EU.

**What is sent.** Identify calls create or update a person, track, page and screen calls become events, group calls an
object with the person's relation to it, alias calls a merge. Relations can be made and ended by themselves, objects
deleted, devices added and removed, people suppressed and deleted. A person is named by user id (one that begins with
cio_ is Customer.io's own), e-mail, or anonymous id; events of somebody unknown are kept for the person who is
identified with the same anonymous id later.

**Times.** Customer.io counts in unix seconds. Moments within attributes are converted too, unless you switch that off.

**Limits.** Up to 100 calls and 500 KB go in one request, each call with at most 32 KB. Customer.io names the calls of a
request that it refuses; only these fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

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
from connectors.destinations._customer_io import (
    BASE_URLS,
    MOST_CALLS,
    Built,
    Workspace,
    bare,
    batched,
    delete_object,
    device,
    event,
    group,
    identify,
    merge,
    relationship,
)
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret

SCHEME = auth.basic("site_id", "api_key")


def prepare(settings: Settings) -> Workspace:
    """Work out address and credentials once."""
    return Workspace(
        url=fields.api_url(BASE_URLS, settings),
        headers=auth.headers(SCHEME, settings),
        converts_moments=settings.get("convert_timestamps") is not False,
    )


def build_deletion(people: Sequence[Identifiers], workspace: Workspace, context: BuildContext) -> list[Built]:
    """Delete each person by every name there is: an e-mail may have a profile of its own."""
    built: list[Built] = []
    for index, one in enumerate(people):
        names = [name for name in dict.fromkeys((one.user_id, *one.emails)) if name]
        if not names:
            built.append(unknown_person(index, "Customer.io knows people by user id and e-mail."))
        for name in names:
            url = f"{workspace.url}/api/v1/customers/{quote(name, safe='')}"
            built.append(RequestSpec("DELETE", url, workspace.headers, covers=(index,), endpoint_label="delete"))
    return built


def build_test(workspace: Workspace, context: BuildContext) -> RequestSpec:
    """Ask for the account's region, which any valid credential may."""
    return RequestSpec("GET", f"{workspace.url}/api/v1/accounts/region", workspace.headers, endpoint_label="test")


REFUSED = answers.verdict(Outcome.REJECTED, "call_refused", "Customer.io does not take this call.")
INACTIVE = answers.verdict(Outcome.DISABLED, "forbidden", "The credential is inactive or of another product.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A 207 names the calls that are refused; the others have arrived."""
    answer = answers.parsed(response)
    if response.status in (200, 207) and request.endpoint_label == "batch" and response.error is None:
        failed = {}
        for error in answers.members(answer, "errors"):
            index = answers.index_of(error.get("batch_index"), len(request.covers))
            if index is not None:
                said = ": ".join(filter(None, map(answers.words, (error.get("field"), error.get("message")))))
                failed[index] = (REFUSED, said or answers.words(error.get("reason")))
        return answers.partial(request, response, failed)
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    if response.status == 403:
        return answers.for_all(request, response, INACTIVE)
    said = answers.words(answers.member(answer, "errors", 0, "message")) or answers.words(
        answers.member(answer, "meta", "error")
    )
    return answers.with_words(request, response, said) if said else interpret(request, response)


BATCH = BatchRule(max_items=MOST_CALLS, max_bytes=450_000)
PERSON = (
    Field(
        "person_id",
        "Person",
        description="User id, e-mail, or Customer.io's own id.",
        default=fields.USER_ID,
        category="identifier",
    ),
    Field("email", "E-mail", default=fields.EMAIL, category="pii"),
)
ANONYMOUS = Field("anonymous_id", "Anonymous id", default=fields.ANONYMOUS_ID, category="identifier")
OBJECT = (
    Field("object_id", "Object", required=True, default={"@path": "$.groupId"}, category="identifier"),
    Field("object_type_id", "Object type", default="1"),
)
TIMES = (
    Field("timestamp", "Time", "datetime", default=fields.TIMESTAMP),
    Field("event_id", "Event id", description="By which Customer.io can tell repeats; a ULID.", maximum=100),
)


def _attributes_field(default: dict[str, str]) -> Field:
    return Field("attributes", "Attributes", "object", default=default)


def _events(name: dict[str, object]) -> tuple[Field, ...]:
    named = Field("name", "Name", required=True, default=name)
    return (*PERSON, ANONYMOUS, named, _attributes_field(fields.PROPERTIES), *TIMES)


ACTIONS = (
    Action(
        "identify",
        "Create or update a person",
        "Keep a person's attributes up to date.",
        'type = "identify"',
        (
            *PERSON,
            ANONYMOUS,
            _attributes_field(fields.TRAITS),
            Field("created_at", "Created", "datetime", default=fields.of_person("created_at")),
        ),
        batched(identify),
        batch=BATCH,
    ),
    Action(
        "track",
        "Track an event",
        "Record what a person did.",
        'type = "track"',
        _events({"@path": "$.event"}),
        batched(event("event")),
        batch=BATCH,
    ),
    Action(
        "page",
        "Track a page",
        "Record a page view.",
        'type = "page"',
        _events({"@path": "$.name"}),
        batched(event("page")),
        batch=BATCH,
    ),
    Action(
        "screen",
        "Track a screen",
        "Record a screen view.",
        'type = "screen"',
        _events({"@path": "$.name"}),
        batched(event("screen")),
        batch=BATCH,
    ),
    Action(
        "group",
        "Create or update an object",
        "Keep an account or other object up to date, and relate the person to it.",
        'type = "group"',
        (
            *PERSON,
            ANONYMOUS,
            *OBJECT,
            _attributes_field(fields.TRAITS),
        ),
        batched(group),
        batch=BATCH,
    ),
    Action(
        "add_device",
        "Add a device",
        "Keep a device for push messages.",
        'type = "track" and (event = "Application Installed" or event = "Application Opened")',
        (
            *PERSON,
            Field(
                "token",
                "Device token",
                required=True,
                default={"@path": "$.context.device.token"},
                category="identifier",
            ),
            Field(
                "platform",
                "Platform",
                default={"@path": "$.context.device.type"},
                choices=(("ios", "iOS"), ("android", "Android")),
            ),
            TIMES[0],
        ),
        batched(device("add_device")),
        batch=BATCH,
    ),
    Action(
        "delete_device",
        "Remove a device",
        "Forget a device.",
        'type = "track" and event = "Application Uninstalled"',
        (*PERSON, Field("token", "Device token", required=True, default={"@path": "$.context.device.token"})),
        batched(device("delete_device")),
        batch=BATCH,
    ),
    Action(
        "merge",
        "Merge two people",
        "Merge one person into another.",
        'type = "alias"',
        (PERSON[0], Field("previous_id", "The person who goes", required=True, default={"@path": "$.previousId"})),
        batched(merge),
        batch=BATCH,
    ),
    Action(
        "suppress",
        "Suppress a person",
        "Delete a person and take no more about them.",
        'type = "track" and event = "User Suppressed"',
        PERSON,
        batched(bare("suppress")),
        batch=BATCH,
    ),
    Action(
        "unsuppress",
        "Unsuppress a person",
        "Take data about a person again.",
        'type = "track" and event = "User Unsuppressed"',
        PERSON,
        batched(bare("unsuppress")),
        batch=BATCH,
    ),
    Action(
        "delete",
        "Delete a person",
        "Delete a person's profile.",
        'type = "track" and event = "User Deleted"',
        PERSON,
        batched(bare("delete")),
        batch=BATCH,
    ),
    Action(
        "add_relationship",
        "Relate a person to an object",
        "Say that a person belongs to an object that is there.",
        'type = "track" and event = "Joined"',
        (*PERSON, ANONYMOUS, *OBJECT),
        batched(relationship("add_relationships")),
        batch=BATCH,
    ),
    Action(
        "delete_relationship",
        "End a relation to an object",
        "Say that a person belongs to an object no longer.",
        'type = "track" and event = "Left"',
        (*PERSON, ANONYMOUS, *OBJECT),
        batched(relationship("delete_relationships")),
        batch=BATCH,
    ),
    Action(
        "delete_object",
        "Delete an object",
        "Delete an account or other object, and everybody's relation to it.",
        'type = "track" and event = "Account Deleted"',
        OBJECT,
        batched(delete_object),
        batch=BATCH,
    ),
)

connector = Connector(
    slug="customer_io",
    name="Customer.io",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps people, events, objects and devices in Customer.io.",
    docs_url="https://docs.customer.io/integrations/api/track/",
    settings=(
        Field("site_id", "Site id", required=True, pattern=r"[A-Za-z0-9]{4,64}", clears_secrets=True),
        fields.secret("api_key", "API key", "Of a Track API credential."),
        fields.region(("us", "United States"), ("eu", "European Union")),
        Field(
            "convert_timestamps",
            "Convert moments",
            "boolean",
            "ISO moments within attributes become unix seconds.",
            default=True,
        ),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=tuple(
        Preset(action.title, action.key, action.default_trigger, action.default_mapping) for action in ACTIONS[:7]
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("credential", "requests", 100),),
)
