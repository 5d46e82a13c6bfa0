"""Rows about parts that did not simply arrive: the next try, the dead letter, the record of an attempt."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from hashlib import sha256

from connectors.http import MISSING_ITEM, UNCONFIRMED, ItemOutcome, Outcome
from hub.delivery import record, retry
from hub.delivery.calls import Call
from hub.delivery.outcomes import AttemptDraft, ChunkOutcome, DeadDraft, RetryDraft
from hub.delivery.parts import Delivery, Part
from hub.delivery.remote import RemoteJob
from hub.delivery.run import CONNECTOR_BUG, Run
from hub.lib import clock
from hub.lib.net import Answer

UNDECIDED = "undecided"
PENDING = "pending"
BUG_ATTEMPTS = 2
BUG_DELAY_SECONDS = 10.0
WORDS_READ, WORDS_KEPT = 2_048, 200
ISOLATED = " (isolated=true: the batch was refused, and this event again when it was sent alone)"


@cache
def delivered(status: int) -> ItemOutcome:
    """The one outcome of nearly every call, made once for each status."""
    return ItemOutcome(0, Outcome.DELIVERED, status)


def bug(error: Exception, index: int = 0, status: int = 0) -> ItemOutcome:
    """The outcome when our own code, or a connector's, has failed on an event: it is kept, and tried once more."""
    return ItemOutcome(index, Outcome.RETRY, status, CONNECTOR_BUG, type(error).__name__)


def complete(items: Sequence[ItemOutcome], covers: Sequence[int], status: int) -> list[ItemOutcome]:
    """One outcome for each payload of a call: what a connector does not mention is tried again."""
    mentioned = {item.index: item for item in items}
    missing = ItemOutcome(0, Outcome.RETRY, status, MISSING_ITEM.reason, MISSING_ITEM.advice)
    return [mentioned.get(index) or replace(missing, index=index) for index in covers]


def fail_unrouted(outcome: ChunkOutcome, delivery: Delivery, error: Exception) -> None:
    """Our own code failed before the event had parts: the whole event is tried once more, then it is dead."""
    tries = max((ref.attempts for ref in delivery.refs), default=0) + 1
    reason, row = CONNECTOR_BUG, delivery.row
    delivery.reason = reason
    if tries < BUG_ATTEMPTS:
        kept = delivery.refs[0].retry_id if delivery.refs else None
        outcome.gone += [ref.retry_id for ref in delivery.refs[1:]]
        outcome.retries.append(RetryDraft(row, None, "retry", tries, BUG_DELAY_SECONDS, reason, retry_id=kept))
        delivery.has_retry = True
        return
    first_at = min((ref.first_at for ref in delivery.refs), default=clock.now())
    outcome.gone += [ref.retry_id for ref in delivery.refs]
    outcome.dead.append(DeadDraft(row, None, reason, 0, type(error).__name__, tries, first_at))
    delivery.has_dead = True


def attempt_number(part: Part) -> int:
    """Which try of the part this is, counted from 1."""
    return (part.ref.attempts if part.ref else 0) + 1


def retry_draft(run: Run, part: Part, item: ItemOutcome, *, is_free: bool = False) -> RetryDraft | None:
    """When the part is tried again; None when its time is over, or when our own code has failed on it twice.

    A free one has cost no attempt: the destination was at fault, and its pipeline waits in the part's stead.
    """
    ref, delay = part.ref, 0.0
    attempts = attempt_number(part) - is_free
    if not is_free:
        now = clock.now()
        decision = retry.decide(
            failed_count=attempts,
            first_tried_at=ref.first_at if ref and (ref.attempts or ref.job) else now,
            now=now,
            retry_hours=run.config.stored.retry_hours,
            chance=run.chance,
            retry_after_s=item.retry_after_s,
            heads_ordered_key=run.config.is_ordered,
        )
        if decision is None or (item.reason == CONNECTOR_BUG and attempts >= BUG_ATTEMPTS):
            return None
        delay = decision.delay_s
    return RetryDraft(
        row=part.delivery.row,
        mapping_id=part.rule.mapping_id,
        state="retry",
        attempts=attempts,
        delay=delay,
        reason=item.reason,
        status_code=item.status,
        retry_id=ref.retry_id if ref is not None and ref.mapping_id is not None else None,
    )


