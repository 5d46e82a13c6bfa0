"""A chunk: some events of a pipeline on their way through routing, mapping, connector and sender.

A chunk without a position is one of retry rows, and leaves the cursor where it is.

Built in the task thread; from `submit` until it is on `run.done` it belongs to the sender's thread. It asks routing,
builds requests when the lane has room, reads answers, and in the end holds everything that the commit writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import time
from uuid import UUID

import orjson

from connectors.http import ItemOutcome, Outcome
from hub.delivery import drafts, prepare
from hub.delivery.calls import Call
from hub.delivery.config import Rule
from hub.delivery.lanes import Lane
from hub.delivery.outcomes import ChunkOutcome, Decided, RetryDraft, Status
from hub.delivery.parts import Delivery, Part, RetryRef, Tag
from hub.delivery.run import Run
from hub.events.cursors import Position
from hub.expressions.errors import ExpressionError
from hub.lib import clock
from hub.lib.net import Answer
from hub.observability import log
from hub.routing import decide

logger = log.get(__name__)
PARKED_DELAY = 0.0
MULTI_STATUS = 207
BURIED = {Outcome.REJECTED, Outcome.TOO_LARGE}


class Chunk:
    """A unit of work for the sender; see the module's text. `deliveries` are in log order."""

    def __init__(self, run: Run, deliveries: list[Delivery], position: Position | None) -> None:
        self.run = run
        self.position = position
        self.lane: Lane = run.lane
        self.deliveries = deliveries
        self.is_retry = position is None
        self.finished = False
        self.is_done = False
        self.outcome = ChunkOutcome(position=position, is_retry=position is None)
        self._next = 0
        self._ready: deque[Call] = deque()
        self._resumed: deque[Delivery] = deque()
        self._pending: dict[UUID, list[Part]] = {}
        self._open_calls = 0
        self._waiting = 0

    # The sender asks

    def next_call(self) -> Call | None:
        """The next request, or None when nothing can start now."""
        if self.run.fault is not None:
            self.finished = True
            if not self._open_calls:
                self._complete()
            return None
        if not self.run.may_call():
            return None
        while not self._ready:
            delivery = self._next_delivery()
            if delivery is None:
                break
            self._begin(delivery)
        if not self._ready and not self._has_rest():
            self._flush_all()
        if self._ready:
            self._open_calls += 1
            self.run.count_call()
            return self._ready.popleft()
        self.finish_if_done()
        return None

    def finish(self, call: Call, answer: Answer) -> None:
        """Judge an answer for every event it covers."""
        self._open_calls -= 1
        tag: Tag = call.tag  # type: ignore[assignment]
        if answer.error == "aborted":
            self._leave_undecided(tag.parts)
        else:
            self._judge(call, tag, answer)
        self.finish_if_done()

    def crashed(self, error: BaseException) -> None:
        """Our own bug: what is not decided stays at the cursor, the pipeline pauses and the log tells."""
        logger.error("chunk_crashed", pipeline=self.lane.key, error=repr(error), exc_info=error)
        self.run.fail(prepare.bug_fault(error))

    def stopped(self) -> None:
        """The lane was stopped and nothing of this chunk is under way any more."""
        self._complete()

    # Starting

    def _has_rest(self) -> bool:
        return self._next < len(self.deliveries) or bool(self._resumed)

    def _next_delivery(self) -> Delivery | None:
        """The next event that may start; those of users with a call under way wait in their chains."""
        if self._resumed:
            self._waiting -= 1
            return self._resumed.popleft()
        is_ordered = self.run.config.is_ordered
        while self._next < len(self.deliveries):
            delivery = self.deliveries[self._next]
            self._next += 1
            if not is_ordered:
                return delivery
            key = delivery.row.user_key
            if not self.is_retry and key in self.run.book.held:
                self.park(delivery)
            elif self.run.book.start(key, (self, delivery)):
                return delivery
            else:
                self._waiting += 1
        return None

    def resume(self, delivery: Delivery) -> None:
        """A predecessor in the user's chain has ended well."""
        self._resumed.append(delivery)

    def park(self, delivery: Delivery) -> None:
        """The user is held by an earlier event: wait in a row of one's own."""
        if not self.is_retry:
            self.outcome.retries.append(RetryDraft(delivery.row, None, "parked", 0, PARKED_DELAY, "parked"))
            self._settle(delivery, Status.PARKED, "parked")
        delivery.is_settled = True

    def _begin(self, delivery: Delivery) -> None:
        """Route one event, map it and build what is to be sent."""
        refusal = ""
        try:
            refusal = self._route(delivery)
        except Exception as error:
            logger.exception("routing_failed", pipeline=self.lane.key)
            drafts.fail_unrouted(self.outcome, delivery, error)
        delivery.is_started = True
        delivery.reason = refusal or delivery.reason
        if delivery.open_parts == 0:
            self._close(delivery)

    def _route(self, delivery: Delivery) -> str:
        """Make the event's parts; or say why it goes nowhere."""
        config, row = self.run.config, delivery.row
        plan = config.plan
        refusal = decide.refusal_now(plan, row.source_id)
        if refusal:
            return self._refuse_all(delivery, refusal)
        if not row.body:
            return self._refuse_all(delivery, decide.ERASED)
        message = orjson.loads(row.body)
        decision = decide.decide(plan, message)
        if decision.reason:
            return self._refuse_all(delivery, decision.reason)
        if delivery.refs and delivery.refs[0].mapping_id is not None:
            return self._retry_parts(delivery, message, set(decision.mapping_ids))
        ref = delivery.refs[0] if delivery.refs else None
        for mapping_id in decision.mapping_ids:
            self._add_part(delivery, message, mapping_id, ref)
        return ""

    def _retry_parts(self, delivery: Delivery, message: dict[str, object], matching: set[UUID]) -> str:
        """Only the parts that failed are sent again; a mapping that no longer applies has nothing to send."""
        refs = [ref for ref in delivery.refs if ref.mapping_id in matching]
        self.outcome.gone += [ref.retry_id for ref in delivery.refs if ref.mapping_id not in matching]
        if not refs:
            return decide.NO_MATCHING_MAPPING
        for ref in refs:
            if ref.mapping_id is not None:
                self._add_part(delivery, message, ref.mapping_id, ref)
        return ""

    def _refuse_all(self, delivery: Delivery, reason: str) -> str:
        self.outcome.gone += [ref.retry_id for ref in delivery.refs]
        return reason

    def _add_part(self, delivery: Delivery, message: dict[str, object], mapping_id: UUID, ref: RetryRef | None) -> None:
        config, row = self.run.config, delivery.row
        rule = config.rules[mapping_id]
        part = Part(delivery, rule, prepare.delivery_id(config, rule, row), None, ref)
        delivery.open_parts += 1
        try:
            part.payload = rule.transform(message)
        except ExpressionError as error:
            self._bury(part, "mapping_failed", 0, str(error))
            return
        except Exception as error:
            logger.exception("mapping_crashed", mapping=str(mapping_id))
            self._try_again(part, drafts.bug(error))
            return
        if rule.items_per_call == 1:
            self._build(rule, [part])
            return
        pending = self._pending.setdefault(mapping_id, [])
        pending.append(part)
        if len(pending) >= rule.items_per_call:
            self._build(rule, self._pending.pop(mapping_id))

    def _flush_all(self) -> None:
        while self._pending:
            mapping_id, parts = self._pending.popitem()
            self._build(self.run.config.rules[mapping_id], parts)

    def _build(self, rule: Rule, parts: list[Part]) -> None:
        """Make the calls for these parts of one mapping; a connector that fails is our bug, the event is kept."""
        now = clock.now()
        calls: list[Call] = []
        try:
            for spec in prepare.build(self.run.config, rule, parts, now):
                covered = [parts[index] for index in spec.covers]
                calls.append(prepare.make_call(spec, covered[0].delivery_id, Tag(covered, spec), now))
        except Exception as error:
            logger.exception("connector_build_failed", connector=self.run.config.connector.slug)
            for part in parts:
                self._try_again(part, drafts.bug(error))
            return
        self._ready.extend(calls)

    # Judging

    def _judge(self, call: Call, tag: Tag, answer: Answer) -> None:
        is_success = answer.error is None and 200 <= answer.status < 300 and answer.status != MULTI_STATUS
        if is_success and self.run.config.has_plain_answers:
            self.run.note_success()
            for part in tag.parts:
                self._deliver(call, part, drafts.delivered(answer.status), answer)
            return
        response = prepare.response_of(answer)
        try:
            items = self.run.config.interpret(tag.spec, response)
        except Exception as error:
            logger.exception("connector_interpret_failed", connector=self.run.config.connector.slug)
            items = [drafts.bug(error, index, answer.status) for index in tag.spec.covers]
        if len(tag.parts) > 1 and all(item.outcome is Outcome.TOO_LARGE for item in items):
            self._split(tag.parts)
            return
        places = {index: place for place, index in enumerate(tag.spec.covers)}
        for item in drafts.complete(items, tag.spec.covers, answer.status):
            self.run.judge(item)
            self._take(call, tag.parts[places[item.index]], item, answer)

    def _split(self, parts: list[Part]) -> None:
        """Nobody said which event is to blame: send halves, until the guilty one is alone."""
        half = len(parts) // 2
        self._build(parts[0].rule, parts[:half])
        self._build(parts[0].rule, parts[half:])

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
            self._bury(part, item.reason, item.status, item.message)
            return
        elif outcome is Outcome.RETRY and self.run.fault is None:
            self.outcome.last_failure = item.message or item.reason
            self._try_again(part, item)
            return
        else:
            self.outcome.last_failure = item.message or item.reason
            self._leave_undecided([part])
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

    def _try_again(self, part: Part, item: ItemOutcome) -> None:
        """The part gets a retry row, or ends when its time is over."""
        draft = drafts.retry_draft(self.run, part, item)
        if draft is None:
            self._bury(part, item.reason, item.status, item.message)
            return
        if part.ref is not None and draft.retry_id is None:
            self._forget_row(part)
        self.outcome.retries.append(draft)
        part.delivery.open_parts -= 1
        part.delivery.has_retry = True
        part.delivery.reason = item.reason
        self._close_if_over(part.delivery)

    def _bury(self, part: Part, reason: str, status: int, message: str) -> None:
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

    def _leave_undecided(self, parts: Sequence[Part]) -> None:
        """The destination is at fault: these parts have not been tried in the books."""
        for part in parts:
            part.delivery.open_parts -= 1
            part.delivery.undecided.append(part)

    def _close_if_over(self, delivery: Delivery) -> None:
        if delivery.open_parts == 0 and delivery.is_started and not delivery.undecided:
            self._close(delivery)

    def _close(self, delivery: Delivery) -> None:
        """All parts have ended or wait in rows: the event is decided."""
        if delivery.is_settled:
            return
        if delivery.has_retry or any(ref.siblings for ref in delivery.refs):
            self._settle(delivery, Status.RETRYING, delivery.reason)
        elif delivery.has_dead:
            self._settle(delivery, Status.DEAD, delivery.reason)
        elif delivery.has_delivered:
            self._settle(delivery, Status.DELIVERED, "")
        else:
            self._settle(delivery, Status.FILTERED, delivery.reason)
        if self.run.config.is_ordered:
            self._advance(delivery)

    def _settle(self, delivery: Delivery, status: Status, reason: str) -> None:
        self.outcome.decided.append(Decided(delivery.row, status, reason, delivery.code, delivery.duration))
        delivery.is_settled = True

    def _advance(self, delivery: Delivery) -> None:
        """Let the next event of the same user go, or park those behind a failed one."""
        key = delivery.row.user_key
        if delivery.has_retry:
            for chunk, waiting in self.run.book.hold(key):
                chunk.give_up_waiting(waiting)
                if chunk is not self:  # this one ends at the end of what it is doing
                    chunk.finish_if_done()
            return
        following = self.run.book.end(key)
        if following is not None:
            chunk, waiting = following
            chunk.resume(waiting)
            if chunk is not self:
                self.run.kick()

    def give_up_waiting(self, delivery: Delivery) -> None:
        """The predecessor failed: park."""
        self._waiting -= 1
        self.park(delivery)

    def _keep_attempt(self, call: Call, part: Part, item: ItemOutcome, answer: Answer) -> None:
        self.outcome.attempts.append(drafts.attempt_draft(self.run, call, part, item, answer))

    # Ending

    def finish_if_done(self) -> None:
        if self._open_calls or self._ready or self._pending or self._has_rest() or self._waiting:
            return
        self.finished = True
        self._complete()

    def _complete(self) -> None:
        """Give the chunk back to its turn; parts that were prepared and never sent are undecided."""
        if not self.is_done:
            for call in self._ready:
                self._leave_undecided(call.tag.parts)  # type: ignore[attr-defined]
            for parts in self._pending.values():
                self._leave_undecided(parts)
            self.outcome.retries += drafts.rows_instead(self.deliveries, self.outcome.gone)
            self.is_done = True
            self.run.done.put(self)
