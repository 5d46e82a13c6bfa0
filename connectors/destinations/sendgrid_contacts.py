"""SendGrid Marketing Contacts: keeps the people you can send campaigns to up to date.

**What you need.** An API key with the permission "Marketing" (Settings → API Keys). Accounts in the European Union
choose the region EU.

**What is sent.** Identify calls create or update the contact that has the person's e-mail, phone number, external id or
anonymous id; at least one of them is needed. Contacts can be put on lists. Custom fields are mapped by their names; the
hub asks SendGrid for their ids and remembers them for ten minutes. A name that SendGrid does not know is left out.

**What comes back.** SendGrid takes contacts as a job and imports them later; the hub asks until the job has ended. Of
an import that went through in part SendGrid tells how many contacts it refused, and puts which into a file that only
its own pages (Marketing → Contacts → Import) lead to. All contacts of the import then count as delivered with the
warnings count_mismatch and, say, 3_of_200_refused; when it refused all, all fail.

**Limits.** Up to 30,000 contacts and 6 MB go in one request. Deleting a person looks the contact up and deletes it by
its id; deleting all contacts at once cannot be asked for.
"""

from __future__ import annotations

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
    Found,
    Identifiers,
    Job,
    Payload,
    Preset,
    ResolveStep,
    Settings,
)
from connectors.batching import found_in, ids_in, never_known, refuse
from connectors.http import COUNT_MISMATCH, Headers, ItemOutcome, Outcome, RequestSpec, Response, interpret

BASE_URLS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
SCHEME = auth.bearer("api_key")
IDENTIFIERS = ("email", "phone_number_id", "external_id", "anonymous_id")


@dataclass(frozen=True, slots=True)
class Account:
    """The account whose contacts are kept."""

    url: str
    headers: Headers


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once."""
    return Account(f"{fields.api_url(BASE_URLS, settings)}/v3/marketing", auth.headers(SCHEME, settings))


def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all contacts into one request; they share their lists."""
    decided: list[RequestSpec | ItemOutcome] = []
    contacts, covers = [], []
    for index, payload in enumerate(payloads):
        if any(payload.get(key) for key in IDENTIFIERS):
            covers.append(index)
            contacts.append(_contact(payload, context.found[index] if context.found else {}))
        else:
            decided.append(refuse(index, "no_identifier", NO_IDENTIFIER))
    if contacts:
        body: dict[str, object] = {"contacts": contacts}
        if payloads[covers[0]].get("list_ids"):
            body = {"list_ids": payloads[covers[0]]["list_ids"], **body}
        decided.append(
            RequestSpec(
                "PUT",
                f"{account.url}/contacts",
                account.headers,
                body,
                "json",
                tuple(covers),
                30.0,
                endpoint_label="contacts",
            )
        )
    return decided


NO_IDENTIFIER = "A contact needs an e-mail, a phone number, an external id or an anonymous id."


def _contact(payload: Payload, found: Found) -> dict[str, object]:
    """Name custom fields by their ids; those that SendGrid does not have are left out."""
    contact = {key: value for key, value in payload.items() if key not in ("list_ids", "custom_fields")}
    own, known = payload.get("custom_fields"), found.get("field_ids")
    if isinstance(own, Mapping) and isinstance(known, Mapping):
        custom = {str(known[name]): value for name, value in own.items() if name in known and value is not None}
        if custom:
            contact["custom_fields"] = custom
    return contact


def ask_field_ids(
    payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext
) -> RequestSpec | None:
    """Ask for the custom fields, where somebody has some."""
    if not any(payload.get("custom_fields") for payload in payloads):
        return None
    return RequestSpec("GET", f"{account.url}/field_definitions", account.headers, endpoint_label="field_definitions")


def read_field_ids(request: RequestSpec, response: Response) -> object:
    """Give the id of each custom field by its name."""
    if not 200 <= response.status < 300:
        return None
    defined = answers.members(answers.parsed(response), "custom_fields")
    return {answers.words(one.get("name")): answers.words(one.get("id")) for one in defined}


