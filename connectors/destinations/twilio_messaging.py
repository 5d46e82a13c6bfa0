"""Twilio Messaging: sends SMS, MMS, RCS, WhatsApp and Messenger messages to a person.

**What you need.** The SID of your Twilio account and an API key (Console → Account → API keys & tokens), and a sender:
a number you own, a WhatsApp sender, or the SID of a messaging service (begins with MG), which picks the sender itself.

**What is sent.** One message for each event that a mapping's trigger meets, to the number that the mapping finds. Text
is written in the mapping, or a content template (begins with HX) is filled with variables. Give a number with its
country (+15005550006); none is guessed. With a messaging service a message can be scheduled from 15 minutes to 35 days
ahead.

**What comes back.** Twilio says "queued" at once; whether the message arrived it tells the status callback. Enter the
address of a Twilio source of this hub there, and each message's fate becomes an event.

**Limits.** Twilio queues what is faster than your sender may send. It knows nothing by which a repeated request is
recognised, so a message that may have been sent already is not sent again. A person who has unsubscribed is refused by
Twilio, and the delivery says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urljoin

from connectors import answers, fields
from connectors.base import (
    Action,
    BuildContext,
    Choices,
    Connector,
    Field,
    Payload,
    Preset,
    RateLimit,
)
from connectors.batching import refuse
from connectors.destinations import _twilio
from connectors.destinations._twilio import Account
from connectors.http import ItemOutcome, RequestSpec, Response
from connectors.moments import moment_of, text_of

BASE_URLS = {
    **_twilio.BASE_URLS,
    "content": "https://content.twilio.com",
    "messaging": "https://messaging.twilio.com",
}
CHANNELS = (
    ("sms", "SMS or MMS"),
    ("rcs", "RCS"),
    ("whatsapp", "WhatsApp"),
    ("messenger", "Messenger"),
)
E164 = re.compile(r"\+[1-9]\d{1,14}")
SHORT_CODE = re.compile(r"\d{5,6}")
MOST_MEDIA, MOST_TAGS, LONGEST_TAG = 10, 10, 128
TAG = re.compile(r"[A-Za-z0-9 _-]+")
SOONEST, LATEST = timedelta(minutes=15), timedelta(days=35)
NUMBERS, SHORT_CODES, SERVICES = "numbers", "short codes", "services"
FIRST = ("incoming_phone_numbers", "phone_number", SHORT_CODES)
NAMES = {"body": "Body", "content_sid": "ContentSid", "media_urls": "MediaUrl", "validity_period": "ValidityPeriod"}


def build(payloads: Sequence[Payload], account: Account, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    """Make one message for each payload."""
    return [_message(payload, index, account, context) for index, payload in enumerate(payloads)]


def _message(payload: Payload, index: int, account: Account, context: BuildContext) -> RequestSpec | ItemOutcome:
    channel, sender = str(payload.get("channel") or "sms"), str(payload.get("sender") or account.sender)
    to = address(channel, str(payload["to"]))
    problem = _problem(payload, to, sender) or _schedule_problem(payload, sender, context)
    if problem is not None:
        return refuse(index, *problem)
    is_service = sender.startswith("MG")
    pairs = [("To", str(to)), ("MessagingServiceSid", sender) if is_service else ("From", _sender(channel, sender))]
    pairs += _twilio.form(payload, NAMES)
    if payload.get("content_variables"):
        pairs.append(("ContentVariables", json.dumps(payload["content_variables"])))
    if payload.get("send_at"):
        moment = moment_of(payload["send_at"])
        pairs += [("SendAt", text_of(moment) if moment else ""), ("ScheduleType", "fixed")]
    if payload.get("tags"):
        pairs.append(("Tags", json.dumps(payload["tags"])))
    if account.status_callback:
        pairs.append(("StatusCallback", account.status_callback))
    return RequestSpec(
        "POST",
        f"{account.url}/Messages.json",
        account.headers,
        pairs,
        "form",
        (index,),
        endpoint_label="messages",
        is_idempotent=False,
    )


def address(channel: str, to: str) -> str | None:
    """Write a person's address as the channel wants it; None where it is none."""
    if channel == "messenger":
        return f"messenger:{to.removeprefix('messenger:')}" if to else None
    number = re.sub(r"[\s().-]", "", to.removeprefix("whatsapp:").removeprefix("rcs:"))
    if channel != "whatsapp" and SHORT_CODE.fullmatch(number):
        return number
    if not E164.fullmatch(number):
        return None
    return {"whatsapp": f"whatsapp:{number}", "rcs": f"rcs:{number}"}.get(channel, number)


def _sender(channel: str, sender: str) -> str:
    prefix = {"whatsapp": "whatsapp:", "messenger": "messenger:", "rcs": "rcs:"}.get(channel, "")
    return sender if sender.startswith(prefix) else prefix + sender


def _problem(payload: Payload, to: str | None, sender: str) -> tuple[str, str] | None:
    """Tell what Twilio would refuse, so that nothing is spent on it."""
    if to is None:
        return "invalid_number", "This is no number with its country, such as +15005550006."
    if not sender:
        return "sender_missing", "Neither the mapping nor the destination names a sender."
    media, tags = payload.get("media_urls"), payload.get("tags")
    if not payload.get("body") and not payload.get("content_sid") and not media:
        return "no_text", "The message has neither text nor template nor media."
    if isinstance(media, list) and len(media) > MOST_MEDIA:
        return "too_many_media", "A message has at most ten media."
    if isinstance(tags, Mapping) and not _are_tags(tags):
        return "bad_tags", "At most ten tags of letters, digits, spaces, hyphens and underscores, 128 characters each."
    return None


