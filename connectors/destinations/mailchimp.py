"""Mailchimp: keeps the members of an audience up to date and records what they do.

**What you need.** An API key (Account → Extras → API keys; its end names the data centre) and the id of the audience
(Audience → Settings → Audience name and defaults).

**What is sent.** Identify calls create or update a member by e-mail, with merge fields and tags. Whoever is new gets
the status you choose; the status of somebody who is there already stays as it is unless the mapping says otherwise, so
that nobody who has unsubscribed is subscribed again by accident. With double opt-in choose "pending". Track calls can
be recorded as events of the member, which automations can begin with.

**Limits.** Up to 500 members go in one request, and ten requests at once. Mailchimp names the members of a request that
it refuses; only these fail. Merge field tags have at most ten characters; an event's name has 2 to 30.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

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
    Payload,
    Preset,
    RateLimit,
    Settings,
)
from connectors.batching import rounds, unknown_person
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret

BASE_URLS = {"api": "https://*.api.mailchimp.com"}
SCHEME = auth.basic_key()
MOST_MEMBERS, LONGEST_TAG = 500, 10
STATUSES = (
    ("subscribed", "Subscribed"),
    ("pending", "Pending: asked to confirm"),
    ("unsubscribed", "Unsubscribed"),
    ("transactional", "Transactional"),
)
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Audience:
    """One audience of one account."""

    url: str
    headers: Headers

    def member(self, email: str) -> str:
        """Give the address of a member, who is known by a digest of the e-mail in lower case."""
        digest = hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()
        return f"{self.url}/members/{digest}"


def prepare(settings: Settings) -> Audience:
    """Work out the address once; the data centre is the end of the key."""
    key = str(settings["api_key"])
    data_centre = key.rpartition("-")[2]
    base = str(settings.get("api_url") or "").rstrip("/") or f"https://{data_centre}.api.mailchimp.com"
    headers = auth.headers(SCHEME, settings)
    return Audience(f"{base}/3.0/lists/{quote(str(settings['audience_id']), safe='')}", headers)


def build_members(payloads: Sequence[Payload], audience: Audience, context: BuildContext) -> list[Built]:
    """Update members in one call; of a person who comes twice, each later update makes another call."""
    calls = rounds([str(payload["email"]).strip().lower()] for payload in payloads)
    return [_members(payloads, tuple(covers), audience) for covers in calls]


def _members(payloads: Sequence[Payload], covers: tuple[int, ...], audience: Audience) -> RequestSpec:
    body = {"members": [_member(payloads[index]) for index in covers], "update_existing": True}
    url = f"{audience.url}?skip_merge_validation=true&skip_duplicate_check=false"
    return RequestSpec("POST", url, audience.headers, body, "json", covers, 30.0, endpoint_label="lists")


def _member(payload: Payload) -> JsonObject:
    """Write a member; without a status of its own the batch call keeps the status of who is there."""
    member: JsonObject = {"email_address": payload["email"]}
    member["status" if payload.get("status") else "status_if_new"] = payload.get("status") or payload["status_if_new"]
    for key in ("language", "vip", "tags", "ip_opt"):
        if key in payload:
            member[key] = payload[key]
    merge = payload.get("merge_fields")
    if isinstance(merge, Mapping):
        known = {str(key).upper()[:LONGEST_TAG]: value for key, value in merge.items() if value is not None}
        member["merge_fields"] = {key: value for key, value in known.items() if re.fullmatch(r"[A-Z0-9_]+", key)}
    return member


def build_member(payloads: Sequence[Payload], audience: Audience, context: BuildContext) -> list[Built]:
    """Update one member in a call of its own, which tells its fate exactly."""
    return [
        RequestSpec(
            "PUT",
            f"{audience.member(str(payload['email']))}?skip_merge_validation=true",
            audience.headers,
            {key: value for key, value in _member(payload).items() if key != "tags"},
            "json",
            (index,),
            30.0,
            endpoint_label="lists/members",
        )
        for index, payload in enumerate(payloads)
    ]


def build_events(payloads: Sequence[Payload], audience: Audience, context: BuildContext) -> list[Built]:
    """Record what a member did; values of properties are texts there."""
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        own = payload.get("properties")
        body: JsonObject = {"name": event_name(str(payload["name"]))}
        if isinstance(own, Mapping):
            body["properties"] = {str(key): _text(value) for key, value in own.items() if value is not None}
        if payload.get("occurred_at"):
            body["occurred_at"] = payload["occurred_at"]
        url = f"{audience.member(str(payload['email']))}/events"
        built.append(
            RequestSpec("POST", url, audience.headers, body, "json", (index,), endpoint_label="lists/members/events")
        )
    return built


def event_name(name: str) -> str:
    """Write a name as Mailchimp takes them: letters, digits, `_` and `-`, 2 to 30 characters."""
    text = re.sub(r"[^A-Za-z0-9_-]+", "_", name.strip()).strip("_")[:30]
    return text if len(text) > 1 else f"event_{text}"


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def build_deletion(people: Sequence[Identifiers], audience: Audience, context: BuildContext) -> list[Built]:
    """Delete members for good; they can never be added again by the API."""
    built: list[Built] = []
    for index, person in enumerate(people):
        for member in dict.fromkeys(map(audience.member, person.emails)):
            url = f"{member}/actions/delete-permanent"
            built.append(RequestSpec("POST", url, audience.headers, covers=(index,), endpoint_label="delete"))
        if not person.emails:
            built.append(unknown_person(index, "Mailchimp knows people by e-mail alone."))
    return built


def build_test(audience: Audience, context: BuildContext) -> RequestSpec:
    """Read the audience's name."""
    return RequestSpec("GET", f"{audience.url}?fields=id,name", audience.headers, endpoint_label="test")


