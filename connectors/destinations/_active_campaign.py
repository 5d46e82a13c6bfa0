"""ActiveCampaign's requests and answers: what comes first, the calls of contacts, events and visits, and deletions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from connectors import answers, auth
from connectors.base import BuildContext, Found, Identifiers, Payload, ResolveStep, Settings
from connectors.batching import MOST_EMAILS, found_in, ids_in, never_known, refuse, too_many_emails
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
    makes_missing: bool  # events and domains that ActiveCampaign does not know yet


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
        makes_missing=settings.get("make_missing") is not False,
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
    """Tag contacts, by the id of the tag or by what its name was found to be."""
    values: list[JsonObject] = []
    for index, payload in enumerate(payloads):
        found = (found_in(context, index, key) for key in ("tag", "new_tag"))
        values.append({"tag": payload.get("tag_id") or next(filter(None, found), "")})
    made = _related(payloads, account, context, "/contactTags", "contactTag", values)
    said = "Neither the id of a tag nor the name of one is there."
    return [one if values[index]["tag"] else refuse(index, "tag_missing", said) for index, one in enumerate(made)]


def ask_tag(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec | None:
    """Search the tag by its name."""
    name = payloads[0].get("tag_name")
    if payloads[0].get("tag_id") or not name:
        return None
    url = f"{account.url}/tags?{urlencode({'search': name, 'limit': 100})}"
    return RequestSpec("GET", url, account.headers, endpoint_label="tags/search")


def read_tag(request: RequestSpec, response: Response) -> str | None:
    """Give the id of the tag of exactly this name: a search finds parts of names too."""
    wanted = "".join(parse_qs(urlsplit(request.url).query).get("search", ())).strip().lower()
    tags = answers.members(answers.parsed(response), "tags") if 200 <= response.status < 300 else []
    return next((answers.words(one.get("id")) for one in tags if str(one.get("tag")).lower() == wanted), None)


def make_tag(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec | None:
    """Make a tag that was not found."""
    name = payloads[0].get("tag_name")
    if payloads[0].get("tag_id") or not name or found.get("tag"):
        return None
    body: JsonObject = {"tag": {"tag": name, "tagType": "contact", "description": ""}}
    return post(account, "/tags", body, (0,), "tags")


def _name_of_tag(payload: Payload, account: Account) -> str | None:
    return str(payload["tag_name"]).lower() if payload.get("tag_name") else None


TAGS = (
    ResolveStep("tag", ask_tag, read_tag, cache_key=_name_of_tag),
    ResolveStep("new_tag", make_tag, answers.found_at("tag", "id"), cache_key=_name_of_tag),
)


def build_events(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[Built]:
    """Track events at the tracker's own address."""
    return [_tracked(payload, index, account) for index, payload in enumerate(payloads)]


def _tracked(payload: Payload, index: int, account: Account) -> Built:
    if not account.account_id or not account.event_key:
        message = "Events need the account id and the event key in the destination's settings."
        return refuse(index, "event_key_missing", message)
    data = payload.get("properties")
    form = [
        ("actid", account.account_id),
        ("key", account.event_key),
        ("event", str(payload["name"])),
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


def registering(key: str, path: str, kind: str, name_of: Callable[[Payload], str]) -> ResolveStep:
    """Make the step that makes an event or a domain known to the account; one that is known already stays as it is."""

    def ask(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec | None:
        is_usable = account.account_id and account.makes_missing and name_of(payloads[0])
        return post(account, path, {kind: {"name": name_of(payloads[0])}}, (0,), path.strip("/")) if is_usable else None

    def read(request: RequestSpec, response: Response) -> object | ItemOutcome:
        is_known = 200 <= response.status < 300 or response.status in (409, 422)
        return True if is_known and response.error is None else interpret_answer(request, response)[0]

    return ResolveStep(key, ask, read, cache_key=lambda payload, account: name_of(payload) or None, ttl_s=24 * 3600.0)


EVENT = registering("known_event", "/eventTrackingEvents", "eventTrackingEvent", lambda payload: str(payload["name"]))
DOMAIN = registering(
    "known_domain",
    "/siteTrackingDomains",
    "siteTrackingDomain",
    lambda payload: urlsplit(str(payload["url"])).hostname or "",
)


def finding_person(place: int) -> ResolveStep:
    """Make the step that looks a person up by one of their e-mails."""

    def ask(payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext) -> RequestSpec | None:
        emails = ids_in(payloads[0].get("emails"))
        if place >= len(emails):
            return None
        url = f"{account.url}/contacts?email={quote(emails[place], safe='')}"
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
            built.append(too_many_emails(index))
        elif not any(known):
            built.append(never_known(index, *person.emails))
    return built


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Ask who the key belongs to."""
    return RequestSpec("GET", f"{account.url}/users/me", account.headers, endpoint_label="test")


def listing(path: str) -> Callable[[Account, BuildContext, str], RequestSpec]:
    """Make what asks for the lists or tags that may be chosen."""
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
