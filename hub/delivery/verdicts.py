"""What answers mean for the events they cover: delivered, tried again, buried, or left as if never tried.

Runs in the sender's thread. Everything that the commit will write about a chunk's events is gathered here, in its
`outcome`; the chunk decides what is sent and when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic, time
from typing import cast

from connectors.http import ItemOutcome, Outcome, RequestSpec
from hub.delivery import drafts, prepare, record, remote
from hub.delivery.calls import Call
from hub.delivery.outcomes import ChunkOutcome, Decided, RetryDraft, Status
from hub.delivery.parts import Delivery, Part, Tag
from hub.delivery.remote import RemoteJob
from hub.delivery.run import CONNECTOR_BUG, FORBIDDEN, Fault, Run
from hub.lib.net import Answer
from hub.observability import log

logger = log.get(__name__)
MULTI_STATUS, TOO_LARGE = 207, 413
BURIED = {Outcome.REJECTED, Outcome.TOO_LARGE}
# How long an answer to one event says that a 403 to another is about that other.
LET_IN_SECONDS = 60.0
GIVEN_UP = ItemOutcome(0, Outcome.RETRY, 0, "aborted")
LONGEST_JOB_ID = 1_000
NOT_FOLLOWED = "job_not_followed"


class Verdicts:
    """The judge of one chunk. `ended` hears of each event that is decided, when order matters."""

    def __init__(self, run: Run, outcome: ChunkOutcome, ended: Callable[[Delivery], None]) -> None:
        self.run = run
        self.outcome = outcome
        self._ended = ended
        self._forbidden: list[tuple[Part, ItemOutcome]] = []
        self._refused: tuple[int, int] | None = None  # items and bytes of the smallest batch that was too large
        self._oversized_count = 0
        self._texts: tuple[Call, str, str] | None = None

    def judge(self, call: Call, tag: Tag, answer: Answer) -> list[list[Part]]:
        """Take in one answer. Returns the groups of parts that are to be sent again in smaller calls, if any."""
        is_success = answer.error is None and 200 <= answer.status < 300 and answer.status != MULTI_STATUS
        if is_success and self.run.config.has_plain_answers:
            self.run.note_success()
            for part in tag.parts:
                self._deliver(call, part, drafts.delivered(answer.status), answer)
            if self._forbidden:
                self.decide_forbidden()
            return []
        if answer.error == "aborted":
            self._give_back(call, tag, answer)
            return []
        return self.take(call, tag, self._interpret(tag, answer), answer)

    def take(self, call: Call, tag: Tag, items: list[ItemOutcome], answer: Answer) -> list[list[Part]]:
        """Take in the outcomes of one call, one for each of its parts, in their order."""
        smaller: list[Part] = []
        failed: list[tuple[Part, ItemOutcome]] = []
        items = record.hushed(items, call, self.run.config.secrets)
        self.run.judge(items)
        for place, (part, item) in enumerate(zip(tag.parts, items, strict=True)):
            if item.outcome is Outcome.TOO_LARGE and len(items) > 1:
                smaller.append(part)
            elif item.outcome is Outcome.PENDING:
                self._await(call, part, item, place, len(items), answer)
            elif item.outcome is Outcome.RETRY or item.outcome is Outcome.THROTTLED:
                failed.append((part, item))
            else:
                self._take(call, part, item, answer)
        if failed:
            self._repeat(call, tag, failed, answer)
        if self._forbidden and self.run.memory.forbidden_in_a_row == 0:
            self.decide_forbidden()
        return self._smaller(call, tag, smaller, items)

    def _interpret(self, tag: Tag, answer: Answer) -> list[ItemOutcome]:
        """One outcome for each part of the call, in their order."""
        spec = tag.spec
        try:
            items = self.run.config.interpret(cast(RequestSpec, spec), prepare.response_of(answer))
        except Exception as error:
            logger.exception("connector_interpret_failed", connector=self.run.config.connector.slug)
            self.run.note_bug(error)
            items = [drafts.bug(error, index, answer.status) for index in spec.covers]
        items = drafts.complete(items, spec.covers, answer.status)
        if answer.error is not None and answer.sent and not spec.is_repeatable:
            items = [drafts.unconfirmed(item) if item.outcome is Outcome.RETRY else item for item in items]
        return items

    def _smaller(self, call: Call, tag: Tag, parts: list[Part], items: list[ItemOutcome]) -> list[list[Part]]:
        """Halves of what was too large or refused as a whole, until the guilty event is alone."""
        if not parts:
            return []
        self._count(Outcome.TOO_LARGE.value)
        if items[0].status == TOO_LARGE:
            refused = len(tag.parts), len(call.body or b"")
            self._refused = min(self._refused or refused, refused)
        for part in parts:
            part.is_isolated = True
        return halves(parts)

    def _repeat(self, call: Call, tag: Tag, failed: list[tuple[Part, ItemOutcome]], answer: Answer) -> None:
        """What is to be sent again. A batch of which everything failed stays together, under the same key.

        A fault of the destination costs no attempt: single events stay at the cursor, and a batch that was sent waits
        in rows that say so.
        """
        is_fault = self.run.fault is not None
        is_whole = tag.keeps_batch and len(failed) > 1 and len(failed) == len(tag.parts)
        batch_key = tag.spec.idempotency_key or drafts.batch_key(tag.parts) if is_whole else ""
        delay = 0.0
        for part, item in failed:
            self.note(call, part, item, answer)
            self.outcome.last_failure = item.message or item.reason
            is_kept_together = is_fault and is_whole and answer.sent
            is_own_bug = item.reason == CONNECTOR_BUG and self.run.is_probe
            if is_fault and not is_kept_together and not is_own_bug:
                self.leave_undecided([part])
                continue
            delay = self.try_again(part, item, batch_key=batch_key, delay=delay, is_free=is_fault and not is_own_bug)

    def _take(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        """Write down what one outcome means for its part."""
        delivery, outcome = part.delivery, item.outcome
        if outcome is Outcome.DELIVERED:
            self._deliver(call, part, item, answer)
            return
        self.note(call, part, item, answer)
        if outcome is Outcome.FILTERED:
            self._end_part(part)
            delivery.reason = item.reason
            self._close_if_over(delivery)
        elif outcome in BURIED and self.run.is_excused(item):
            self.leave_undecided([part])
        elif outcome in BURIED and item.status == FORBIDDEN:
            self._forbidden.append((part, drafts.with_words(self.run, call, item, answer)))
        elif outcome in BURIED:
            if item.status == TOO_LARGE:
                self._oversized_count += 1
            self.bury(part, drafts.with_words(self.run, call, item, answer))
        else:
            self.outcome.last_failure = item.message or item.reason
            self.leave_undecided([part])

    def decide(self, part: Part, item: ItemOutcome) -> None:
        """Take in what was decided about a part without a call."""
        if item.outcome is Outcome.FILTERED:
            self._end_part(part)
            part.delivery.reason = item.reason
            self._close_if_over(part.delivery)
        elif item.outcome in BURIED:
            self.bury(part, item)
        elif item.outcome is Outcome.RETRY:
            self.try_again(part, item)
        else:
            self.outcome.last_failure = item.message or item.reason
            self.run.fail(Fault(item.outcome.value, item.reason, item.message, item.retry_after_s))
            self.leave_undecided([part])

    def decide_forbidden(self) -> None:
        """Say what refusals by 403 meant, for nothing else of this chunk can.

        One among good answers is about its event. Without any, the event is tried once more before it is given up: were
        the credentials locked out, the whole backlog would be burned nine events at a time.
        """
        held, self._forbidden = self._forbidden, []
        is_let_in = monotonic() - self.run.memory.let_in_at < LET_IN_SECONDS
        for part, item in held:
            if self.run.is_excused(item) or (self.run.fault is not None and not is_let_in):
                self.leave_undecided([part])
            elif is_let_in or drafts.attempt_number(part) > 1:
                self.bury(part, item)
            else:
                self.try_again(part, item)

    def conclude(self) -> None:
        """The chunk is over: decide what was held back, and learn from batches that were too large.

        Where an event was too large by itself, the batches around it were refused for its sake and teach nothing.
        """
        if self._forbidden:
            self.decide_forbidden()
        if self._refused is not None and not self._oversized_count:
            self.run.learn_too_large(*self._refused)

    @property
    def holds_back(self) -> bool:
        """Whether parts wait for what the answers of others say about them."""
        return bool(self._forbidden)

    def blame_ourselves(self, parts: Sequence[Part], error: Exception) -> None:
        """Our own code failed before these were sent: each is tried once more, unless it fails on everything."""
        self.run.note_bug(error)
        for part in parts:
            if self.run.fault is not None and not self.run.is_probe:
                self.leave_undecided([part])
            else:
                self.try_again(part, drafts.bug(error))

    def _give_back(self, call: Call, tag: Tag, answer: Answer) -> None:
        """A call that was given up on is as if it had never been made, unless a second one would do harm."""
        if answer.sent and not tag.spec.is_repeatable:
            for part in tag.parts:
                self._take(call, part, drafts.unconfirmed(GIVEN_UP), answer)
        elif answer.sent and len(tag.parts) > 1:
            batch_key = tag.spec.idempotency_key or drafts.batch_key(tag.parts)
            for part in tag.parts:
                self.try_again(part, GIVEN_UP, batch_key=batch_key, is_free=True)
        else:
            self.leave_undecided(tag.parts)

    def _await(self, call: Call, part: Part, item: ItemOutcome, place: int, size: int, answer: Answer) -> None:
        """The receiver works on it. One that gives no name to ask by, or that nobody can ask, has it for good."""
        job, remote_id = part.rule.action.job, item.remote_id or ""
        if job is None or not 0 < len(remote_id) <= LONGEST_JOB_ID:
            self._deliver(call, part, replace(item, warnings=(*item.warnings, NOT_FOLLOWED)), answer)
            return
        self.note(call, part, item, answer)
        known = part.ref.job if part.ref is not None else None
        if known is not None:  # one job led to another
            place, size = known.index, known.size
        share = RemoteJob(remote_id, place, size, wait_seconds=job.max_wait_s)
        key = remote.batch_key(part.rule.mapping_id, remote_id)
        self._add_row(part, drafts.pending_draft(part, share, key, job.poll_interval_s, item.status))

    def wait_on(self, part: Part, poll_interval_s: float, status: int) -> None:
        """The receiver is still at it."""
        ref, job = part.ref, part.ref.job if part.ref is not None else None
        if ref is not None and job is not None:
            self._add_row(part, drafts.pending_draft(part, job, ref.batch_key, poll_interval_s, status))

    def _add_row(self, part: Part, draft: RetryDraft) -> None:
        if part.ref is not None and draft.retry_id is None:
            self._forget_row(part)
        self.outcome.retries.append(draft)
        part.delivery.open_parts -= 1
        part.delivery.has_pending = True
        part.delivery.reason = draft.reason
        self._close_if_over(part.delivery)

    def note(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        """Keep a try that was not simply a success."""
        part.delivery.code, part.delivery.duration = item.status, answer.duration_ms
        self._count(item.outcome.value)
        self._keep_attempt(call, part, item, answer)

    def _deliver(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        """The receiver has this part."""
        delivery = part.delivery
        delivery.code, delivery.duration = item.status, answer.duration_ms
        delivery.has_delivered = self.outcome.had_success = True
        self._count("delivered")
        was_tried = part.ref is not None and part.ref.attempts > 0  # not so one that was only parked behind another
        if was_tried or self.run.memory.keeps_success(time()) or item.warnings:
            self._keep_attempt(call, part, item, answer)
        self._end_part(part)
        self._close_if_over(delivery)

    def _count(self, word: str) -> None:
        tally = self.outcome.attempt_counts
        tally[word] = tally.get(word, 0) + 1

    def try_again(
        self, part: Part, item: ItemOutcome, *, batch_key: str = "", delay: float = 0.0, is_free: bool = False
    ) -> float:
        """The part gets a retry row, or ends when its time is over. Gives the delay, which its batch then shares."""
        draft = drafts.retry_draft(self.run, part, item, is_free=is_free)
        if draft is None:
            self.bury(part, item)
            return delay
        draft.batch_key = batch_key
        if batch_key:
            draft.delay = delay or draft.delay
        if part.ref is not None and draft.retry_id is None:
            self._forget_row(part)
        self.outcome.retries.append(draft)
        part.delivery.open_parts -= 1
        part.delivery.has_retry = True
        part.delivery.reason = item.reason
        self._close_if_over(part.delivery)
        return draft.delay

    def bury(self, part: Part, item: ItemOutcome) -> None:
        """The part becomes a dead letter."""
        self.outcome.dead.append(drafts.dead_draft(part, item))
        self._end_part(part)
        part.delivery.has_dead = True
        part.delivery.reason = item.reason
        self._close_if_over(part.delivery)

    def _end_part(self, part: Part) -> None:
        self._forget_row(part)
        part.delivery.open_parts -= 1

    def _forget_row(self, part: Part) -> None:
        """The retry row that the part came from has done its service; several parts may have come from one."""
        if part.ref is not None and part.ref.retry_id not in self.outcome.gone:
            self.outcome.gone.append(part.ref.retry_id)

    def leave_undecided(self, parts: Sequence[Part]) -> None:
        """The destination is at fault: these parts have not been tried in the books."""
        for part in parts:
            part.delivery.open_parts -= 1
            part.delivery.undecided.append(part)

    def _close_if_over(self, delivery: Delivery) -> None:
        if delivery.open_parts == 0 and delivery.is_started and not delivery.undecided:
            self.close(delivery)

    def close(self, delivery: Delivery) -> None:
        """All parts have ended or wait in rows: the event is decided."""
        if delivery.is_settled:
            return
        if delivery.has_retry or (delivery.refs and any(ref.siblings for ref in delivery.refs)):
            self.settle(delivery, Status.RETRYING, delivery.reason)
        elif delivery.has_pending and delivery.refs and all(ref.job for ref in delivery.refs):
            delivery.is_settled = True  # as it was: nothing new to write down
        elif delivery.has_pending:
            self.settle(delivery, Status.PENDING, drafts.PENDING)
        elif delivery.has_dead:
            self.settle(delivery, Status.DEAD, delivery.reason)
        elif delivery.has_delivered:
            self.settle(delivery, Status.DELIVERED, "")
        else:
            self.settle(delivery, Status.FILTERED, delivery.reason)
        if self.run.config.is_ordered:
            self._ended(delivery)

    def settle(self, delivery: Delivery, status: Status, reason: str) -> None:
        self.outcome.decided.append(Decided(delivery.row, status, reason, delivery.code, delivery.duration))
        delivery.is_settled = True

    def _keep_attempt(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        if self._texts is None or self._texts[0] is not call:
            self._texts = (call, *drafts.texts_of(self.run, call, answer))
        self.outcome.attempts.append(drafts.attempt_draft(part, item, answer, self._texts[1], self._texts[2]))


def halves(parts: list[Part]) -> list[list[Part]]:
    """Nobody said which event is to blame: send halves, until the guilty one is alone."""
    half = len(parts) // 2
    return [half for half in (parts[:half], parts[half:]) if half]
