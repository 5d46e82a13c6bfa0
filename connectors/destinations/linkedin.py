"""LinkedIn Conversions API: tells LinkedIn which of its people became customers.

**What you need.** An app in LinkedIn's developer portal with the products "Conversions API" and its scope
`rw_conversions`; its client id and secret go here, and somebody who may manage the ad account signs in. And the id of a
conversion rule (Campaign Manager → Measurement → Conversion tracking) whose data source is the Conversions API.

**What is sent.** One conversion of the rule for each event that a mapping's trigger meets, with time, value and the
person: e-mail as a SHA-256 digest, LinkedIn's click id (li_fat_id), and where these are not known name, company, title
and country. The event id is the message id, so that LinkedIn drops what its Insight Tag has told already with the same
id.

**Limits.** LinkedIn takes conversions of the last 90 days, and needs an e-mail, a click id, another LinkedIn id, or
first and last name. A country is sent as its code of two letters, and left out where it is none. Up to 5,000
conversions go in one call; LinkedIn answers for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors import answers, auth, fields, hashing, places
from connectors.auth import OAuth2
from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Field,
    Payload,
    Preset,
    RateLimit,
    Settings,
    When,
)
from connectors.batching import gather, refuse
from connectors.destinations import _ads as ads
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret
from connectors.moments import milliseconds_of

BASE_URLS = {"api": "https://api.linkedin.com"}
# The version of the API that these requests are written for; LinkedIn ends one after a year.
VERSION = "202603"
GRANT = OAuth2(
    token_url="https://www.linkedin.com/oauth/v2/accessToken",  # noqa: S106 - an address
    authorize_url="https://www.linkedin.com/oauth/v2/authorization",
    scopes=("rw_conversions", "r_ads"),
)
SCHEMES = (auth.oauth2_code(GRANT), auth.bearer("access_token"))
MOST_CONVERSIONS, DAYS = 5_000, 90
RULE = r"(urn:lla:llaPartnerConversion:)?\d{3,20}"
ID_TYPES = {
    "email": "SHA256_EMAIL",
    "li_fat_id": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
    "acxiom_id": "ACXIOM_ID",
    "oracle_moat_id": "ORACLE_MOAT_ID",
}
INFO = {
    "first_name": "firstName",
    "last_name": "lastName",
    "company": "companyName",
    "title": "title",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who tells LinkedIn."""

    url: str
    headers: Headers
    rule: str


def prepare(settings: Settings) -> Account:
    """Work out address and headers once."""
    own = auth.headers(auth.choose(SCHEMES, settings), settings)
    headers = (*own, ("linkedin-version", VERSION), ("x-restli-protocol-version", "2.0.0"))
    return Account(f"{fields.api_url(BASE_URLS, settings)}/rest", headers, str(settings["conversion_rule"]))


def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Put all conversions that can be sent into one call."""
    gathered = gather(payloads, lambda index, payload: _conversion(index, payload, account, context))
    built: list[RequestSpec | ItemOutcome] = [*gathered.decided]
    if gathered.entries:
        headers = (*account.headers, ("x-restli-method", "BATCH_CREATE"))
        body = {"elements": gathered.entries}
        url = f"{account.url}/conversionEvents"
        built.append(
            RequestSpec("POST", url, headers, body, "json", gathered.covers, 30.0, endpoint_label="conversionEvents")
        )
    return built


def _conversion(index: int, payload: Payload, account: Account, context: BuildContext) -> ads.JsonObject | ItemOutcome:
    ids = [{"idType": kind, "idValue": payload[key]} for key, kind in ID_TYPES.items() if payload.get(key)]
    info = {name: payload[key] for key, name in INFO.items() if payload.get(key)}
    country = places.country_code(str(payload.get("country") or "")).upper()
    info |= {"countryCode": country} if country else {}
    has_name = "firstName" in info and "lastName" in info
    problem = ads.first_problem(
        lambda: None if ids or has_name else refuse(index, "no_identifier", NOBODY),
        lambda: ads.age_problem(index, payload["happened_at"], context.now, DAYS, "LinkedIn"),
        lambda: ads.currency_problem(index, payload.get("currency"), "LinkedIn"),
    )
    if problem is not None:
        return problem
    user: ads.JsonObject = {"userIds": ids}
    if has_name:
        user["userInfo"] = info
    if payload.get("external_id"):
        user["externalIds"] = [payload["external_id"]]
    rule = str(payload.get("conversion_rule") or account.rule).rpartition(":")[2]
    conversion: ads.JsonObject = {
        "conversion": f"urn:lla:llaPartnerConversion:{rule}",
        "conversionHappenedAt": milliseconds_of(payload["happened_at"]),
        "eventId": payload.get("event_id") or context.message_ids[index],
        "user": user,
    }
    if "value" in payload and "currency" in payload:
        amount = str(payload["value"])
        conversion["conversionValue"] = {"currencyCode": str(payload["currency"]).upper(), "amount": amount}
    return conversion


NOBODY = "LinkedIn needs an e-mail, a click id, or first and last name."


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Ask who has signed in."""
    return RequestSpec("GET", f"{account.url}/me", account.headers, endpoint_label="test")


