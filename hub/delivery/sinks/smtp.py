"""SMTP: mails handed to the owner's mail server, one transaction for each, at most a hundred on one connection.

Keys of the target: host, port, security (`tls`, `starttls`, `none`), username, password, ca_certificate, client_name.
In clear only to private networks that the operator has opened. What the server says of one mail is that mail's
outcome; a mail whose content went out whole without an answer may have been sent, and is never sent again.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from time import monotonic

from connectors.http import UNCONFIRMED, ItemOutcome, Outcome, SendError
from connectors.records import Mail, SinkRequest
from hub.delivery.sinks import SinkError, Target, lets_us_in, network, records_of
from hub.delivery.sinks.dialling import LEASH_FIRST, Leash, Way, dial, is_quiet, number, secure, text, tls_context
from hub.lib.net import Gate

MAILS_A_CONNECTION = 100
MAIL_SECONDS = 30.0
LEADING_DOT = re.compile(rb"(?m)^\.")
LONGEST_WORDS = 300
SHUTTING_DOWN, MAILBOX_FULL_OR_TOO_LARGE = 421, 552
NOT_LET_IN = frozenset({530, 534, 535, 538})
DEFAULT_NAME = "[127.0.0.1]"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said to one command."""

    code: int
    said: bytes

    @property
    def words(self) -> str:
        return " ".join(self.said.decode("utf-8", "replace").split())[:LONGEST_WORDS]


class Line(smtplib.SMTP):
    """smtplib on a connection that was dialled for it."""

    def __init__(self, dialled: socket.socket, host: str, client_name: str, seconds: float) -> None:
        self.plain = dialled
        super().__init__(host, 1, client_name, seconds)  # the port is only shown; any but 0 makes it greet

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.plain