REFUSED = answers.verdict(Outcome.REJECTED, "member_refused", "Mailchimp does not take this member.")
OPTED_OUT = answers.verdict(Outcome.REJECTED, "needs_to_sign_up_again", "This person must sign up again themselves.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Mailchimp asks to wait.")
NO_AUDIENCE = answers.verdict(Outcome.DISABLED, "audience_not_found", "There is no audience of this id.")
OFF = answers.verdict(Outcome.DISABLED, "account_disabled", "Mailchimp has switched this account off.")
FORGOTTEN = ("Forgotten Email Not Subscribed", "Member In Compliance State")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Batches name their members by address; a 403 that is no problem document comes from the rate limiter."""
    answer = answers.parsed(response)
    title, detail = (answers.words(answers.member(answer, key)) for key in ("title", "detail"))
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    if 200 <= response.status < 300 and response.error is None:
        return answers.partial(request, response, _refused(request, answer))
    if response.status == 403:
        if not title:
            return answers.for_all(request, response, LIMITED)
        is_off = title in ("User Disabled", "Account Deactivated", "Wrong Datacenter", "User Action Not Permitted")
        return (
            answers.for_all(request, response, OFF, detail) if is_off else answers.with_words(request, response, detail)
        )
    if response.status == 404 and request.endpoint_label in ("lists", "test"):
        return answers.for_all(request, response, NO_AUDIENCE, detail)
    if response.status == 400 and title in FORGOTTEN:
        return answers.for_all(request, response, OPTED_OUT, detail)
    said = ": ".join(filter(None, (title, detail)))
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _refused(request: RequestSpec, answer: object) -> dict[int, tuple[Verdict, str]]:
    body = request.body if isinstance(request.body, dict) else {}
    places = {
        str(one.get("email_address")).lower(): place for place, one in enumerate(answers.members(body, "members"))
    }
    found = {}
    for error in answers.members(answer, "errors"):
        place = places.get(answers.words(error.get("email_address")).lower())
        said = answers.words(error.get("error"))
        is_out = (
            error.get("error_code") in ("ERROR_CONTACT_EXISTS_COMPLIANCE", "ERROR_FORGOTTEN") or "Forgotten" in said
        )
        if place is not None:
            found[place] = (OPTED_OUT if is_out else REFUSED, said)
    return found


EMAIL = Field("email", "E-mail", required=True, default=fields.EMAIL, format="email", category="pii")
MEMBER = (
    EMAIL,
    Field("status_if_new", "Status of new members", default="subscribed", required=True, choices=STATUSES),
    Field("status", "Status", description="Of everybody, also of who has unsubscribed. Be sure.", choices=STATUSES),
    Field(
        "merge_fields",
        "Merge fields",
        "object",
        "Values by the tags of your audience; an address is an object of addr1, city, state, zip, country.",
        default={"FNAME": fields.of_person("first_name"), "LNAME": fields.of_person("last_name")},
    ),
    Field("language", "Language", maximum=10),
    Field("vip", "VIP", "boolean"),
    Field("tags", "Tags", description="Added in batches.", multiple=True),
    Field("ip_opt", "Address of the sign-up", format="ip", category="pii"),
)


def _audience_tags(audience: Audience, context: BuildContext, page: str) -> RequestSpec:
    return RequestSpec("GET", f"{audience.url}/merge-fields?count=100", audience.headers, endpoint_label="choices")


ACTIONS = (
    Action(
        "upsert_members",
        "Create or update members",
        "Keep members up to date, many in one call.",
        'type = "identify"',
        MEMBER,
        build_members,
        batch=BatchRule(max_items=MOST_MEMBERS, max_bytes=8_000_000, max_wait_s=2.0),
    ),
    Action(
        "upsert_member",
        "Create or update one member",
        "Keep a member up to date in a call of its own.",
        'type = "identify"',
        MEMBER,
        build_member,
    ),
    Action(
        "track_event",
        "Track an event",
        "Record what a member did.",
        'type = "track"',
        (
            EMAIL,
            Field("name", "Event", required=True, default=fields.EVENT),
            Field("occurred_at", "Time", "datetime", default=fields.TIMESTAMP),
            Field("properties", "Properties", "object", default=fields.PROPERTIES),
        ),
        build_events,
    ),
)

connector = Connector(
    slug="mailchimp",
    name="Mailchimp",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps the members of a Mailchimp audience up to date.",
    docs_url="https://mailchimp.com/developer/marketing/api/list-members/",
    settings=(
        Field(
            "api_key",
            "API key",
            "password",
            "Account → Extras → API keys; ends in the data centre, such as -us6.",
            required=True,
            secret=True,
            pattern=r"[A-Za-z0-9]{8,64}-[a-z]{2}[0-9]{1,3}",
        ),
        Field("audience_id", "Audience", required=True, pattern=r"[A-Za-z0-9]{4,32}"),
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep members up to date", "upsert_members", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[2].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("credential", "concurrent", 10),),
    choices={"merge_fields": Choices(_audience_tags, answers.listed("merge_fields", value="tag", label="name"))},
)