def pending_draft(part: Part, job: RemoteJob, key: str, delay: float, status: int) -> RetryDraft:
    """The row of a part on which the receiver works. Nothing has failed: that counts once it is known."""
    ref = part.ref
    return RetryDraft(
        row=part.delivery.row,
        mapping_id=part.rule.mapping_id,
        state="pending",
        attempts=ref.attempts if ref is not None else 0,
        delay=delay,
        reason=PENDING,
        status_code=status,
        retry_id=ref.retry_id if ref is not None and ref.mapping_id is not None else None,
        batch_key=key,
        job=job,
    )


def rows_instead(deliveries: Sequence[Delivery], gone: Container[int]) -> list[RetryDraft]:
    """Rows for parts that are open still though their common row went with another part of their event.

    They are undecided; or our own code failed on their answers, and a row for the whole event stands for them again.
    """
    parts = [part for delivery in deliveries for part in delivery.undecided]
    lost = [(each, ref) for each in deliveries if each.open_parts > 0 for ref in each.refs if ref.mapping_id is None]
    return [
        RetryDraft(part.delivery.row, part.rule.mapping_id, "retry", part.ref.attempts, 0.0, UNDECIDED)
        for part in parts
        if part.ref is not None and part.ref.retry_id in gone
    ] + [
        RetryDraft(each.row, None, "retry", ref.attempts, 0.0, UNDECIDED) for each, ref in lost if ref.retry_id in gone
    ]


def batch_key(parts: Sequence[Part]) -> str:
    """Name a batch by its members, where the request has no name of its own."""
    return "bat_" + sha256("\n".join(part.delivery_id for part in parts).encode()).hexdigest()[:32]


def unconfirmed(item: ItemOutcome) -> ItemOutcome:
    """What becomes of a try that may have arrived and must not be repeated."""
    return replace(item, outcome=UNCONFIRMED.outcome, reason=UNCONFIRMED.reason, message=UNCONFIRMED.advice)


def with_words(run: Run, call: Call, item: ItemOutcome, answer: Answer) -> ItemOutcome:
    """The outcome with the beginning of what the receiver said, for a dead letter must explain itself."""
    if not answer.body or answer.error is not None:
        return item
    secrets = (*record.credentials_of(call), *run.config.secrets)
    said = " ".join(record.scrub(answer.body[:WORDS_READ].decode("utf-8", "replace"), secrets).split())[:WORDS_KEPT]
    return replace(item, message=f"{item.message} It said: {said}") if said else item


def dead_draft(part: Part, item: ItemOutcome) -> DeadDraft:
    """The dead letter of a part."""
    return DeadDraft(
        row=part.delivery.row,
        mapping_id=part.rule.mapping_id,
        reason=item.reason,
        status_code=item.status,
        message=item.message + (ISOLATED if part.is_isolated else ""),
        attempts=attempt_number(part),
        first_at=part.ref.first_at if part.ref else clock.now(),
    )


def texts_of(run: Run, call: Call, answer: Answer) -> tuple[str, str]:
    """Request and answer as they are kept, without secrets; the events of a batch share them."""
    secrets = (*record.credentials_of(call), *run.config.secrets)
    return record.request_text(call, secrets), record.response_text(answer, secrets)


def attempt_draft(part: Part, item: ItemOutcome, answer: Answer, request: str, response: str) -> AttemptDraft:
    """The full record of a try. A delivery with a warning says so in its reason."""
    return AttemptDraft(
        row=part.delivery.row,
        mapping_id=part.rule.mapping_id,
        delivery_id=part.delivery_id,
        at=clock.now() - timedelta(milliseconds=answer.duration_ms),
        attempt=attempt_number(part),
        outcome=item.outcome.value,
        reason=item.reason or ", ".join(item.warnings),
        status_code=item.status,
        duration_ms=answer.duration_ms,
        request=request,
        response=response,
    )
