"""Requests as values, answers as values, and what an answer means for each event of the request.

A connector builds `RequestSpec`s and never sends; delivery sends and hands the `Response` to `interpret`, which turns
it into one `ItemOutcome` for each payload. The table of statuses is the product's one answer to "try again, or give up,
and whose fault is it"; a connector has an `interpret` of its own only where a vendor hides errors in a 200 or a body.
What depends on more than one answer (circuit breaker, "the last ten calls were 403", a token refresh) is delivery's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple

from connectors.retry_after import retry_after, until_limit_resets
from connectors.signing import StandardWebhooks

Headers = tuple[tuple[str, str], ...]
# The body of each kind: json any value; form pairs or a mapping; ndjson a list; raw bytes or text; multipart a list of
# (name, file name or "", content type, bytes).
BodyKind = Literal["json", "form", "ndjson", "raw", "multipart", "none"]


class Outcome(StrEnum):
    """What one attempt meant for one event. The list is fixed here, once."""

    DELIVERED = "delivered"
    """The receiver has it."""
    PENDING = "pending"
    """The receiver took it as a job and will say later how that ended."""
    FILTERED = "filtered"
    """A rule of the owner's said that it is not to be sent."""
    REJECTED = "rejected"
    """This event can never be delivered as it is; it becomes a dead letter."""
    RETRY = "retry"
    """This event is tried again later (with scope destination: the destination is, and events wait)."""
    THROTTLED = "throttled"
    """The receiver asks everybody to wait; no event loses an attempt by it."""
    TOO_LARGE = "too_large"
    """The batch is split in half and sent again, until the guilty event is alone."""
    UNAUTHORIZED = "unauthorized"
    """The credentials are refused: refresh once, else pause and tell the owner. Nothing is lost."""
    DISABLED = "disabled"
    """The destination is stopped until its owner acts; what waits keeps waiting."""


class Scope(StrEnum):
    """Who has to wait."""

    EVENT = "event"
    """Only the event; others overtake it."""
    DESTINATION = "destination"
    """The whole pipeline stops at its cursor."""


class SendError(StrEnum):
    """Why there is no answer to interpret."""

    CONNECT = "connect"
    """No connection, or it broke before a certificate was judged."""
    DNS = "dns"
    """The name has no address at present."""
    TLS = "tls"
    """The certificate does not prove that this is the receiver."""
    TIMEOUT = "timeout"
    """The time of the attempt was over."""
    BLOCKED = "blocked"
    """The address or URL is one that is never called."""
    INCOMPLETE = "incomplete"
    """The answer ended before its status could be trusted."""
    SEND = "send"
    """The connection broke while the request was being written."""


