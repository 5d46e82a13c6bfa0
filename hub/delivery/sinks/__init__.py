"""Stores and queues that speak no HTTP: one driver each, found by the name of its protocol, behind the outbound gate.

`hub/delivery/sinks/<protocol>.py` holds `open_sink(target, gate, timeout_s)`, which gives a `Sink` or raises
`SinkError`. Everything here may block: it runs in threads of its own (`running`), never in the sender's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, cast

from connectors.http import ERRORS, ItemOutcome, Outcome, Scope, SendError
from connectors.records import SinkRequest
from hub.lib.net import Gate

Target = Mapping[str, object]
Of = TypeVar("Of")
NEVER_CALLED = "This address is never called; check host and port, and whether TLS is on."
# Drivers that are heavy are installed by the operator who wants them.
EXTRAS = {"confluent_kafka": "kafka", "paho": "mqtt"}


class Sink(Protocol):
    """An open way to one store or queue, used by one thread at a time."""

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        """Write the records in order and say what became of each payload; without records, prove that it lets us in."""

    def is_fresh(self) -> bool:
        """Whether it still stands after a time in which nobody used it. Asks nobody."""

    def close(self) -> None:
        """Let it go."""


class SinkError(Exception):
    """The store or queue cannot be reached, or not like this. Every payload of the request has this outcome."""

    def __init__(
        self, outcome: Outcome, reason: str, message: str, *, sent: bool = False, error: SendError | None = None
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.reason = reason
        self.sent = sent  # whether something may have been written
        self.error = error or (SendError.INCOMPLETE if sent else SendError.CONNECT)

    def items(self, request: SinkRequest) -> list[ItemOutcome]:
        """The outcome, once for each payload. As long as nothing was sent, it says nothing of the events."""
        scope = Scope.EVENT if self.sent and self.outcome is Outcome.RETRY else Scope.DESTINATION
        return [
            ItemOutcome(index, self.outcome, 0, self.reason, str(self), None, scope)
            for index in dict.fromkeys(request.covers)
        ]


def network(error: SendError, *, sent: bool = False) -> SinkError:
    """What the network did, in the words that every destination has for it: no address, no banner, no timing."""
    verdict = ERRORS[error]
    message = NEVER_CALLED if error is SendError.BLOCKED else verdict.advice
    return SinkError(verdict.outcome, verdict.reason, message, sent=sent, error=error)


def records_of(request: SinkRequest, kind: type[Of]) -> list[tuple[int, Of]]:
    """The records, each with the index of its payload; a connector that mixed up its protocols has a bug."""
    found: list[tuple[int, Of]] = [
        (index, record)
        for index, record in zip(request.covers, request.records, strict=True)
        if isinstance(record, kind)
    ]
    if len(found) < len(request.records):
        raise TypeError(f"{request.protocol} takes records of {kind.__name__} only")
    return found


def lets_us_in(request: SinkRequest) -> list[ItemOutcome]:
    """The outcomes of a request that has no records, once the target has let us in."""
    return [ItemOutcome(index, Outcome.DELIVERED) for index in request.covers]


Open = Callable[[Target, Gate, float], Sink]


def driver(protocol: str) -> Open:
    """The driver of a protocol; SinkError where it is not installed here."""
    try:
        module = importlib.import_module(f"hub.delivery.sinks.{protocol}")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        advice = f"; the operator installs it with the extra “{extra}”" if extra else ""
        message = f"This installation has no driver for {protocol} ({error.name} is missing){advice}."
        raise SinkError(Outcome.DISABLED, "driver_missing", message) from error
    return cast(Open, module.open_sink)
