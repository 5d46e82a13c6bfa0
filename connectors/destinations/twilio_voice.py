"""Twilio Voice: calls a person and reads a text to them, or runs a call flow of yours.

**What you need.** The SID of your Twilio account, an API key (Console → Account → API keys & tokens), and a number you
own to call from.

**What happens.** One call for each event that a mapping's trigger meets. What is said is written in the mapping and
spoken by Twilio; values of an event are escaped, so that nobody's name can become a command. Instead, a call can run
the TwiML at an address of yours, or a TwiML application.

**Quiet hours.** A call at night does harm, so the destination has quiet hours, by the clock of the zone you set. An
event that comes within them waits for their end, as long as the destination tries events again (a day unless you set
less). Where a call is worth nothing later, a code to sign in for instance, choose that the event is dropped instead.

**Frequency.** Nobody is called more often than you allow, three times in 24 hours unless you set otherwise: before each
call Twilio is asked how often this number was called from your account, whoever asked for it. Calls that never rang do
not count. An event beyond that is dropped, and the delivery says so.

**What comes back.** Twilio answers "queued" at once; how the call went it tells the status callback. Enter the address
of a Twilio source of this hub there, and each call's fate becomes an event.

**Limits.** Twilio starts one call a second unless you have asked for more. A request that may have been taken already
is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import time as clock_time
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors import answers, fields
from connectors.base import (
    Action,
    BuildContext,
    Connector,
    Field,
    Found,
    Payload,
    Preset,
    RateLimit,
    ResolveStep,
    Settings,
)
from connectors.batching import found_in, refuse
from connectors.destinations import _twilio
from connectors.destinations._twilio import Account
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response

LONGEST_TWIML = 4_000
USUAL_MOST_CALLS, MOST_CALLS = 3, 50
USUAL_HOURS, MOST_HOURS = 24, 24 * 31
# The moment of a call that has none yet, and how calls end that disturbed nobody.
UNDER_WAY = 1e12
NEVER_RANG = ("failed", "canceled")
EVENTS = (
    ("initiated", "Initiated"),
    ("ringing", "Ringing"),
    ("answered", "Answered"),
    ("completed", "Completed"),
)
NAMES = {
    "url": "Url",
    "application_sid": "ApplicationSid",
    "machine_detection": "MachineDetection",
    "ring_seconds": "Timeout",
    "record": "Record",
}


@dataclass(frozen=True, slots=True)
class Phone:
    """The account, and when it must be silent."""

    account: Account
    events: tuple[str, ...]
    zone: tzinfo
    quiet_from: clock_time | None
    quiet_until: clock_time | None
    is_dropping: bool  # what comes in quiet hours, instead of waiting for their end
    most_calls: int
    period: timedelta

    def is_quiet(self, now: datetime) -> bool:
        """Whether it is within the quiet hours, which may span midnight."""
        if self.quiet_from is None or self.quiet_until is None:
            return False
        at = now.astimezone(self.zone).time()
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until

    def quiet_seconds(self, now: datetime) -> float:
        """How long it is quiet yet."""
        local = now.astimezone(self.zone)
        end = datetime.combine(local.date(), self.quiet_until or clock_time(), self.zone)
        if end <= local:
            end = datetime.combine(local.date() + timedelta(days=1), self.quiet_until or clock_time(), self.zone)
        return (end.astimezone(UTC) - now).total_seconds()


def prepare(settings: Settings) -> Phone:
    """Read the quiet hours once; ValueError for a zone that is none."""
    events = settings.get("callback_events") or ("completed",)
    return Phone(
        account=_twilio.prepare(settings),
        events=tuple(map(str, events)) if isinstance(events, list | tuple) else (),
        zone=_zone(str(settings.get("time_zone") or "UTC")),
        quiet_from=_time(settings.get("quiet_from")),
        quiet_until=_time(settings.get("quiet_until")),
        is_dropping=settings.get("quiet_events") == "drop",
        most_calls=_count(settings.get("most_calls"), USUAL_MOST_CALLS),
        period=timedelta(hours=_count(settings.get("most_calls_hours"), USUAL_HOURS)),
    )


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("The time zone is unknown.") from error


def _count(value: object, usual: int) -> int:
    return value if isinstance(value, int) else usual


def _time(value: object) -> clock_time | None:
    return clock_time.fromisoformat(str(value)) if value else None


def ask_calls(payloads: Sequence[Payload], found: Found, phone: Phone, context: BuildContext) -> RequestSpec | None:
    """Ask for the latest calls to this number; not while nobody is called anyway."""
    if phone.is_quiet(context.now):
        return None
    query = urlencode({"To": str(payloads[0]["to"]), "PageSize": MOST_CALLS * 2})
    url = f"{phone.account.url}/Calls.json?{query}"
    return RequestSpec("GET", url, phone.account.headers, endpoint_label="calls/latest")


def read_calls(request: RequestSpec, response: Response) -> list[float] | ItemOutcome:
    """Give when this number was called, in unix seconds; a call that has no moment yet is under way."""
    if response.error is not None or not 200 <= response.status < 300:
        return _twilio.interpret_answer(request, response)[0]
    calls = answers.members(answers.parsed(response), "calls")
    ours = [one for one in calls if answers.words(one.get("direction")).startswith("outbound")]
    return [_moment(one.get("date_created")) for one in ours if one.get("status") not in NEVER_RANG]


def _moment(value: object) -> float:
    try:
        return parsedate_to_datetime(answers.words(value)).timestamp()
    except (ValueError, OverflowError):
        return UNDER_WAY


def calls_within(phone: Phone, moments: object, now: datetime) -> int:
    """Count the calls of the period."""
    since = (now - phone.period).timestamp()
    return sum(isinstance(each, int | float) and each > since for each in answers.list_of(moments))


def build(payloads: Sequence[Payload], phone: Phone, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one call for each payload."""
    return [_call(payload, index, phone, context) for index, payload in enumerate(payloads)]


