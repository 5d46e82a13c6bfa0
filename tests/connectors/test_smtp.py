"""SMTP: mails that nothing in an event can turn into other mails."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from connectors import registry
from connectors.http import ItemOutcome
from connectors.records import Mail, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SMTP = registry.get("smtp")
SETTINGS = {"host": "smtp.acme.test", "from_email": "shop@acme.test"}
GOOD = {"to": "ada@acme.test", "subject": "Hello", "text": "Hello"}


def build(payload: dict[str, object], **settings: object) -> object:
    server = SMTP.prepare(validate_settings(SMTP, {**SETTINGS, **settings}))
    (built,) = SMTP.action("send").build([payload], server, context_for([{}]))
    return built


def mail_of(payload: dict[str, object]) -> Mail:
    built = build(payload)
    assert isinstance(built, SinkRequest)
    (mail,) = built.records
    assert isinstance(mail, Mail)
    return mail


@pytest.mark.parametrize(
    ("settings", "security"),
    [
        ({}, "starttls"),
        ({"port": 465}, "tls"),
        ({"port": 2525}, "starttls"),
        ({"port": 465, "security": "starttls"}, "starttls"),
        ({"security": "none"}, "none"),
    ],
)
def test_the_port_says_how_it_is_encrypted_unless_the_owner_does(settings: dict[str, object], security: str) -> None:
    built = build(GOOD, **settings)
    assert isinstance(built, SinkRequest)
    assert built.target["security"] == security


@pytest.mark.parametrize("place", ["subject", "to_name", "from_name"])
def test_a_line_break_in_a_value_makes_no_header(place: str) -> None:
    mail = message_from_bytes(mail_of({**GOOD, place: "Ada\r\nBcc: eve@acme.test\u2028X: y"}).message, policy=default)
    assert (mail["bcc"], mail["x"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": "ada@acme"}, "bad_address"),
        ({"to": "a<b>@acme.test"}, "bad_address"),
        ({"to": '"a b"@acme.test'}, "bad_address"),
        ({"from": "ädä@acme.test"}, "bad_address"),
        ({"cc": ["nobody"]}, "bad_address"),
        ({"text": "", "html": ""}, "no_content"),
        ({"headers": {"Bcc": "eve@acme.test"}}, "bad_header"),
        ({"headers": {"Content-Type": "text/html"}}, "bad_header"),
        ({"headers": {"X Y": "z"}}, "bad_header"),
    ],
)
def test_what_can_be_no_mail_is_rejected_with_a_reason(changes: dict[str, object], reason: str) -> None:
    built = build({**GOOD, **changes})
    assert isinstance(built, ItemOutcome)
    assert built.reason == reason


def test_a_domain_is_written_in_ascii() -> None:
    assert mail_of({**GOOD, "to": "ada@bücher.test"}).recipient == "ada@xn--bcher-kva.test"


def test_blind_copies_are_in_the_envelope_alone() -> None:
    mail = mail_of({**GOOD, "cc": ["bob@acme.test"], "bcc": ["eve@acme.test"]})
    assert mail.copies == ("bob@acme.test", "eve@acme.test")
    assert b"eve@acme.test" not in mail.message


def test_a_mail_is_not_sent_twice_when_nobody_knows() -> None:
    built = build(GOOD)
    assert isinstance(built, SinkRequest)
    assert not built.is_repeatable
    assert not SMTP.action("send").idempotent