@dataclass(slots=True)  # not frozen: that would treble the cost of making one, and one is made for every call
class RequestSpec:
    """One HTTP request, complete but for serialisation and signature. Nobody changes one that has been made.

    Delivery adds `user-agent`, and the `content-type` of the body's kind where `headers` (lower-case names) have none.
    `covers` are the indexes of the payloads in it. `endpoint_label`, without ids, names it in metrics and rate limits.
    """

    method: str
    url: str = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    body: object = field(default=None, repr=False)
    body_kind: BodyKind = "none"
    covers: tuple[int, ...] = (0,)
    timeout_s: float = 15.0
    endpoint_label: str = ""
    signing: StandardWebhooks | None = None
    idempotency_key: str | None = None
    is_idempotent: bool = True
    compress: Literal["", "gzip"] = ""
    owners: tuple[int, ...] = ()  # the position in `covers` of each entry of the body, where entries are not one to one
    uses_grant: bool = True  # whether the token or signature of the destination's scheme is added
    warnings: tuple[tuple[int, str], ...] = ()  # (index, code): known to be wrong with payloads that go all the same

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no harm, so that it may be tried again when nobody knows if it arrived."""
        return self.is_idempotent or self.idempotency_key is not None


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `status` is 0 without an answer; `sent` is false when not a byte of the request went out.

    `headers` may be empty though there were some: they are only collected where something goes wrong. `retry_after` is
    then what the HTTP layer read by itself.
    """

    status: int = 0
    error: SendError | str | None = None
    body: bytes = b""
    headers: Headers = ()
    retry_after: float | None = None
    sent: bool = True
    received_at: datetime | None = None

    def header(self, name: str) -> str | None:
        """Look up a header by its lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """The outcome for the payload at `index`. `reason` is a stable code, `message` a sentence for the owner."""

    index: int
    outcome: Outcome
    status: int = 0
    reason: str = ""
    message: str = ""
    retry_after_s: float | None = None
    scope: Scope = Scope.EVENT
    remote_id: str | None = None
    warnings: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """One row of the table: what a status means, and what to tell the owner."""

    outcome: Outcome
    reason: str
    advice: str
    scope: Scope = Scope.EVENT


def _retry(reason: str, advice: str) -> Verdict:
    return Verdict(Outcome.RETRY, reason, advice)


def _rejected(reason: str, advice: str) -> Verdict:
    return Verdict(Outcome.REJECTED, reason, advice)


def _whole(outcome: Outcome, reason: str, advice: str) -> Verdict:
    return Verdict(outcome, reason, advice, Scope.DESTINATION)


STATUSES: Mapping[int, Verdict] = {
    400: _rejected("bad_request", "The receiver cannot read this request; check the mapping."),
    401: _whole(Outcome.UNAUTHORIZED, "unauthorized", "The receiver refuses the credentials; enter them again."),
    402: _whole(Outcome.DISABLED, "billing", "The receiver wants the account's bill settled."),
    403: _rejected("forbidden", "The receiver does not allow this request."),
    404: _rejected("not_found", "There is nothing at this address; check the URL."),
    405: _rejected("method_not_allowed", "The receiver does not take this method; check the URL and the method."),
    406: _rejected("not_acceptable", "The receiver cannot answer in a form that it thinks was asked for."),
    407: _retry("proxy", "The proxy on the way out wants credentials; the operator must see to it."),
    408: _retry("request_timeout", "The receiver waited too long for the request."),
    409: _rejected("conflict", "The receiver says that this contradicts what it has."),
    410: _whole(Outcome.DISABLED, "gone", "The receiver says that this address is gone for good."),
    411: _rejected("length_required", "The receiver wants a length that it was given."),
    412: _rejected("precondition_failed", "The receiver's precondition was not met."),
    413: _rejected("payload_too_large", "The receiver finds this event too large."),
    414: _rejected("uri_too_long", "The receiver finds the URL too long."),
    415: _rejected("unsupported_media_type", "The receiver does not take this content type."),
    416: _rejected("range_not_satisfiable", "The receiver misread the request as one for a range."),
    417: _rejected("expectation_failed", "The receiver could not meet an expectation."),
    418: _whole(Outcome.THROTTLED, "rate_limited", "The receiver asks to wait."),
    420: _whole(Outcome.THROTTLED, "rate_limited", "The receiver asks to wait."),
    422: _rejected("unprocessable", "The receiver understands this event but cannot take it; check the mapping."),
    423: _retry("locked", "The receiver has this record locked."),
    425: _retry("too_early", "The receiver does not take early requests."),
    429: _whole(Outcome.THROTTLED, "rate_limited", "The receiver asks to wait."),
    431: _rejected("headers_too_large", "The receiver finds the headers too large."),
    451: _rejected("legal_reasons", "The receiver must not take this person's data for legal reasons."),
    499: _retry("closed_request", "The receiver's proxy gave up on the request."),
    501: _rejected("not_implemented", "The receiver cannot do this at all."),
    505: _rejected("http_version", "The receiver does not speak this version of HTTP."),
    511: _retry("proxy", "A network on the way out wants a login; the operator must see to it."),
}

REDIRECT = _whole(Outcome.RETRY, "redirect", "The receiver has moved and redirects are not followed; set the new URL.")
CLIENT_ERROR = _rejected("client_error", "The receiver refuses this request.")
SERVER_ERROR = _retry("server_error", "The receiver has trouble of its own.")
NO_STATUS = _retry("unknown_status", "The receiver's answer has no status that means anything.")
BUSY = _whole(Outcome.THROTTLED, "unavailable", "The receiver is unavailable and says until when.")
LOCKED_OUT = _whole(Outcome.UNAUTHORIZED, "forbidden", "The receiver refuses the whole batch; check the credentials.")
SPLIT_TOO_LARGE = Verdict(Outcome.TOO_LARGE, "payload_too_large", "The receiver finds the batch too large.")
SPLIT_REFUSED = Verdict(
    Outcome.TOO_LARGE, "batch_refused", "The receiver refuses the batch without saying which event."
)
UNCONFIRMED = _rejected("unconfirmed", "Nobody knows whether this arrived, and sending it twice would do harm.")
COUNT_MISMATCH = "count_mismatch"
CONFIG_ERROR = "config_error"  # the destination cannot be used as it is set up
MISSING_ITEM = _retry("missing_item", "The receiver answered for other events of the batch and not for this one.")

ERRORS: Mapping[str, Verdict] = {
    SendError.CONNECT: _retry("connect", "The receiver cannot be reached."),
    SendError.DNS: _retry("dns", "The receiver's name cannot be found."),
    SendError.TLS: _whole(Outcome.DISABLED, "tls_error", "The receiver's certificate cannot be trusted."),
    SendError.TIMEOUT: _retry("timeout", "The receiver did not answer in time."),
    SendError.BLOCKED: _whole(Outcome.DISABLED, CONFIG_ERROR, "This address is never called; check the URL."),
    SendError.INCOMPLETE: _retry("incomplete", "The receiver's answer broke off."),
    SendError.SEND: _retry("send", "The connection broke while sending."),
}
UNKNOWN_ERROR = _retry("send", "The request could not be sent.")


def interpret(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Say what the answer means for each payload of the request, by the table above."""
    status = response.status
    if response.error is None and 200 <= status < 300:
        if status == 207:
            return _interpret_each(request, response)
        items = [_delivered(index, status) for index in request.covers]
        return _warned(request, items) if request.warnings else items
    verdict = judge(response, len(request.covers), request.is_repeatable)
    wait = retry_after_of(response, verdict.outcome)
    message = _message(verdict, response)
    return [
        ItemOutcome(index, verdict.outcome, status, verdict.reason, message, wait, verdict.scope)
        for index in request.covers
    ]