FAILED = answers.verdict(Outcome.REJECTED, "import_failed", "SendGrid could not import these contacts.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "The key may not change marketing contacts.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Contacts are taken as a job; a contact that is to be deleted and is not there is deleted."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300 and response.error is None:
        job = answers.words(answers.member(answer, "job_id"))
        if request.endpoint_label == "contacts" and job:
            return answers.pending(request, response, job)
        return answers.delivered(request, response)
    if request.endpoint_label == "delete" and response.status == 404:
        return answers.delivered(request, response)
    said = answers.words(answers.member(answer, "errors", 0, "message"))
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def ask_job(job_id: str, account: Account, context: BuildContext) -> RequestSpec:
    """Ask how far an import has come."""
    url = f"{account.url}/contacts/imports/{quote(job_id, safe='')}"
    return RequestSpec("GET", url, account.headers, endpoint_label="imports")


def read_job(request: RequestSpec, response: Response, count: int) -> list[ItemOutcome] | None:
    """Read an import that has ended. SendGrid says how many failed, and which in a file for people: all are warned."""
    answer = answers.parsed(response)
    status = answers.words(answers.member(answer, "status"))
    if not 200 <= response.status < 300 or status not in ("completed", "errored", "failed"):
        return None
    everyone = RequestSpec(request.method, request.url, covers=tuple(range(count)))
    failures = answers.member(answer, "results", "errored_count")
    failed_count = failures if type(failures) is int else 0
    if status == "failed" or failed_count >= count > 0:
        return answers.for_all(everyone, response, FAILED, status)
    done = answers.delivered(everyone, response)
    if status == "completed" and not failed_count:
        return done
    return answers.warned(done, COUNT_MISMATCH, f"{failed_count or 'some'}_of_{count}_refused")


def find_contact(
    payloads: Sequence[Payload], found: Found, account: Account, context: BuildContext
) -> RequestSpec | None:
    """Look a person up by e-mail, else by external id."""
    person = payloads[0]
    emails, ids = ids_in(person.get("emails")), [person.get("user_id"), *ids_in(person.get("external_ids"))]
    if emails:
        body: dict[str, object] = {"emails": emails}
        return RequestSpec(
            "POST", f"{account.url}/contacts/search/emails", account.headers, body, "json", endpoint_label="find"
        )
    known = [str(one) for one in ids if one]
    if not known:
        return None
    listed = ", ".join("'" + one.replace("\\", "\\\\").replace("'", "\\'") + "'" for one in known)
    query = {"query": f"external_id IN ({listed})"}
    return RequestSpec("POST", f"{account.url}/contacts/search", account.headers, query, "json", endpoint_label="find")


def read_contact(request: RequestSpec, response: Response) -> object:
    """Give the ids of the contacts found."""
    if not 200 <= response.status < 300:
        return None
    result = answers.member(answers.parsed(response), "result")
    if isinstance(result, Mapping):
        found = [answers.member(one, "contact", "id") for one in result.values()]
    else:
        found = [one.get("id") for one in answers.members(result)]
    return [str(one) for one in found if isinstance(one, str) and one]


def build_deletion(
    people: Sequence[Identifiers], account: Account, context: BuildContext
) -> list[RequestSpec | ItemOutcome]:
    """Delete the contacts that were found; who is not there is deleted already."""
    built: list[RequestSpec | ItemOutcome] = []
    for index, person in enumerate(people):
        ids = found_in(context, index, "contacts")
        if isinstance(ids, list) and ids:
            url = f"{account.url}/contacts?ids={quote(','.join(map(str, ids)), safe=',')}"
            built.append(RequestSpec("DELETE", url, account.headers, covers=(index,), endpoint_label="delete"))
        else:
            built.append(never_known(index, *person.emails, person.user_id, *person.external_ids))
    return built


def _lists(account: Account, context: BuildContext, page: str) -> RequestSpec:
    url = fields.page_url(f"{account.url}/lists?page_size=1000", page)
    return RequestSpec("GET", url, account.headers, endpoint_label="choices")


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Read the fields that contacts have."""
    return RequestSpec("GET", f"{account.url}/field_definitions", account.headers, endpoint_label="test")


def _trait(key: str, label: str, trait: str = "", longest: int = 255) -> Field:
    return Field(key, label, maximum=longest, category="pii", default=fields.of_person(trait) if trait else None)


UPSERT = Action(
    key="upsert_contact",
    title="Create or update a contact",
    description="Keep a marketing contact up to date, and put it on lists.",
    default_trigger='type = "identify"',
    fields=(
        Field("email", "E-mail", format="email", default=fields.EMAIL, category="pii"),
        Field("phone_number_id", "Phone number as an id", format="e164", category="pii"),
        Field("external_id", "External id", default=fields.USER_ID, category="identifier", maximum=255),
        Field("anonymous_id", "Anonymous id", default=fields.ANONYMOUS_ID, category="identifier", maximum=255),
        _trait("first_name", "First name", "first_name", 50),
        _trait("last_name", "Last name", "last_name", 50),
        Field("alternate_emails", "Other e-mails", multiple=True, format="email", category="pii"),
        _trait("address_line_1", "Address", "address.street", 100),
        _trait("address_line_2", "Address, second line", "", 100),
        _trait("city", "City", "address.city", 60),
        _trait("state_province_region", "State or region", "address.state", 50),
        _trait("country", "Country", "address.country", 50),
        _trait("postal_code", "Postcode", "address.postal_code", 20),
        _trait("phone_number", "Phone number", "phone", 50),
        _trait("whatsapp", "WhatsApp", "", 255),
        _trait("line", "LINE", "", 255),
        _trait("facebook", "Facebook", "", 255),
        _trait("unique_name", "Unique name", "", 255),
        Field("custom_fields", "Custom fields", "object", "Values by the names of SendGrid's custom fields."),
        Field(
            "list_ids", "Lists", description="Ids of the lists to put the contact on.", multiple=True, dynamic="lists"
        ),
    ),
    build=build,
    batch=BatchRule(max_items=30_000, max_bytes=6_000_000, max_wait_s=5.0, keys=("list_ids",)),
    resolve=(
        ResolveStep(
            "field_ids",
            ask_field_ids,
            read_field_ids,
            per="batch",
            cache_key=lambda payload, account: "fields",
            ttl_s=600.0,
        ),
    ),
    job=Job(ask_job, read_job, poll_interval_s=30.0, max_wait_s=6 * 3600.0),
)

connector = Connector(
    slug="sendgrid_contacts",
    name="SendGrid Marketing Contacts",
    version="1.0.0",
    category="marketing",
    status="stable",
    description="Keeps the contacts of SendGrid's marketing campaigns up to date.",
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact",
    settings=(
        fields.secret("api_key", "API key", "Begins with SG.; needs the permission for marketing."),
        fields.region(("global", "Global"), ("eu", "European Union")),
        fields.API_URL,
    ),
    actions=(UPSERT,),
    presets=(Preset("Keep contacts up to date", "upsert_contact", 'type = "identify"', UPSERT.default_mapping),),
    prepare=prepare,
    test=build_test,
    delete=Deletion(
        max_people=100,
        build=build_deletion,
        resolve=(ResolveStep("contacts", find_contact, read_contact),),
    ),
    interpret=interpret_answer,
    auth=(SCHEME,),
    base_urls=BASE_URLS,
    choices={
        "lists": Choices(_lists, answers.listed("result", value="id", label="name", following=("_metadata", "next")))
    },
)
