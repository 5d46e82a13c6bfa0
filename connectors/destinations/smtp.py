"""SMTP: mails sent through a mail server of your own or of your provider.

**What you need.** The host of the server, and user name and password where it asks for them. Port 587 is used with
STARTTLS, which is demanded, and port 465 with TLS from the start. A mail in clear is only handed to servers in networks
that the operator of this installation has opened.

**What each call becomes.** One mail to one recipient. Subject, text and HTML come from the mapping, where Liquid can be
used: `{"@liquid": "Hello {{ traits.name }}"}`. The mail's Message-ID is made of the delivery's id, so that a mail can
be found again in the server's log. Copies (Cc, Bcc) that the server refuses are a warning; a refused recipient is a
failure.

**What errors mean.** When the server asks to come back later (421, 450, 451, 452), the mail waits. When it refuses the
password, the destination is paused and nothing is lost. When it finds the mail too large (552) or refuses recipient or
content for good, that mail is given up with the server's words. When the connection breaks after the whole mail was
handed over and before the server answered, nobody knows whether it was sent: it is not sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256

from connectors.base import Action, BatchRule, BuildContext, Built, Connector, Field, Payload, Preset, Settings
from connectors.batching import refuse
from connectors.destinations import _records as records
from connectors.fields import EMAIL, of_person
from connectors.records import Mail, SinkRequest

POLICY = SMTP.clone(cte_type="7bit")
MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
# What the mail's own fields say, or only servers may say.
RESERVED = frozenset(
    {
        *("from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "sender", "return-path", "received"),
        *("mime-version", "dkim-signature", "resent-to", "resent-cc", "resent-bcc", "resent-from"),
    }
)
LONGEST_SUBJECT = 900
MAILS_A_CALL = 50
TLS_PORT = 465


class Unfit(ValueError):
    """A payload that cannot become a mail. `reason` is a code, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails go, and whom they are from when the mapping does not say."""

    target: Mapping[str, object] = field(repr=False)
    sender: str
    sender_name: str


def prepare(settings: Settings) -> Server:
    """Work out the target once; the port says how the connection is encrypted unless the owner does."""
    security = str(settings.get("security") or "auto")
    if security == "auto":
        security = "tls" if settings.get("port") == TLS_PORT else "starttls"
    known = records.chosen(settings, "host", "port", "username", "password", "ca_certificate", "client_name")
    return Server(
        {**known, "security": security}, str(settings.get("from_email") or ""), str(settings.get("from_name") or "")
    )


def build(payloads: Sequence[Payload], server: Server, context: BuildContext) -> list[Built]:
    """Make a mail of each payload; they go out on one connection, each with its own outcome."""
    mails, covers, built = [], [], list[Built]()
    for index, payload in enumerate(payloads):
        try:
            mails.append(_mail(payload, server, context, index))
            covers.append(index)
        except Unfit as unfit:
            built.append(refuse(index, unfit.reason, str(unfit)))
    if mails:
        built.append(SinkRequest("smtp", server.target, tuple(mails), tuple(covers), 60.0, "mail", is_idempotent=False))
    return built


def _mail(payload: Payload, server: Server, context: BuildContext, index: int) -> Mail:
    sender = _address(payload.get("from") or server.sender, payload.get("from_name") or server.sender_name)
    recipient = _address(payload.get("to"), payload.get("to_name"))
    cc = [_address(each) for each in _list(payload.get("cc"))]
    bcc = [_address(each) for each in _list(payload.get("bcc"))]
    delivery_id = context.delivery_ids[index]
    message = EmailMessage(POLICY)
    message["From"] = sender
    message["To"] = recipient
    if cc:
        message["Cc"] = cc
    if payload.get("reply_to"):
        message["Reply-To"] = _address(payload["reply_to"])
    message["Subject"] = records.clean(payload.get("subject"))[:LONGEST_SUBJECT]
    message["Date"] = context.now
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    for name, value in records.words(payload.get("headers")):
        if not HEADER_NAME.fullmatch(name) or name.lower() in RESERVED or name.lower().startswith("content-"):
            raise Unfit("bad_header", f"The header {name[:80]} cannot be set here.")
        message[name] = value
    _fill(message, payload, delivery_id)
    copies = tuple(each.addr_spec for each in (*cc, *bcc))
    return Mail(sender.addr_spec, recipient.addr_spec, message.as_bytes(), copies)


def _fill(message: EmailMessage, payload: Payload, delivery_id: str) -> None:
    """Put in text, HTML or both; the border between them is the same at every attempt."""
    text, html = _body(payload.get("text")), _body(payload.get("html"))
    if not text and not html:
        raise Unfit("no_content", "The mail has neither text nor HTML; check the mapping.")
    message.set_content(text or html, subtype="plain" if text else "html")
    if text and html:
        message.add_alternative(html, subtype="html")
        message.set_boundary(f"=_{sha256(delivery_id.encode()).hexdigest()[:24]}")


def _body(value: object) -> str:
    return str(value or "").replace("\0", "").encode("utf-8", "replace").decode()


def _address(value: object, name: object = "") -> Address:
    """Read an address as servers without extensions take it: ASCII before the @, the domain in its ASCII form."""
    mailbox, _, domain = str(value or "").rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        if not MAILBOX.fullmatch(mailbox) or "." not in ascii_domain:
            raise ValueError
        return Address(records.clean(name or ""), mailbox, ascii_domain)
    except (ValueError, UnicodeError, IndexError):
        raise Unfit("bad_address", "The mail needs sender and recipient that are e-mail addresses in ASCII.") from None


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def build_test(server: Server, context: BuildContext) -> SinkRequest:
    """Say hello, encrypt, sign in, and do nothing."""
    return SinkRequest("smtp", server.target, (), timeout_s=15.0, endpoint_label="test")


SEND = Action(
    key="send",
    title="Send a mail",
    description="Send one mail to one recipient.",
    default_trigger='type = "track"',
    fields=(
        Field("to", "To", required=True, format="email", default=EMAIL, category="pii"),
        Field("to_name", "Name of the recipient", default=of_person("name"), category="pii", maximum=200),
        Field("from", "From", description="Empty for the sender of the settings.", format="email"),
        Field("from_name", "Name of the sender", maximum=200),
        Field("cc", "Copies", format="email", multiple=True, category="pii"),
        Field("bcc", "Blind copies", format="email", multiple=True, category="pii"),
        Field("reply_to", "Reply to", format="email"),
        Field("subject", "Subject", required=True, default={"@path": "$.event"}, maximum=5_000),
        Field("text", "Text", "text", "Liquid can be used.", maximum=500_000),
        Field("html", "HTML", "text", "Liquid can be used.", maximum=1_000_000),
        Field("headers", "Headers", "object", "Further headers, such as List-Unsubscribe."),
    ),
    build=build,
    batch=BatchRule(max_items=MAILS_A_CALL, max_bytes=10_000_000),
    idempotent=False,
)
WELCOME = {
    **SEND.default_mapping,
    "subject": {"@liquid": "Welcome, {{ traits.name }}"},
    "text": {"@liquid": "Hello {{ traits.name }}, it is good to have you with us."},
}

connector = Connector(
    slug="smtp",
    name="SMTP",
    version="1.0.0",
    category="email",
    status="stable",
    description="Sends mails through any mail server.",
    docs_url="https://www.rfc-editor.org/rfc/rfc6409",
    settings=(
        *records.host(587, "smtp.acme.test"),
        Field(
            "security",
            "Encryption",
            default="auto",
            choices=(
                ("auto", "By the port: TLS on 465, else STARTTLS"),
                ("tls", "TLS"),
                ("starttls", "STARTTLS"),
                ("none", "None, in networks opened by the operator"),
            ),
            clears_secrets=True,
        ),
        Field("username", "User name", maximum=500),
        records.PASSWORD,
        Field("from_email", "Sender", description="Where the mapping names none.", format="email"),
        Field("from_name", "Name of the sender", maximum=200),
        Field("client_name", "Name of this client", description="What it calls itself (EHLO).", format="hostname"),
        records.CA_CERTIFICATE,
    ),
    actions=(SEND,),
    presets=(Preset("Welcome new users", "send", 'type = "track" and event = "Signed Up"', WELCOME),),
    prepare=prepare,
    test=build_test,
    kind="sink",
    allows_custom_host=True,
)
