"""The one door into the log: `accept` for callers inside the product, and the steps that the HTTP views share with it.

SDK traffic, webhooks, journeys and reverse ETL all enter as messages of a source, and get the same rules and the same
durable commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.events.log import Submission
from hub.ingest import intake
from hub.ingest.committer import ANSWER_WITHIN_SECONDS
from hub.ingest.intake import Intake, Refusal
from hub.ingest.normalising import Arrival, Envelope
from hub.ingest.runtime import current
from hub.lib import clock
from tenants.keys import SourceRef


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """What became of the messages: ids of the valid ones in order, and the refused ones with their codes."""

    message_ids: tuple[str, ...]
    rejected: tuple[Refusal, ...]


def accept(
    source: SourceRef, messages: Sequence[dict[str, Any]], timeout: float = ANSWER_WITHIN_SECONDS
) -> AcceptResult:
    """Store messages under a source and return when they are committed.

    Refused messages are counted and listed, never raised. Raises `hub.events.log.LogError` when nothing was stored or
    nobody knows; the caller then sends the same messages, with the same message ids, again.
    """
    arrival = Arrival(received_now(), str(source.source_id), source.kind)
    taken = take(source, messages, Envelope(is_suspect=True), arrival)
    submission = submission_of(source, taken, arrival)
    if submission is not None:
        current().committer.commit(submission, timeout)
    return AcceptResult(tuple(row.message_id for row in taken.rows), tuple(taken.refusals))


def received_now() -> datetime:
    """The moment of receipt, in the milliseconds that the event will say."""
    now = clock.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def take(
    source: SourceRef, messages: Sequence[object], envelope: Envelope, arrival: Arrival, fault: str | None = None
) -> Intake:
    """Sort the messages into rows and refusals; a locked workspace or a disabled source refuses them all."""
    if source.workspace_locked:
        return intake.refuse_all(messages, "locked_workspace")
    if not source.source_enabled:
        return intake.refuse_all(messages, "source_disabled")
    return intake.take_in(messages, envelope, arrival, fault)


def submission_of(source: SourceRef, taken: Intake, arrival: Arrival) -> Submission | None:
    """What the log must store and count; None when there was no message at all."""
    if not taken.rows and not taken.refused_count:
        return None
    source_id = arrival.source_id
    budget = current().samples
    return Submission(
        str(source.workspace_id),
        source_id,
        arrival.received_at,
        source.dedupe_hours,
        taken.rows,
        taken.refused_count,
        intake.samples(taken.refusals, lambda: budget.allow(source_id)) if taken.refusals else (),
    )