def _are_tags(tags: Mapping[str, object]) -> bool:
    texts = [text for pair in tags.items() for text in pair]
    return len(tags) <= MOST_TAGS and all(
        isinstance(text, str) and len(text) <= LONGEST_TAG and TAG.fullmatch(text) for text in texts
    )


def _schedule_problem(payload: Payload, sender: str, context: BuildContext) -> tuple[str, str] | None:
    moment = moment_of(payload.get("send_at"))
    if moment is None:
        return None
    if not sender.startswith("MG"):
        return "schedule_needs_service", "Only a messaging service can send later."
    if not SOONEST <= moment - context.now <= LATEST:
        return "schedule_out_of_range", "A message can be scheduled from 15 minutes to 35 days ahead."
    return None


def _senders(account: Account, context: BuildContext, page: str) -> RequestSpec:
    """List numbers, then short codes, then messaging services: where a list has ended, its mark is the next one's."""
    first = {
        NUMBERS: f"{account.url}/IncomingPhoneNumbers.json?PageSize=1000",
        SHORT_CODES: f"{account.url}/SMS/ShortCodes.json?PageSize=1000",
        SERVICES: f"{_other(account, 'messaging')}/v1/Services?PageSize=1000",
    }
    return RequestSpec("GET", first.get(page or NUMBERS, page), account.headers, endpoint_label="choices")


def read_senders(request: RequestSpec, response: Response) -> tuple[list[tuple[str, str]], str]:
    """Read a page of one of the three lists; services are told apart from numbers by the word before their name."""
    answer = answers.parsed(response)
    if answers.member(answer, "services") is not None:
        named = answers.members(answer, "services")
        found = [
            (answers.words(one.get("sid")), f"Service: {answers.words(one.get('friendly_name'))}") for one in named
        ]
        return [one for one in found if one[0]], answers.words(answers.member(answer, "meta", "next_page_url"))
    is_short = answers.member(answer, "short_codes") is not None
    place, value, following = ("short_codes", "short_code", SERVICES) if is_short else FIRST
    found, _ = answers.listed(place, value=value, label="friendly_name")(request, response)
    more = answers.words(answers.member(answer, "next_page_uri"))
    return found, urljoin(request.url, more) if more else following


def _templates(account: Account, context: BuildContext, page: str) -> RequestSpec:
    url = fields.page_url(f"{_other(account, 'content')}/v1/Content?PageSize=1000", page)
    return RequestSpec("GET", url, account.headers, endpoint_label="choices")


def _other(account: Account, purpose: str) -> str:
    """Another of Twilio's hosts, unless one address stands in for all."""
    own = account.url.partition("/2010-04-01")[0]
    return BASE_URLS[purpose] if own == BASE_URLS["api"] else own


CHOICES = {
    "senders": Choices(_senders, read_senders),
    "templates": Choices(
        _templates,
        answers.listed("contents", value="sid", label="friendly_name", following=("meta", "next_page_url")),
    ),
}

SEND = Action(
    key="send_message",
    title="Send a message",
    description="Send a text, picture or template to a person.",
    default_trigger='type = "track"',
    fields=(
        Field(
            "to",
            "To",
            description="The person's number with its country; of Messenger their id.",
            required=True,
            default=fields.PHONE,
            category="pii",
            maximum=100,
        ),
        Field("channel", "Channel", default="sms", choices=CHANNELS),
        Field(
            "sender",
            "From",
            description="Instead of the destination's own sender.",
            dynamic="senders",
            pattern=r"\S{3,100}",
        ),
        Field("body", "Text", "text", "Up to 1,600 characters.", maximum=1_600),
        Field(
            "content_sid",
            "Content template",
            description="Begins with HX; WhatsApp needs one outside of the 24 hours after a reply.",
            dynamic="templates",
            pattern=r"HX[0-9a-fA-F]{32}",
        ),
        Field("content_variables", "Template's variables", "object", 'Such as {"1": "Ada"}.'),
        Field("media_urls", "Media", description="Addresses of up to ten pictures.", multiple=True, format="uri"),
        Field(
            "validity_period",
            "Valid for",
            "integer",
            "Seconds after which it is sent no more.",
            minimum=1,
            maximum=36_000,
        ),
        Field("send_at", "Send at", "datetime", "15 minutes to 35 days ahead, with a messaging service."),
        Field("tags", "Tags", "object", "Up to ten names and values for Twilio's reports."),
    ),
    build=build,
    idempotent=False,
)

connector = Connector(
    slug="twilio_messaging",
    name="Twilio Messaging",
    version="1.0.0",
    category="messaging",
    status="stable",
    description="Sends SMS, RCS, WhatsApp and Messenger messages through Twilio.",
    docs_url="https://www.twilio.com/docs/messaging/api/message-resource",
    settings=(
        *_twilio.SETTINGS,
        Field(
            "sender",
            "From",
            description="A number with its country, a short code, or the SID of a messaging service.",
            pattern=r"\+[1-9]\d{1,14}|\d{5,6}|MG[0-9a-fA-F]{32}|[A-Za-z0-9 ]{1,11}|(whatsapp|rcs|messenger):\S{3,80}",
        ),
        *_twilio.LAST_SETTINGS,
    ),
    actions=(SEND,),
    presets=(
        Preset(
            "Text on each order",
            "send_message",
            'type = "track" and event = "Order Completed"',
            {"to": fields.PHONE, "body": {"@template": "Thank you! Your order {{properties.order_id}} is on its way."}},
        ),
    ),
    prepare=_twilio.prepare,
    test=_twilio.build_test,
    interpret=_twilio.interpret_answer,
    auth=(_twilio.SCHEME,),
    base_urls=BASE_URLS,
    choices=CHOICES,
    rate_limits=(RateLimit("credential", "concurrent", 20),),
)
