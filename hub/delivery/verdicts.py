"""What answers mean for the events they cover: delivered, tried again, buried, or left as if never tried.

Runs in the sender's thread. Everything that the commit will write about a chunk's events is gathered here, in its
`outcome`; the chunk decides what is sent and when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time

from connectors.http import ItemOutcome, Outcome
from hub.delivery import drafts, prepare
from hub.delivery.calls import Call
from hub.delivery.outcomes import ChunkOutcome, Decided, Status
from hub.delivery.parts import Delivery, Part, Tag
from hub.delivery.run import Run
from hub.lib.net import Answer
from hub.observability import log

logger = log.get(__name__)
MULTI_STATUS = 207
BURIED = {Outcome.REJECTED, Outcome.TOO_LARGE}


class Verdicts:
    """The judge of one chunk. `ended` hears of each event that is decided, when order matters."""

    def __init__(self, run: Run, outcome: ChunkOutcome, ended: Callable[[Delivery], None]) -> None:
        self.run = run
        self.outcome = outcome
        self._ended = ended

    def judge(self, call: Call, tag: Tag, answer: Answer) -> list[list[Part]]:
        """Take in one answer. Returns the groups of parts that are to be sent again in smaller calls, if any."""
        is_success = answer.error is None and 200 <= answer.status < 300 and answer.status != MULTI_STATUS
        if is_success and self.run.config.has_plain_answers:
            self.run.note_success()
            for part in tag.parts:
                self._deliver(call, part, drafts.delivered(answer.status), answer)
            return []
        response = prepare.response_of(answer)
        try:
            items = self.run.config.interpret(tag.spec, response)
        except Exception as error:
            logger.exception("connector_interpret_failed", connector=self.run.config.connector.slug)
            items = [drafts.bug(error, index, answer.status) for index in tag.spec.covers]
        if len(tag.parts) > 1 and all(item.outcome is Outcome.TOO_LARGE for item in items):
            return halves(tag.parts)
        places = {index: place for place, index in enumerate(tag.spec.covers)}
        for item in drafts.complete(items, tag.spec.covers, answer.status):
            self.run.judge(item)
            self._take(call, tag.parts[places[item.index]], item, answer)
        return []

    def _take(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        """Write down what one outcome means for its part."""
        delivery, outcome = part.delivery, item.outcome
        delivery.code, delivery.duration = item.status, answer.duration_ms
        if outcome is Outcome.DELIVERED:
            self._deliver(call, part, item, answer)
            return
        self._count(outcome.value)
        self._keep_attempt(call, part, item, answer)
        if outcome is Outcome.FILTERED:
            self._end_part(part)
            delivery.reason = item.reason
        elif outcome in BURIED and not self.run.is_locked_out(item):
            self.bury(part, item.reason, item.status, item.message)
            return
        elif outcome is Outcome.RETRY and self.run.fault is None:
            self.outcome.last_failure = item.message or item.reason
            self.try_again(part, item)
            return
        else:
            self.outcome.last_failure = item.message or item.reason
            self.leave_undecided([part])
            return
        self._close_if_over(delivery)

    def _deliver(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        """The receiver has this part."""
        delivery = part.delivery
        delivery.code, delivery.duration = item.status, answer.duration_ms
        delivery.has_delivered = self.outcome.had_success = True
        self._count("delivered")
        if part.ref is not None or self.run.memory.keeps_success(time()):
            self._keep_attempt(call, part, item, answer)
        self._end_part(part)
        self._close_if_over(delivery)

    def _count(self, word: str) -> None:
        tally = self.outcome.attempt_counts
        tally[word] = tally.get(word, 0) + 1

    def try_again(self, part: Part, item: ItemOutcome) -> None:
        """The part gets a retry row, or ends when its time is over."""
        draft = drafts.retry_draft(self.run, part, item)
        if draft is None:
            self.bury(part, item.reason, item.status, item.message)
            return
        if part.ref is not None and draft.retry_id is None:
            self._forget_row(part)
        self.outcome.retries.append(draft)
        part.delivery.open_parts -= 1
        part.delivery.has_retry = True
        part.delivery.reason = item.reason
        self._close_if_over(part.delivery)

    def bury(self, part: Part, reason: str, status: int, message: str) -> None:
        """The part becomes a dead letter."""
        self.outcome.dead.append(drafts.dead_draft(part, reason, status, message))
        self._end_part(part)
        part.delivery.has_dead = True
        part.delivery.reason = reason
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
        if delivery.has_retry or any(ref.siblings for ref in delivery.refs):
            self.settle(delivery, Status.RETRYING, delivery.reason)
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
        self.outcome.attempts.append(drafts.attempt_draft(self.run, call, part, item, answer))


def halves(parts: list[Part]) -> list[list[Part]]:
    """Nobody said which event is to blame: send halves, until the guilty one is alone."""
    half = len(parts) // 2
    return [parts[:half], parts[half:]]
