"""Twilio SendGrid's inbound parse: mails that people send, taken apart into a form.

Nothing is signed, so the address is the secret; user name and password may be put in front of its host as well
(https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook). Attachments
are counted and let go. Leave "POST the raw, full MIME message" unchecked: of a raw mail only the headers are read.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from email.errors import MessageError
from email.parser import HeaderParser
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from typing import Any

from connectors.base import Field, When
from connectors.inbound import BadPayload, Form, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import BasicAuth, SecretUrl, Signature
from connectors.sources._messages import digest, external_ids, member, message_id, parse_json, present, track

LONGEST_HEADERS = 32_000
MOST_ADDRESSES = 50
MOST_FILES = 50
CHARACTER_SETS = (
    *("utf-", "ascii", "iso8859", "iso2022", "cp", "koi8", "mac-"),
    *("gb", "big5", "shift_jis", "euc_", "johab", "tis-620"),
)
Fields = Mapping[str, str]


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one mail."""
    if request.form is None:
        raise BadPayload("The body is not a form.")
    fields = _decoded(request.form)
    if not fields.keys() & {"headers", "email", "envelope"}:
        raise BadPayload("There are neither headers nor an envelope.")
    headers = _headers(fields.get("headers") or fields.get("email") or "")
    sender = parseaddr(fields.get("from") or headers.get("from", ""))[1].lower()
    envelope = parse_json(fields.get("envelope"))
    person = sender or str(member(envelope, "from") or "").lower()
    # A mail that has no name of its own is named by what it says.
    identifier = headers.get("message-id", "").strip(" <>") or digest(
        person, *(fields.get(name, "") for name in ("headers", "subject", "text", "html"))
    )
    message = track(
        "Email Received",
        message_id("sendgrid-inbound", identifier, *_recipients(envelope)),
        user_id=person if settings.get("email_as") == "user_id" else None,
        anonymous_id=person or None,
        at=_date(headers.get("date", "")),
        properties=_properties(fields, headers, envelope, request.form, settings),
        context={**external_ids(("email", person)), "traits": {"email": person}} if person else {},
    )
    return Received((message,))


def _decoded(form: Form) -> dict[str, str]:
    """The fields in the character sets that the mail had, as the field `charsets` names them."""
    raw = form.as_dict()
    charsets = parse_json(raw.get("charsets"))
    fields = {}
    for name, value in raw.items():
        octets = value.encode("utf-8", "surrogateescape")
        fields[name] = octets.decode(_charset(member(charsets, name)), "replace")
    return fields


def _charset(name: object) -> str:
    """The codec of this name, if it is one of texts. Some codecs are no character sets, and take minutes or memory."""
    try:
        found = codecs.lookup(name if isinstance(name, str) else "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return found if found.startswith(CHARACTER_SETS) else "utf-8"


def _headers(text: str) -> dict[str, str]:
    """The mail's headers, the first of each name; the end of the headers of a raw mail is found here too."""
    head = text[:LONGEST_HEADERS].replace("\r\n", "\n").lstrip("\n").partition("\n\n")[0]
    try:
        parsed = HeaderParser().parsestr(head)
    except (MessageError, ValueError, IndexError):
        return {}
    found: dict[str, str] = {}
    for name, value in parsed.items():
        found.setdefault(name.lower(), " ".join(str(value).split()))
    return found


def _date(text: str) -> object:
    try:
        return parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _recipients(envelope: object) -> list[str]:
    """A mail to two of our addresses comes as two calls; each is a mail of its own."""
    found = member(envelope, "to")
    return sorted(str(one).lower() for one in found) if isinstance(found, list) else []


def _properties(fields: Fields, headers: Fields, envelope: object, form: Form, settings: Settings) -> dict[str, Any]:
    return present(
        {
            "subject": fields.get("subject") or headers.get("subject"),
            "from": fields.get("from") or headers.get("from"),
            "to": _addresses(fields.get("to") or headers.get("to")),
            "cc": _addresses(fields.get("cc") or headers.get("cc")),
            "envelope_to": _recipients(envelope) or None,
            "text": fields.get("text"),
            "html": fields.get("html") if settings.get("keep_html") else None,
            "message_id": headers.get("message-id"),
            "in_reply_to": headers.get("in-reply-to"),
            "sender_ip": fields.get("sender_ip"),
            "spf": fields.get("SPF"),
            "dkim": fields.get("dkim"),
            "spam_score": _decimal(fields.get("spam_score")),
            "attachments": max(len(form.files), _whole(fields.get("attachments"))),
            "files": [
                {"name": file.name, "content_type": file.content_type, "size": file.size}
                for file in form.files[:MOST_FILES]
            ]
            or None,
            "cut": list(form.cut) or None,
        }
    )


def _addresses(text: str | None) -> list[str] | None:
    found = getaddresses([text]) if text else []
    return [address.lower() for _, address in found if address][:MOST_ADDRESSES] or None


def _whole(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 6 else 0


def _decimal(text: object) -> float | None:
    try:
        number = float(text) if isinstance(text, str) and len(text) < 16 else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def signature(settings: Settings) -> Signature:
    """The address alone, or user name and password too."""
    return BasicAuth() if settings.get("auth") == "basic" else SecretUrl()


BASIC = When("auth", ("basic",))

source = InboundSource(
    slug="sendgrid_inbound",
    name="Twilio SendGrid inbound parse",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Mails that people send to addresses of yours.",
    docs_url="https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/inbound-email",
    settings=(
        Field(
            "auth",
            "Authentication",
            default="url",
            choices=(("url", "The secret address alone"), ("basic", "User name and password too")),
        ),
        Field("username", "User name", required=BASIC, pattern=r"[^:]*", maximum=200),
        Field("password", "Password", "password", required=BASIC, secret=True, maximum=200),
        Field(
            "email_as",
            "E-mail address is",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
        Field("keep_html", "Keep HTML", "boolean", "Keep a mail's HTML beside its text.", default=False),
    ),
    signature=signature,
    receive=receive,
    events=("Email Received",),
)