def _call(payload: Payload, index: int, phone: Phone, context: BuildContext) -> RequestSpec | ItemOutcome:
    if phone.is_quiet(context.now):
        return _quiet(index, phone, context.now)
    if calls_within(phone, found_in(context, index, "calls"), context.now) >= phone.most_calls:
        said = f"This person was called {phone.most_calls} times lately, as often as you allow."
        return ItemOutcome(index, Outcome.FILTERED, reason="called_often", message=said)
    sender = str(payload.get("sender") or phone.account.sender)
    problem, twiml = "", ""
    if not sender:
        problem = "sender_missing"
    elif not (payload.get("url") or payload.get("application_sid")):
        twiml = spoken(payload)
        problem = "nothing_to_say" if not twiml else "text_too_long" if len(twiml) > LONGEST_TWIML else ""
    if problem:
        return refuse(index, problem, PROBLEMS[problem])
    pairs = [("To", str(payload["to"])), ("From", sender), *_twilio.form(payload, NAMES)]
    if twiml:
        pairs.append(("Twiml", twiml))
    if phone.account.status_callback:
        pairs.append(("StatusCallback", phone.account.status_callback))
        pairs += [("StatusCallbackEvent", event) for event in phone.events]
    return RequestSpec(
        "POST",
        f"{phone.account.url}/Calls.json",
        phone.account.headers,
        pairs,
        "form",
        (index,),
        endpoint_label="calls",
        is_idempotent=False,
    )


def _quiet(index: int, phone: Phone, now: datetime) -> ItemOutcome:
    said = "Nobody is called in quiet hours"
    if phone.is_dropping:
        return ItemOutcome(index, Outcome.FILTERED, reason="quiet_hours", message=f"{said}.")
    message, wait = f"{said}; the call is made when they are over.", phone.quiet_seconds(now)
    return ItemOutcome(index, Outcome.RETRY, reason="quiet_hours", message=message, retry_after_s=wait)


PROBLEMS = {
    "sender_missing": "Neither the mapping nor the destination names a number to call from.",
    "nothing_to_say": "The mapping gives neither a text nor TwiML to run.",
    "text_too_long": "What is said may have about 4,000 characters.",
}