def judge(response: Response, item_count: int = 1, is_repeatable: bool = True) -> Verdict:
    """Find the row of the table for an answer that is not a success."""
    if response.error is not None:
        verdict = ERRORS.get(response.error, UNKNOWN_ERROR)
        is_unconfirmed = verdict.outcome is Outcome.RETRY and response.sent and not is_repeatable
        return UNCONFIRMED if is_unconfirmed else verdict
    if response.status == 503 and _stated_wait(response) is not None:
        return BUSY
    verdict = judge_status(response.status)
    if item_count > 1 and verdict.outcome is Outcome.REJECTED and response.status not in SAID_OF_ALL:
        return BATCH_STATUSES.get(response.status, SPLIT_REFUSED)
    return verdict


# When several events shared the request, nobody has said yet which of them is to blame, but with some statuses.
BATCH_STATUSES: Mapping[int, Verdict] = {403: LOCKED_OUT, 413: SPLIT_TOO_LARGE}
# These speak of the address or the method, which are the same for each.
SAID_OF_ALL = frozenset({404, 405, 501, 505})


def judge_status(status: int) -> Verdict:
    """Find the row for the status of one event that is not 2xx."""
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return REDIRECT
    if 400 <= status < 500:
        return CLIENT_ERROR
    return SERVER_ERROR if 500 <= status < 600 else NO_STATUS


def retry_after_of(response: Response, outcome: Outcome) -> float | None:
    """Give the seconds the receiver asks to wait, where waiting is what follows."""
    if outcome is Outcome.THROTTLED:
        stated = _stated_wait(response)
        return stated if stated is not None else until_limit_resets(response.headers, response.received_at)
    return _stated_wait(response) if outcome is Outcome.RETRY and response.status >= 400 else None


def _stated_wait(response: Response) -> float | None:
    read = retry_after(response.headers, response.received_at) if response.headers else None
    return read if read is not None else response.retry_after or None


@lru_cache(maxsize=4096)
def _delivered(index: int, status: int) -> ItemOutcome:
    """Make the one outcome of the hot path once."""
    return ItemOutcome(index, Outcome.DELIVERED, status)


def _message(verdict: Verdict, response: Response) -> str:
    if response.error is not None:
        return verdict.advice
    target = response.header("location") if 300 <= response.status < 400 else None
    return f"{response.status}: {verdict.advice}" + (f" ({target[:500]})" if target else "")


def _interpret_each(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Read a 207: a JSON array of `{"status", "index"?, "message"?}`; what it does not mention is tried again."""
    entries = _entries(response.body)
    items = [_of_entry(index, entries.get(position)) for position, index in enumerate(request.covers)]
    if len(items) > 1 and all(item.status == 403 for item in items):
        return [_locked_out(item) for item in items]
    return items


def _locked_out(item: ItemOutcome) -> ItemOutcome:
    return replace(item, outcome=LOCKED_OUT.outcome, message=f"403: {LOCKED_OUT.advice}", scope=LOCKED_OUT.scope)


def _warned(request: RequestSpec, items: Sequence[ItemOutcome]) -> list[ItemOutcome]:
    return [
        replace(item, warnings=tuple(dict.fromkeys(code for index, code in request.warnings if index == item.index)))
        for item in items
    ]


def warn_if_fewer(items: Sequence[ItemOutcome], accepted_count: int) -> list[ItemOutcome]:
    """For vendors that say how many of a batch they took, and not which: fewer than sent is a warning on each."""
    if sum(item.outcome is Outcome.DELIVERED for item in items) <= accepted_count:
        return list(items)
    return [replace(item, warnings=(*item.warnings, COUNT_MISMATCH)) for item in items]


def _of_entry(index: int, entry: tuple[int, str] | None) -> ItemOutcome:
    if entry is None:
        return ItemOutcome(index, Outcome.RETRY, 207, MISSING_ITEM.reason, MISSING_ITEM.advice)
    status, said = entry
    if 200 <= status < 300:
        return _delivered(index, status)
    verdict = judge_status(status)
    if verdict.outcome is Outcome.DISABLED:  # gone or unpaid is this one item's: the receiver took the others
        verdict = _rejected(verdict.reason, verdict.advice)
    message = f"{status}: {said or verdict.advice}"
    return ItemOutcome(index, verdict.outcome, status, verdict.reason, message, None, verdict.scope)


def _entries(body: bytes) -> dict[int, tuple[int, str]]:
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(listed, list):
        return {}
    entries: dict[int, tuple[int, str]] = {}
    for position, entry in enumerate(listed):
        if isinstance(entry, dict) and type(entry.get("status")) is int:
            place = entry["index"] if type(entry.get("index")) is int else position
            said = entry.get("message")
            entries[place] = (entry["status"], said[:500] if isinstance(said, str) else "")
    return entries
