"""ActiveCampaign: contacts, their lists and tags, and the events and page views that automations begin with.

**What you need.** The API address and key of the account (Settings → Developer). For events also the account id and the
event key (Settings → Tracking); for page views, the domain must be allowed there.

**What is sent.** Identify calls create or update the contact of the person's e-mail; custom fields are mapped by their
ids. Contacts can be put on a list or tagged: the contact is created first, so that there is one. Track calls become
tracked events, page calls visits. Without an e-mail a delivery is rejected.

**Limits.** ActiveCampaign takes five requests a second. An event's name must be known there before; ActiveCampaign says
so when it is not. Creating a contact that is there already changes nothing but what you send, so repeats do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

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
from connectors.batching import MOST_EMAILS, found_in, never_known, refuse, too_many_emails
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {
    "api": "https://*.api-us1.com",
    "europe": "https://*.api-eu1.com",
    "hosted": "https://*.activehosted.com",
    "events": "https://trackcmp.net",
}
SCHEME = auth.header("api-token")
MOST_CONTACTS = 250
JsonObject = dict[str, object]
Built = RequestSpec | ItemOutcome


@dataclass(frozen=True, slots=True)
class Account:
    """One account of ActiveCampaign."""

    url: str
    headers: Headers
    events_url: str
    account_id: str
    event_key: str


def prepare(settings: Settings) -> Account:
    """Work out addresses and credentials once; one address of the owner's own stands in for both."""
    own = str(settings.get("api_url") or "").rstrip("/")
    base = own or f"https://{urlsplit(str(settings['account_url'])).netloc}"
    return Account(
        url=f"{base}/api/3",
        headers=auth.headers(SCHEME, settings),
        events_url=own or BASE_URLS["events"],
        account_id=str(settings.get("account_id") or ""),
        event_key=str(settings.get("event_key") or ""),
    )


def contact(payload: Payload) -> JsonObject:
    """Write a contact; custom fields go by their ids."""
    names = {"email": "email", "first_name": "firstName", "last_name": "lastName", "phone": "phone"}
    written: JsonObject = {name: payload[key] for key, name in names.items() if payload.get(key)}
    own = payload.get("field_values")
    if isinstance(own, Mapping) and own:
        written["fieldValues"] = [
            {"field": str(key), "value": _text(value)} for key, value in own.items() if value is not None
        ]
    return written


def _text(value: object) -> str:
    """Write a custom field's value; several choices stand between double bars."""
    if isinstance(value, list):
        return "||" + "||".join(map(str, value)) + "||"
    return value if isinstance(value, str) else json.dumps(value)


def post(account: Account, path: str, body: JsonObject, covers: tuple[int, ...], label: str) -> RequestSpec:
    """Make a request of the API's one form."""
    return RequestSpec("POST", account.url + path, account.headers, body, "json", covers, endpoint_label=label)


