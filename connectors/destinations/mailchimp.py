"""Mailchimp: keeps the members of an audience up to date and records what they do.

**What you need.** An API key (Account → Extras → API keys; its end names the data centre) and the id of the audience
(Audience → Settings → Audience name and defaults).

**What is sent.** Identify calls create or update a member by e-mail, with merge fields. Whoever is new gets the status
you choose, or is asked to confirm where the audience has double opt-in; the status of somebody who is there already
stays as it is unless the mapping says otherwise, so that nobody who has unsubscribed is subscribed again by accident.
Track calls can be recorded as events of the member, which automations can begin with.

A second action sets members in batches, with tags. Mailchimp then wants a status for each of them and gives it also to
those who are there already: use it where you know who has agreed to what, such as for a list of sign-ups.

**Limits.** Up to 500 members go in a batch, and ten requests at once. Mailchimp names the members of a request that
it refuses; only these fail. Merge field tags have at most ten characters; an event's name has 2 to 30.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    Found,
    Identifiers,
    Payload,
    Preset,
    RateLimit,
    ResolveStep,
    Settings,
)
from connectors.batching import found_in, rounds, unknown_person
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
    members = [_member(payloads[index], {"status": payloads[index]["status"]}) for index in covers]
    body = {"members": members, "update_existing": True}
    url = f"{audience.url}?skip_merge_validation=true&skip_duplicate_check=false"
    return RequestSpec("POST", url, audience.headers, body, "json", covers, 30.0, endpoint_label="lists")


def _member(payload: Payload, status: JsonObject) -> JsonObject:
    member: JsonObject = {"email_address": payload["email"], **status}
    for key in ("language", "vip", "tags", "ip_opt"):
        if key in payload:
            member[key] = payload[key]
    merge = payload.get("merge_fields")
    if isinstance(merge, Mapping):
        known = {str(key).upper()[:LONGEST_TAG]: value for key, value in merge.items() if value is not None}
        member["merge_fields"] = {key: value for key, value in known.items() if re.fullmatch(r"[A-Z0-9_]+", key)}
    return member


def build_member(payloads: Sequence[Payload], audience: Audience, context: BuildContext) -> list[Built]:
    """Update one member in a call of its own, which alone keeps the status of who is there."""
    return [
        RequestSpec(
            "PUT",
            f"{audience.member(str(payload['email']))}?skip_merge_validation=true",
            audience.headers,
            _member(payload, _status(payload, found_in(context, index, "double_opt_in") is True)),
            "json",
            (index,),
            30.0,
            endpoint_label="lists/members",
        )
        for index, payload in enumerate(payloads)
    ]


def _status(payload: Payload, has_double_opt_in: bool) -> JsonObject:
    if payload.get("status"):
        return {"status": payload["status"]}
    if_new = payload["status_if_new"]
    return {"status_if_new": "pending" if has_double_opt_in and if_new == "subscribed" else if_new}


def _is_asked(payload: Payload) -> bool:
    return not payload.get("status") and payload.get("status_if_new") == "subscribed"


def ask_audience(
    payloads: Sequence[Payload], found: Found, audience: Audience, context: BuildContext
) -> RequestSpec | None:
    """Ask whether those who are new have to confirm, where they would be subscribed at once."""
    if not _is_asked(payloads[0]):
        return None
    return RequestSpec("GET", f"{audience.url}?fields=double_optin", audience.headers, endpoint_label="audience")


def read_audience(request: RequestSpec, response: Response) -> object:
    """Give whether the audience has double opt-in; of one that is not there the call itself tells."""
    is_told = 200 <= response.status < 300
    return answers.member(answers.parsed(response), "double_optin") is True if is_told else None


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
IF_NEW = Field("status_if_new", "Status of new members", default="subscribed", required=True, choices=STATUSES)
STATUS = Field("status", "Status", description="Of everybody, also of who has unsubscribed. Be sure.", choices=STATUSES)
ABOUT = (
    Field(
        "merge_fields",
        "Merge fields",
        "object",
        "Values by the tags of your audience; an address is an object of addr1, city, state, zip, country.",
        default={"FNAME": fields.of_person("first_name"), "LNAME": fields.of_person("last_name")},
    ),
    Field("language", "Language", maximum=10),
    Field("vip", "VIP", "boolean"),
    Field("ip_opt", "Address of the sign-up", format="ip", category="pii"),
)


def _audience_tags(audience: Audience, context: BuildContext, page: str) -> RequestSpec:
    return RequestSpec("GET", f"{audience.url}/merge-fields?count=100", audience.headers, endpoint_label="choices")


ACTIONS = (
    Action(
        "upsert_members",
        "Set members in batches",
        "Create or update many members in one call, and set the status of each.",
        'type = "identify"',
        (EMAIL, replace(STATUS, required=True), *ABOUT, Field("tags", "Tags", multiple=True)),
        build_members,
        batch=BatchRule(max_items=MOST_MEMBERS, max_bytes=8_000_000, max_wait_s=2.0),
    ),
    Action(
        "upsert_member",
        "Create or update a member",
        "Keep a member up to date, and leave the status of who is there as it is.",
        'type = "identify"',
        (EMAIL, IF_NEW, STATUS, *ABOUT),
        build_member,
        resolve=(
            ResolveStep(
                "double_opt_in",
                ask_audience,
                read_audience,
                cache_key=lambda payload, audience: "audience" if _is_asked(payload) else None,
            ),
        ),
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
        Preset("Keep members up to date", "upsert_member", 'type = "identify"', ACTIONS[1].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[2].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    interpret=interpret_answer,
    ordering="per_user",
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("credential", "concurrent", 10),),
    choices={"merge_fields": Choices(_audience_tags, answers.listed("merge_fields", value="tag", label="name"))},
)
