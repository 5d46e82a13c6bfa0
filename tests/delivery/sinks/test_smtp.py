"""The SMTP driver against a mail server that misbehaves in every way that one can."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.http import ItemOutcome, Outcome
from connectors.records import Mail, SinkRequest
from hub.delivery.sinks import smtp
from hub.delivery.sinks.running import Runner
from tests.certificates import own_certificate, server_context
from tests.delivery.sinks.conftest import Write
from tests.mailserver import MailServer

CONTENT = b"Subject: Hello\r\n\r\n.a line that begins with a dot\r\n"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


def request(server: MailServer, *recipients: str, security: str = "none", **target: Any) -> SinkRequest:
    mails = tuple(Mail("shop@acme.test", recipient, CONTENT) for recipient in recipients)
    where = {"host": "127.0.0.1", "port": server.port, "security": security, **target}
    return SinkRequest("smtp", where, mails, tuple(range(len(mails))) or (0,), 10.0, "mail", is_idempotent=False)


def words(outcomes: list[ItemOutcome]) -> list[tuple[str, str]]:
    return [(one.outcome.value, one.reason) for one in outcomes]


def test_mails_go_out_one_by_one_on_one_connection(server: MailServer, write: Write) -> None:
    outcomes = write(request(server, "ada@acme.test", "bob@acme.test"))
    assert words(outcomes) == [("delivered", "")] * 2
    assert outcomes[0].remote_id == "2.0.0 queued as 4711"
    assert [(mail.sender, mail.recipients) for mail in server.mails] == [
        ("shop@acme.test", ["ada@acme.test"]),
        ("shop@acme.test", ["bob@acme.test"]),
    ]
    assert server.mails[0].content == CONTENT
    write(request(server, "eve@acme.test"))
    assert server.connection_count == 1


def test_after_a_hundred_mails_another_connection_is_made(server: MailServer, write: Write) -> None:
    most = smtp.MAILS_A_CONNECTION
    outcomes = write(request(server, *[f"u{n}@acme.test" for n in range(most + 1)]))
    assert {one.outcome for one in outcomes} == {Outcome.DELIVERED}
    assert [mail.connection for mail in server.mails] == [1] * most + [2]


@pytest.mark.parametrize(
    ("command", "reply", "outcome"),
    [
        ("RCPT TO:<bob", "550 5.1.1 no such user", ("rejected", "recipient_refused")),
        ("RCPT TO:<bob", "450 4.2.1 greylisted", ("retry", "busy")),
        ("RCPT TO:<bob", "552 5.2.2 mailbox full", ("rejected", "recipient_refused")),
        ("RCPT TO:<bob", "552 5.3.4 too big", ("rejected", "too_large")),
    ],
)
def test_what_is_said_of_one_mail_is_its_own_affair(
    server: MailServer, write: Write, command: str, reply: str, outcome: tuple[str, str]
) -> None:
    server.answers[command] = reply
    outcomes = write(request(server, "ada@acme.test", "bob@acme.test", "eve@acme.test"))
    assert words(outcomes) == [("delivered", ""), outcome, ("delivered", "")]
    assert outcomes[1].message.startswith(reply[:3])


@pytest.mark.parametrize(
    ("command", "reply", "outcome"),
    [
        ("MAIL", "553 not your address", ("rejected", "sender_refused")),
        ("MAIL", "452 no space", ("retry", "busy")),
        ("MAIL", "530 5.7.0 sign in first", ("unauthorized", "unauthorized")),
        ("DATA", "554 no", ("rejected", "message_refused")),
        (".", "554 5.7.1 spam", ("rejected", "message_refused")),
        (".", "451 later", ("retry", "busy")),
        (".", "552 5.3.4 too big", ("rejected", "too_large")),
        ("RCPT", "drop", ("retry", "send")),
        (".", "drop", ("rejected", "unconfirmed")),
    ],
)
def test_each_step_may_be_refused(
    server: MailServer, write: Write, command: str, reply: str, outcome: tuple[str, str]
) -> None:
    server.answers[command] = reply
    assert words(write(request(server, "ada@acme.test"))) == [outcome]


def test_a_server_that_shuts_down_between_mails_takes_the_next_ones_on_a_new_connection(
    server: MailServer, write: Write
) -> None:
    server.answers["RCPT TO:<bob"] = "421 shutting down"
    outcomes = write(request(server, "ada@acme.test", "bob@acme.test", "eve@acme.test"))
    assert words(outcomes) == [("delivered", ""), ("retry", "busy"), ("delivered", "")]
    assert server.connection_count == 2


def test_a_lockout_in_the_middle_forgets_nothing_that_was_sent(server: MailServer, write: Write) -> None:
    server.answers["RCPT TO:<bob"] = "535 5.7.8 signed out"
    outcomes = write(request(server, "ada@acme.test", "bob@acme.test", "eve@acme.test"))
    assert [one.outcome for one in outcomes] == [Outcome.DELIVERED, Outcome.UNAUTHORIZED, Outcome.UNAUTHORIZED]


def test_a_mail_larger_than_the_server_says_is_not_even_begun(server: MailServer, write: Write) -> None:
    server.size_limit = 10
    assert words(write(request(server, "ada@acme.test"))) == [("rejected", "too_large")]
    assert not [line for line in server.commands if line.startswith("MAIL")]


def test_a_copy_that_is_refused_is_a_warning(server: MailServer, write: Write) -> None:
    server.answers["RCPT TO:<bob"] = "550 no such user"
    mail = Mail("shop@acme.test", "ada@acme.test", CONTENT, ("bob@acme.test", "eve@acme.test"))
    sent = request(server, "ada@acme.test")
    sent.records = (mail,)
    (outcome,) = write(sent)
    assert (outcome.outcome, outcome.warnings) == (Outcome.DELIVERED, ("copy_refused",))
    assert server.mails[0].recipients == ["ada@acme.test", "eve@acme.test"]


# Connecting


def test_a_test_signs_in_and_sends_nothing(server: MailServer, write: Write) -> None:
    server.passwords["shop"] = "a-good-password"
    assert words(write(request(server, username="shop", password="a-good-password"))) == [("delivered", "")]
    assert [line.split()[0].upper() for line in server.commands] == ["EHLO", "AUTH", "NOOP"]


def test_a_wrong_password_pauses(server: MailServer, write: Write) -> None:
    server.passwords["shop"] = "a-good-password"
    outcomes = write(request(server, "ada@acme.test", username="shop", password="a-bad-password"))
    assert words(outcomes) == [("unauthorized", "unauthorized")]
    assert "a-bad-password" not in outcomes[0].message


def test_signing_in_where_nobody_can_stops(server: MailServer, write: Write) -> None:
    outcomes = write(request(server, "ada@acme.test", username="shop", password="a-good-password"))
    assert words(outcomes) == [("disabled", "no_auth")]


def test_a_server_without_starttls_gets_nothing(server: MailServer, write: Write) -> None:
    assert words(write(request(server, "ada@acme.test", security="starttls"))) == [("disabled", "no_starttls")]
    assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_what_is_encrypted_arrives_encrypted(tmp_path: Path, write: Write, security: str) -> None:
    certificate = own_certificate(tmp_path)
    with MailServer(server_context(certificate), is_tls_at_once=security == "tls") as server:
        server.passwords["shop"] = "a-good-password"
        known = {"username": "shop", "password": "a-good-password", "ca_certificate": certificate.read_text()}
        outcomes = write(request(server, "ada@acme.test", security=security, **known))
        assert words(outcomes) == [("delivered", "")]
        assert server.mails[0].is_encrypted
        assert words(write(request(server, "ada@acme.test", security=security))) == [("disabled", "tls_error")]
        assert len(server.mails) == 1


def test_a_server_that_is_gone_is_waited_for(write: Write) -> None:
    with MailServer() as server:
        pass
    (outcome,) = write(request(server, "ada@acme.test"))
    assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "connect", "destination")


def test_a_greeting_that_asks_to_wait_is_waited_for(server: MailServer, write: Write) -> None:
    server.greeting = "421 too many connections"
    assert words(write(request(server, "ada@acme.test"))) == [("retry", "busy")]


def test_a_server_that_says_nothing_is_left(server: MailServer, write: Write) -> None:
    server.greeting = "hang"
    sent = request(server, "ada@acme.test")
    sent.timeout_s = 0.3
    assert words(write(sent)) == [("retry", "timeout")]


def test_a_mail_without_an_answer_is_not_sent_again(
    server: MailServer, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAIL_SECONDS", 0.3)
    server.answers["."] = "hang"
    assert words(write(request(server, "ada@acme.test"))) == [("rejected", "unconfirmed")]


def test_mail_in_clear_goes_to_opened_networks_alone(
    server: MailServer, runner: Runner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where calls in clear are allowed: the name leads to a public address."""
    settings.ALLOW_PLAIN_HTTP = True
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 587))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [public])
    sent = request(server, "ada@acme.test", host="smtp.shop.test", port=587)
    sent.timeout_s = 0.1
    (outcome,), answer = runner.write(sent)
    assert (outcome.outcome, outcome.reason) == (Outcome.DISABLED, "config_error")
    assert (answer.error, answer.sent) == ("blocked", False)