def build_contacts(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Create or update contacts, one call each."""
    return [
        post(account, "/contact/sync", {"contact": contact(payload)}, (index,), "contact/sync")
        for index, payload in enumerate(payloads)
    ]


def build_import(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Import contacts in one call, which ActiveCampaign works off later."""
    contacts: list[JsonObject] = []
    for payload in payloads:
        written = {
            key: payload[key] for key in ("email", "first_name", "last_name", "phone", "tags") if payload.get(key)
        }
        own, lists = payload.get("field_values"), payload.get("list_ids")
        if isinstance(own, Mapping) and own:
            written["fields"] = [
                {"id": str(key), "value": _text(value)} for key, value in own.items() if value is not None
            ]
        if isinstance(lists, list) and lists:
            written["subscribe"] = [{"listid": one} for one in lists]
        contacts.append(written)
    covers = tuple(range(len(payloads)))
    return [post(account, "/import/bulk_import", {"contacts": contacts}, covers, "import/bulk_import")]


def ask_contact(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec:
    """Create or update the contact, which tells its id."""
    return post(account, "/contact/sync", {"contact": contact(payloads[0])}, (0,), "contact/sync")


CONTACT = ResolveStep(
    "contact_id",
    ask_contact,
    answers.found_at("contact", "id"),
    cache_key=lambda payload, account: json.dumps(contact(payload), sort_keys=True, default=str),
    ttl_s=600.0,
)


def _related(
    payloads: Sequence[Payload],
    account: Account,
    context: BuildContext,
    path: str,
    key: str,
    values: Sequence[JsonObject],
) -> list[Built]:
    built: list[Built] = []
    for index, _ in enumerate(payloads):
        contact_id = found_in(context, index, "contact_id")
        if not contact_id:
            built.append(refuse(index, "contact_missing", "ActiveCampaign gave no contact."))
        else:
            body: JsonObject = {key: {"contact": contact_id, **values[index]}}
            built.append(post(account, path, body, (index,), path.strip("/")))
    return built


def build_lists(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Put contacts on a list, or take them off."""
    values: list[JsonObject] = [
        {"list": payload["list_id"], "status": 2 if payload.get("status") == "unsubscribed" else 1}
        for payload in payloads
    ]
    return _related(payloads, account, context, "/contactLists", "contactList", values)


def build_tags(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Tag contacts."""
    values: list[JsonObject] = [{"tag": payload["tag_id"]} for payload in payloads]
    return _related(payloads, account, context, "/contactTags", "contactTag", values)


def build_events(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Track events at the tracker's own address."""
    return [_tracked(payload, index, account, str(payload["name"])) for index, payload in enumerate(payloads)]


def _tracked(payload: Payload, index: int, account: Account, name: str) -> Built:
    if not account.account_id or not account.event_key:
        message = "Events need the account id and the event key in the destination's settings."
        return ItemOutcome(index, Outcome.REJECTED, reason="event_key_missing", message=message)
    data = payload.get("properties")
    form = [
        ("actid", account.account_id),
        ("key", account.event_key),
        ("event", name),
        ("eventdata", json.dumps(data, default=str) if isinstance(data, Mapping) else str(data or "")),
        ("visit", json.dumps({"email": payload["email"]})),
    ]
    return RequestSpec(
        "POST",
        f"{account.events_url}/event",
        (),
        form,
        "form",
        (index,),
        endpoint_label="event",
        is_idempotent=False,
    )


def build_pages(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Track visits of pages."""
    if not account.account_id:
        message = "Page views need the account id in the destination's settings."
        return [refuse(index, "account_id_missing", message) for index, _ in enumerate(payloads)]
    built: list[Built] = []
    for index, payload in enumerate(payloads):
        query = urlencode({"actid": account.account_id, "e": payload["email"], "u": payload["url"]})
        url = f"{account.events_url}/visit?{query}"
        built.append(RequestSpec("GET", url, covers=(index,), endpoint_label="visit", is_idempotent=False))
    return built


def finding_person(place: int) -> ResolveStep:
    """Make the step that looks a person up by one of their e-mails."""

    def ask(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec | None:
        emails = payloads[0].get("emails")
        if not isinstance(emails, list | tuple) or place >= len(emails):
            return None
        url = f"{account.url}/contacts?email={quote(str(emails[place]), safe='')}"
        return RequestSpec("GET", url, account.headers, endpoint_label="contacts")

    return ResolveStep(f"contact_{place}", ask, answers.found_at("contacts", 0, "id"))


def build_deletion(people: Sequence[Identifiers], account: Account, context: BuildContext) -> list[Built]:
    """Delete the contacts that were found."""
    built: list[Built] = []
    for index, person in enumerate(people):
        known = dict.fromkeys(found_in(context, index, f"contact_{place}") for place in range(MOST_EMAILS))
        for contact_id in filter(None, known):
            url = f"{account.url}/contacts/{quote(str(contact_id), safe='')}"
            built.append(RequestSpec("DELETE", url, account.headers, covers=(index,), endpoint_label="delete"))
        if len(person.emails) > MOST_EMAILS:
            built.append(too_many_emails(index, MOST_EMAILS))
        elif not any(known):
            built.append(never_known(index, *person.emails))
    return built


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Ask who the key belongs to."""
    return RequestSpec("GET", f"{account.url}/users/me", account.headers, endpoint_label="test")


def _listing(path: str) -> Callable[[Account, BuildContext, str], RequestSpec]:
    return lambda account, context, page: RequestSpec(
        "GET", f"{account.url}{path}?limit=100", account.headers, endpoint_label="choices"
    )


UNKNOWN_EVENT = answers.verdict(Outcome.REJECTED, "event_refused", "ActiveCampaign does not take this event.")
BAD_TOKEN = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "ActiveCampaign refuses the API key.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """The tracker answers 200 with `success`; the API calls a bad key a 403."""
    answer = answers.parsed(response)
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    said = answers.words(answers.member(answer, "message")) or answers.words(
        answers.member(answer, "errors", 0, "title")
    )
    if 200 <= response.status < 300 and answers.member(answer, "success") in (0, False, "0"):
        return answers.for_all(request, response, UNKNOWN_EVENT, said)
    if response.status == 403 and request.endpoint_label != "event":
        return answers.for_all(request, response, BAD_TOKEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


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
        build_contacts,
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
        build_import,
        batch=BatchRule(max_items=MOST_CONTACTS, max_bytes=400_000, max_wait_s=5.0),
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
        build_lists,
        resolve=(CONTACT,),
    ),
    Action(
        "add_tag",
        "Tag a contact",
        "Give a contact a tag.",
        'type = "track"',
        (*PERSON, Field("tag_id", "Tag", required=True, dynamic="tags")),
        build_tags,
        resolve=(CONTACT,),
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
        build_events,
        idempotent=False,
    ),
    Action(
        "track_page",
        "Track a page",
        "Record the visit of a page.",
        'type = "page"',
        (EMAIL, Field("url", "Page", required=True, default={"@path": "$.properties.url"}, format="uri")),
        build_pages,
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
        fields.API_URL,
    ),
    actions=ACTIONS,
    presets=(
        Preset("Keep contacts up to date", "sync_contact", 'type = "identify"', ACTIONS[0].default_mapping),
        Preset("Track events", "track_event", 'type = "track"', ACTIONS[4].default_mapping),
        Preset("Track pages", "track_page", 'type = "page"', ACTIONS[5].default_mapping),
    ),
    prepare=prepare,
    test=build_test,
    delete=Deletion(
        max_people=50,
        build=build_deletion,
        resolve=tuple(map(finding_person, range(MOST_EMAILS))),
    ),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    rate_limits=(RateLimit("credential", "requests", 5),),
    choices={
        "lists": Choices(_listing("/lists"), answers.listed("lists", value="id", label="name")),
        "tags": Choices(_listing("/tags"), answers.listed("tags", value="id", label="tag")),
    },
)