REFUSED = answers.verdict(Outcome.REJECTED, "conversion_refused", "LinkedIn does not take this conversion.")
AGAIN = answers.verdict(Outcome.RETRY, "server_error", "LinkedIn has trouble of its own.")
FORBIDDEN = answers.verdict(Outcome.DISABLED, "forbidden", "Who has signed in may not send conversions.")
MISSING = answers.verdict(Outcome.RETRY, "missing_item", "LinkedIn did not answer for this conversion.")


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """A batch is answered element by element, in order."""
    answer = answers.parsed(response)
    said = answers.words(answers.member(answer, "message"))
    if request.endpoint_label == "conversionEvents" and response.status in (200, 207) and response.error is None:
        elements = answers.member(answer, "elements")
        told = elements if isinstance(elements, list) else []
        failed = {}
        for place in range(len(request.covers)):
            verdict = _judged(told[place] if place < len(told) else None)
            if verdict is not None:
                failed[place] = verdict
        return answers.partial(request, response, failed)
    if response.status == 403:
        return answers.for_all(request, response, FORBIDDEN, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


def _judged(element: object) -> tuple[Verdict, str] | None:
    """Say what became of one element; None when it has arrived."""
    status = answers.member(element, "status")
    if not isinstance(status, int):
        return MISSING, ""
    if 200 <= status < 300:
        return None
    said = answers.words(answers.member(element, "error", "message"))
    return (AGAIN if status >= 500 or status == 429 else REFUSED), said


SEND = Action(
    key="send_conversion",
    title="Send a conversion",
    description="Tell LinkedIn that a person has converted.",
    default_trigger='type = "track" and event = "Order Completed"',
    fields=(
        Field("conversion_rule", "Conversion rule", description="Instead of the destination's own.", pattern=RULE),
        Field("happened_at", "Time", "datetime", required=True, default=fields.TIMESTAMP),
        Field("event_id", "Event id", description="The same as your tag's; the message id unless mapped."),
        ads.hashed("email", "E-mail", hashing.email, fields.EMAIL),
        ads.plain("li_fat_id", "Click id (li_fat_id)", {"@path": "$.properties.li_fat_id"}),
        ads.plain("acxiom_id", "Acxiom id"),
        ads.plain("oracle_moat_id", "Oracle MOAT id"),
        Field("first_name", "First name", default=ads.NAME_TRAITS["first_name"], category="pii"),
        Field("last_name", "Last name", default=ads.NAME_TRAITS["last_name"], category="pii"),
        Field("company", "Company", default=fields.of_person("company.name"), category="pii"),
        Field("title", "Title", default=fields.of_person("title"), category="pii"),
        Field("country", "Country", description="Name or code.", default=ads.NAME_TRAITS["country"], category="pii"),
        ads.plain("external_id", "User id", fields.USER_ID),
        Field("value", "Value", "number", default=ads.VALUE),
        Field("currency", "Currency", default=ads.CURRENCY),
    ),
    build=build,
    batch=BatchRule(max_items=MOST_CONVERSIONS, max_bytes=8_000_000),
)
CODE, TOKEN = When("auth", ("oauth2_code",)), When("auth", ("bearer",))

connector = Connector(
    slug="linkedin",
    name="LinkedIn Conversions",
    version="1.0.0",
    category="advertising",
    status="stable",
    description="Tells LinkedIn which of its people became customers.",
    docs_url="https://learn.microsoft.com/en-us/linkedin/marketing/conversions/conversions-overview",
    settings=(
        Field(
            "auth",
            "Authentication",
            default="oauth2_code",
            choices=(("oauth2_code", "Sign in at LinkedIn"), ("bearer", "Access token")),
        ),
        Field(
            "conversion_rule",
            "Conversion rule",
            description="Its number in Campaign Manager; a mapping may name another.",
            required=True,
            pattern=RULE,
        ),
        Field("client_id", "Client id", required=CODE, maximum=200),
        Field("client_secret", "Client secret", "password", required=CODE, secret=True, maximum=200),
        Field("access_token", "Access token", "password", required=TOKEN, secret=True, maximum=2_000),
        fields.API_URL,
    ),
    actions=(SEND,),
    presets=(Preset("Orders", "send_conversion", SEND.default_trigger, SEND.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=interpret_answer,
    auth=SCHEMES,
    base_urls=BASE_URLS,
    idempotency="field:eventId",
    rate_limits=(RateLimit("credential", "requests", 600, 60.0),),
)