def spoken(payload: Payload) -> str:
    """Write the text as TwiML, whatever characters are in it."""
    text = str(payload.get("text") or "").strip()
    if not text:
        return ""
    voice = escape(str(payload.get("voice") or "alice"), {'"': "&quot;"})
    language = escape(str(payload.get("language") or "en-US"), {'"': "&quot;"})
    times = payload.get("repeat")
    loop = f' loop="{times}"' if isinstance(times, int) and times > 1 else ""
    printable = "".join(char for char in text if char.isprintable() or char.isspace())
    return f'<Response><Say voice="{voice}" language="{language}"{loop}>{escape(printable)}</Say></Response>'


def build_test(phone: Phone, context: BuildContext) -> RequestSpec:
    """Read the account, which calls nobody."""
    return _twilio.build_test(phone.account, context)


TIME = r"([01]\d|2[0-3]):[0-5]\d"
CALL = Action(
    key="call",
    title="Call a person",
    description="Call a person and read a text to them, or run a call flow.",
    default_trigger='type = "track"',
    fields=(
        Field(
            "to",
            "To",
            description="The person's number with its country; a SIP address or client is taken too.",
            required=True,
            default=fields.PHONE,
            category="pii",
            pattern=r"\+[1-9]\d{1,14}|(sip|client):[!-~]{1,200}",
        ),
        Field("sender", "From", description="Instead of the destination's own number."),
        Field("text", "What is said", "text", maximum=3_000),
        Field("voice", "Voice", default="alice", maximum=100),
        Field("language", "Language", default="en-US", maximum=20),
        Field("repeat", "Times", "integer", "How often the text is read.", minimum=1, maximum=5),
        Field("url", "TwiML at", description="Instead of a text: the address of a call flow of yours.", format="uri"),
        Field("application_sid", "TwiML application", pattern=r"AP[0-9a-fA-F]{32}"),
        Field(
            "machine_detection",
            "Answering machines",
            choices=(("Enable", "Tell them apart"), ("DetectMessageEnd", "Wait for the beep")),
        ),
        Field("ring_seconds", "Ring for", "integer", "Seconds.", minimum=1, maximum=600),
        Field("record", "Record the call", "boolean"),
    ),
    build=build,
    resolve=(ResolveStep("calls", ask_calls, read_calls),),
    idempotent=False,
)

connector = Connector(
    slug="twilio_voice",
    name="Twilio Voice",
    version="1.0.0",
    category="messaging",
    status="stable",
    description="Calls a person through Twilio and reads a text to them.",
    docs_url="https://www.twilio.com/docs/voice/api/call-resource",
    settings=(
        *_twilio.SETTINGS,
        Field(
            "sender",
            "From",
            description="A number of yours with its country.",
            pattern=r"\+[1-9]\d{1,14}|(sip|client):[!-~]{1,200}",
        ),
        Field("time_zone", "Time zone", default="UTC", description="Of the quiet hours, such as Europe/Berlin."),
        Field("quiet_from", "Quiet from", default="21:00", pattern=TIME),
        Field("quiet_until", "Quiet until", default="08:00", pattern=TIME),
        Field(
            "quiet_events",
            "Events in quiet hours",
            default="wait",
            choices=(("wait", "Wait for their end"), ("drop", "Are dropped")),
        ),
        Field(
            "most_calls",
            "Calls to one person",
            "integer",
            "At most, within the hours below.",
            default=USUAL_MOST_CALLS,
            minimum=1,
            maximum=MOST_CALLS,
        ),
        Field(
            "most_calls_hours",
            "Counted over",
            "integer",
            "Hours.",
            default=USUAL_HOURS,
            minimum=1,
            maximum=MOST_HOURS,
        ),
        Field("callback_events", "Told to the status callback", choices=EVENTS, multiple=True),
        *_twilio.LAST_SETTINGS,
    ),
    actions=(CALL,),
    presets=(
        Preset(
            "Call on a failed payment",
            "call",
            'type = "track" and event = "Payment Failed"',
            {"to": fields.PHONE, "text": "Hello. A payment of yours has failed. Please look at your account."},
        ),
    ),
    prepare=prepare,
    test=build_test,
    interpret=_twilio.interpret_answer,
    auth=(_twilio.SCHEME,),
    base_urls=_twilio.BASE_URLS,
    ordering="per_user",
    rate_limits=(RateLimit("credential", "requests", 1),),
)
