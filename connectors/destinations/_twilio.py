"""What messages and calls of Twilio share: the account, its address, and what its error codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors import answers, auth
from connectors.base import BuildContext, Field, Payload, Settings
from connectors.fields import API_URL, api_url, secret
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Verdict, interpret

BASE_URLS = {"api": "https://api.twilio.com"}
SCHEME = auth.basic("key_sid", "key_secret")


@dataclass(frozen=True, slots=True)
class Account:
    """One account of Twilio, and as whom it is called."""

    url: str
    headers: Headers
    sender: str
    status_callback: str


def prepare(settings: Settings) -> Account:
    """Work out address and credentials once; without an API key the account itself signs in."""
    sid = str(settings["account_sid"])
    credentials = {**settings, "key_sid": settings.get("key_sid") or sid}
    return Account(
        url=f"{api_url(BASE_URLS, settings)}/2010-04-01/Accounts/{sid}",
        headers=auth.headers(SCHEME, credentials),
        sender=str(settings.get("sender") or ""),
        status_callback=str(settings.get("status_callback") or ""),
    )


def form(payload: Payload, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give the fields of a payload under Twilio's names; lists become repeated fields."""
    pairs = []
    for key, name in names.items():
        value = payload.get(key)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            pairs.append((name, text(one)))
    return pairs


def text(value: object) -> str:
    """Write a value as Twilio reads it in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def build_test(account: Account, context: BuildContext) -> RequestSpec:
    """Read the account, which costs nothing."""
    return RequestSpec("GET", f"{account.url}.json", account.headers, endpoint_label="test")


SIGNED_OUT = answers.verdict(Outcome.UNAUTHORIZED, "unauthorized", "Twilio refuses the credentials; enter them again.")
SUSPENDED = answers.verdict(Outcome.DISABLED, "account_suspended", "Twilio has suspended the account.")
LIMITED = answers.verdict(Outcome.THROTTLED, "rate_limited", "Twilio asks to wait.")
UNSUBSCRIBED = answers.verdict(Outcome.REJECTED, "unsubscribed", "This person has unsubscribed from your messages.")
BAD_NUMBER = answers.verdict(Outcome.REJECTED, "invalid_number", "Twilio cannot reach this number.")
BAD_SENDER = answers.verdict(Outcome.REJECTED, "invalid_sender", "Twilio does not let you send from this sender.")
NO_REGION = answers.verdict(Outcome.REJECTED, "region_not_enabled", "Your account may not reach this country yet.")
NEEDS_TEMPLATE = answers.verdict(
    Outcome.REJECTED, "template_required", "Outside of the 24 hours after a reply, WhatsApp takes templates only."
)
FILTERED = answers.verdict(Outcome.REJECTED, "carrier_filtered", "The carrier took this message for spam.")
REFUSED = answers.verdict(Outcome.REJECTED, "message_refused", "Twilio does not take this.")

CODES: Mapping[int, Verdict] = {
    **dict.fromkeys((20003, 20008), SIGNED_OUT),
    20005: SUSPENDED,
    20429: LIMITED,
    21610: UNSUBSCRIBED,
    **dict.fromkeys((21211, 21214, 21217, 21401, 21614, 13223, 13224), BAD_NUMBER),
    **dict.fromkeys((21212, 21603, 21606, 21607, 21659, 21703, 21210), BAD_SENDER),
    **dict.fromkeys((21215, 21408), NO_REGION),
    30007: FILTERED,
    63016: NEEDS_TEMPLATE,
}


def interpret_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Twilio's own code says more than the status; a number that cannot be reached is never the account's fault."""
    answer = answers.parsed(response)
    if 200 <= response.status < 300:
        return answers.delivered(request, response, answers.words(answers.member(answer, "sid")) or None)
    code, said = answers.member(answer, "code"), answers.words(answers.member(answer, "message"))
    known = CODES.get(code) if isinstance(code, int) else None
    if known is not None and 400 <= response.status < 500:
        return answers.for_all(request, response, known, said)
    if response.status == 400:
        return answers.for_all(request, response, REFUSED, said)
    return answers.with_words(request, response, said) if said else interpret(request, response)


SETTINGS = (
    Field(
        "account_sid",
        "Account SID",
        description="Begins with AC; shown on the first page of Twilio's console.",
        required=True,
        pattern=r"AC[0-9a-fA-F]{32}",
        clears_secrets=True,
    ),
    Field(
        "key_sid",
        "API key SID",
        description="Begins with SK; can be revoked by itself. Empty to sign in with the account's auth token.",
        pattern=r"SK[0-9a-fA-F]{32}",
    ),
    secret("key_secret", "API key secret", "The secret of the API key, or without a key the account's auth token."),
)
LAST_SETTINGS = (
    Field(
        "status_callback",
        "Status callback",
        description="Told how each one ended; the address of a Twilio source of this hub brings it back as events.",
        format="uri",
    ),
    API_URL,
)