class MailSink:
    """A mail server, connected to when there is something to say."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self._target = target
        self._security = text(target, "security", "starttls")
        is_tls = self._security != "none"
        self._way = Way(gate, "smtp", text(target, "host"), number(target, "port", 587), is_tls, is_plain_closed=True)
        self._seconds = seconds
        self._leash = Leash()
        self._line: Line | None = None
        self._mail_count = 0
        self._connect()

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        """Send the mails one by one; those for which the time is over are left for later."""
        if not request.records:
            self._prove()
            return lets_us_in(request)
        until = monotonic() + request.timeout_s
        outcomes: list[ItemOutcome] = []
        stop: SinkError | None = None
        for index, mail in records_of(request, Mail):
            if stop is None and monotonic() >= until:
                stop = network(SendError.TIMEOUT)
            if stop is None:
                try:
                    outcomes.append(self._send(index, mail))
                    continue
                except SinkError as failed:
                    stop = failed
            outcomes.append(ItemOutcome(index, stop.outcome, 0, stop.reason, str(stop)))
        return outcomes

    def is_fresh(self) -> bool:
        return self._line is not None and self._line.sock is not None and is_quiet(self._line.sock.fileno())

    def close(self) -> None:
        line = self._line
        if line is not None:
            with self._leash.within(2.0), contextlib.suppress(OSError, smtplib.SMTPException):
                line.quit()
        self._hang_up()

    # Connecting

    def _connect(self) -> Line:
        context = tls_context(self._target) if self._security != "none" else None
        dialled = dial(self._way, self._seconds)
        self._leash.hold(dialled.fileno())
        self._mail_count = 0
        try:
            with self._leash.within(self._seconds):
                if context is not None and self._security == "tls":
                    dialled = secure(dialled, context, self._way.host)
                return self._greet(dialled, context)
        except (OSError, smtplib.SMTPException) as error:
            dialled.close()
            self._hang_up()
            raise self._unconnected(error) from error
        except BaseException:
            dialled.close()
            self._hang_up()
            raise

    def _greet(self, dialled: socket.socket, context: ssl.SSLContext | None) -> Line:
        """Say hello, and sign in once nobody can listen."""
        name = text(self._target, "client_name", DEFAULT_NAME)
        self._line = line = Line(dialled, self._way.host, name, self._seconds)
        line.ehlo_or_helo_if_needed()
        if context is not None and self._security == "starttls":
            self._start_tls(line, context)
        self._sign_in(line)
        if line.sock is not None:
            line.sock.settimeout(MAIL_SECONDS + LEASH_FIRST)
        return line

    def _start_tls(self, line: Line, context: ssl.SSLContext) -> None:
        """Only what is encrypted goes any further."""
        if not line.has_extn("starttls"):
            message = "The mail server offers no TLS on this port; use port 465 with TLS, or another server."
            raise SinkError(Outcome.DISABLED, "no_starttls", message)
        reply = Reply(*line.docmd("STARTTLS"))
        if reply.code != 220:
            raise smtplib.SMTPResponseException(reply.code, reply.said)
        line.sock = secure(line.plain, context, self._way.host)
        line.file = None
        line.helo_resp = line.ehlo_resp = None
        line.esmtp_features = {}
        line.does_esmtp = False
        line.ehlo_or_helo_if_needed()

    def _sign_in(self, line: Line) -> None:
        username, password = text(self._target, "username"), text(self._target, "password")
        if not username:
            return
        try:
            line.login(username, password)
        except smtplib.SMTPNotSupportedError as error:
            message = "The mail server does not let anybody sign in here; leave the user name empty, or check the port."
            raise SinkError(Outcome.DISABLED, "no_auth", message) from error
        except UnicodeError as error:
            message = "This mail server takes user names and passwords of ASCII characters only."
            raise SinkError(Outcome.DISABLED, "bad_credentials", message) from error

    def _unconnected(self, error: Exception) -> SinkError:
        """What it means that we did not get as far as the first mail."""
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
            return refused_credentials(error.smtp_code)
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
            reason = "busy" if error.smtp_code < 500 else "refused"
            return SinkError(
                Outcome.RETRY, reason, f"{error.smtp_code}: The mail server does not let us in at present."
            )
        return network(self._leash.failure(SendError.TIMEOUT if isinstance(error, TimeoutError) else SendError.CONNECT))

    def _prove(self) -> None:
        line = self._open_line()
        with self._leash.within(self._seconds):
            try:
                reply = Reply(*line.noop())
            except (OSError, smtplib.SMTPException) as error:
                self._hang_up()
                raise self._unconnected(error) from error
        if reply.code != 250:
            self._hang_up()
            raise SinkError(Outcome.RETRY, "busy", f"{reply.code}: The mail server has trouble of its own.")

    def _open_line(self) -> Line:
        if self._line is not None and self._mail_count >= MAILS_A_CONNECTION:
            self.close()
        return self._line or self._connect()

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()
        self._leash.release()

    # Sending

    def _send(self, index: int, mail: Mail) -> ItemOutcome:
        """Send one; SinkError when the server lets none of ours in any more."""
        line = self._open_line()
        self._mail_count += 1
        with self._leash.within(MAIL_SECONDS):
            return self._transact(line, index, mail)

    def _transact(self, line: Line, index: int, mail: Mail) -> ItemOutcome:
        """MAIL, RCPT, DATA. Until the whole content is out the server has nothing."""
        most = size_limit(line)
        if most and len(mail.message) > most:
            return too_large(index, f"The mail server takes {most} bytes at most.")
        try:
            refusal, warnings = self._address(line, index, mail)
            if refusal is not None:
                return refusal
            line.send(dotted(mail.message))
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            failed = network(self._leash.failure(SendError.SEND))
            return ItemOutcome(index, Outcome.RETRY, 0, failed.reason, f"{failed} ({type(error).__name__})")
        try:
            reply = Reply(*line.getreply())
        except (OSError, smtplib.SMTPException):
            self._hang_up()
            return ItemOutcome(index, UNCONFIRMED.outcome, 0, UNCONFIRMED.reason, UNCONFIRMED.advice)
        if 200 <= reply.code < 300:
            return ItemOutcome(index, Outcome.DELIVERED, remote_id=queue_id(reply), warnings=warnings)
        return self._judge(line, index, reply, "message_refused", "The mail server refuses the mail")

    def _address(self, line: Line, index: int, mail: Mail) -> tuple[ItemOutcome | None, tuple[str, ...]]:
        """Sender and recipients, up to where the content may follow. A copy that is refused is a warning."""
        size = (f"size={len(mail.message)}",) if line.has_extn("size") else ()
        reply = Reply(*line.mail(mail.sender, size))
        if not 200 <= reply.code < 300:
            return self._judge(line, index, reply, "sender_refused", "The mail server refuses the sender"), ()
        reply = Reply(*line.rcpt(mail.recipient))
        if not 200 <= reply.code < 300:
            return self._judge(line, index, reply, "recipient_refused", "The mail server refuses the recipient"), ()
        warnings = []
        for copy in mail.copies:
            reply = Reply(*line.rcpt(copy))
            if not 200 <= reply.code < 300:
                warnings.append("copy_refused")
        reply = Reply(*line.docmd("DATA"))
        if reply.code != 354:
            return self._judge(line, index, reply, "message_refused", "The mail server refuses the mail"), ()
        return None, tuple(dict.fromkeys(warnings))

    def _judge(self, line: Line, index: int, reply: Reply, reason: str, sentence: str) -> ItemOutcome:
        """What a refusal means for this mail; the transaction is over."""
        said = f"{reply.code}: {sentence} ({reply.words})." if reply.words else f"{reply.code}: {sentence}."
        if reply.code == SHUTTING_DOWN or reply.code < 0:
            self._hang_up()
        else:
            self._reset(line)
        if reply.code in NOT_LET_IN:
            raise refused_credentials(reply.code)
        if reply.code == MAILBOX_FULL_OR_TOO_LARGE and b"5.2.2" not in reply.said:
            return too_large(index, said)
        if reply.code >= 500:
            return ItemOutcome(index, Outcome.REJECTED, 0, reason, said)
        return ItemOutcome(index, Outcome.RETRY, 0, "busy", said)

    def _reset(self, line: Line) -> None:
        try:
            line.rset()
        except (OSError, smtplib.SMTPException):
            self._hang_up()


def dotted(content: bytes) -> bytes:
    """The content as DATA takes it: whole lines, a dot before each leading dot, a dot alone at the end."""
    return LEADING_DOT.sub(b"..", content) + (b"" if content.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def refused_credentials(code: int) -> SinkError:
    message = f"{code}: The mail server refuses user name or password; enter them again."
    return SinkError(Outcome.UNAUTHORIZED, "unauthorized", message)


def too_large(index: int, said: str) -> ItemOutcome:
    """Said of this one mail, so that nothing is gained by splitting a batch."""
    return ItemOutcome(index, Outcome.REJECTED, 0, "too_large", said)


def size_limit(line: Line) -> int:
    """The largest mail that the server says it takes; 0 when it does not say."""
    stated = line.esmtp_features.get("size", "")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def queue_id(reply: Reply) -> str | None:
    """What the server calls the mail, by which its operator finds it."""
    return reply.words or None


def open_sink(target: Target, gate: Gate, timeout_s: float) -> MailSink:
    """Connect, say hello, encrypt, sign in."""
    return MailSink(target, gate, timeout_s)
