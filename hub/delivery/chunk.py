"""A chunk: some events of a pipeline on their way through routing, mapping, connector and sender.

A chunk without a position is one of retry rows, and leaves the cursor where it is.

Built in the task thread; from `submit` until it is on `run.done` it belongs to the sender's thread. It asks routing,
builds requests when the lane has room, reads answers, and in the end holds everything that the commit writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from uuid import UUID

import orjson

from connectors.errors import PayloadError
from connectors.http import ItemOutcome, Outcome
from hub.delivery import drafts, prepare
from hub.delivery.batches import Filling
from hub.delivery.calls import Call
from hub.delivery.config import Rule
from hub.delivery.detours import Detours
from hub.delivery.lanes import Lane
from hub.delivery.outcomes import ChunkOutcome, RetryDraft, Status
from hub.delivery.parts import Delivery, Part, RetryRef, Tag
from hub.delivery.run import Run
from hub.delivery.shaping import rejected, unread
from hub.delivery.sinks.calls import SinkCall
from hub.delivery.verdicts import Verdicts, halves
from hub.events.cursors import Position
from hub.expressions.errors import ExpressionError
from hub.lib.net import Answer
from hub.observability import log, metrics
from hub.routing import decide

logger = log.get(__name__)
PARKED_DELAY = 0.0


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
        self.verdicts = Verdicts(run, self.outcome, self._advance)
        self._next = 0
        self._ready: deque[Call] = deque()
        self._resumed: deque[Delivery] = deque()
        self._filling = Filling(run)
        self._detours = Detours(run, self.verdicts, self._ready, self._build, self.crashed)
        self._is_leaving = False
        self._open_calls = 0
        self._waiting = 0
        self._loose: set[Delivery] = set()

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
        self._make_ready()
        while self._ready:
            call = self._ready[0]
            is_write = isinstance(call, SinkCall)
            if is_write and not (self.run.may_call() and self._detours.starts_write(call, self._written)):
                return None
            self._ready.popleft()
            self._open_calls += 1
            self.run.count_call(len(call.tag.parts))  # type: ignore[attr-defined]
            if not is_write:
                return call
            self._make_ready()
        self.finish_if_done()
        return None

    def _make_ready(self) -> None:
        """Prepare events until there is a call to make."""
        while not self._ready and self.run.fault is None:
            delivery = self._next_delivery()
            if delivery is None:
                break
            self._begin(delivery)
        if not self._ready and not self._has_rest():
            self._flush_all()

    def finish(self, call: Call, answer: Answer) -> None:
        """Judge an answer for every event it covers."""
        self._open_calls -= 1
        tag: Tag = call.tag  # type: ignore[assignment]
        if not self._detours.finish(call, tag, answer):
            for parts in self.verdicts.judge(call, tag, answer):
                self._build(parts[0].rule, parts)
        self.finish_if_done()

    def _written(self, call: Call, items: list[ItemOutcome], answer: Answer) -> None:
        """A write has ended, perhaps after the lane was left."""
        self._open_calls -= 1
        try:
            for parts in self._detours.judge_write(call, items, answer):
                self._build(parts[0].rule, parts)
            if not self._is_leaving:
                self.finish_if_done()
        except Exception as error:  # noqa: BLE001 - as the sender does for calls of its own
            self.crashed(error)
        if self._is_leaving and not self._open_calls:
            self._complete()
        self.run.kick()

    def crashed(self, error: BaseException) -> None:
        """Our own bug: what is not decided stays at the cursor, the pipeline pauses and the log tells."""
        logger.error("chunk_crashed", pipeline=self.lane.key, error=repr(error), exc_info=error)
        self.run.fail(prepare.bug_fault(error))

    def stopped(self) -> None:
        """The lane was stopped and no call of this chunk is under way any more; a write may still be."""
        self._is_leaving = True
        if not self._open_calls:
            self._complete()

    # Starting

    def _has_rest(self) -> bool:
        return self._next < len(self.deliveries) or bool(self._resumed)

    def _next_delivery(self) -> Delivery | None:
        """The next event that may start; those of users with a call under way wait in their chains."""
        if self._resumed:
            return self._resume_next()
        is_ordered = self.run.config.is_ordered
        while self._next < len(self.deliveries):
            delivery = self.deliveries[self._next]
            self._next += 1
            if not is_ordered or self._may_start(delivery):
                return delivery
        return None

    def _may_start(self, delivery: Delivery) -> bool:
        """Whether the event is its user's next. If not, it waits in the user's chain or is parked."""
        book, key = self.run.book, delivery.row.user_key
        if self.position is not None:
            book.enter_epoch(self.position.epoch)
            if key in book.loose:
                self._loose.add(delivery)
                metrics.order_given_up.inc()
                return True
            if key in book.held:
                self.park(delivery)
                return False
        if book.start(key, (self, delivery), is_older=self.is_retry):
            book.note_start(key, (delivery.row.xid, delivery.row.seq))
            return True
        self._waiting += 1
        return False

    def _resume_next(self) -> Delivery:
        self._waiting -= 1
        delivery = self._resumed.popleft()
        self.run.book.note_start(delivery.row.user_key, (delivery.row.xid, delivery.row.seq))
        return delivery

    def resume(self, delivery: Delivery) -> None:
        """A predecessor in the user's chain has ended well."""
        self._resumed.append(delivery)

    def park(self, delivery: Delivery) -> None:
        """The user is held by an earlier event: wait in a row of one's own."""
        if not self.is_retry:
            self.outcome.retries.append(RetryDraft(delivery.row, None, "parked", 0, PARKED_DELAY, "parked"))
            self.verdicts.settle(delivery, Status.PARKED, "parked")
            self.outcome.held.append(delivery)
            self.run.book.park(delivery.row.user_key)
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
        if delivery.open_parts == 0 and not delivery.undecided:
            self.verdicts.close(delivery)

    def _route(self, delivery: Delivery) -> str:
        """Make the event's parts; or say why it goes nowhere."""
        config, row = self.run.config, delivery.row
        plan = config.plan
        refusal = decide.refusal_now(plan, row.source_id)
        if refusal:
            return self._refuse(delivery.refs, refusal)
        if not row.body:
            return self._refuse(delivery.refs, decide.ERASED)
        if config.unread and not delivery.refs and decide.is_silent(row.body):
            for mapping_id in config.unread:
                self._add_part(delivery, unread(row.body), mapping_id, None)
            return ""
        refs = self._ask_jobs(delivery) if delivery.refs else delivery.refs
        if delivery.refs and not refs:
            return "" if delivery.open_parts else decide.NO_MATCHING_MAPPING
        message = orjson.loads(row.body)
        decision = decide.decide(plan, message, row.source_id)
        if decision.reason:
            return self._refuse(refs, decision.reason)
        message = message if decision.changed is None else decision.changed
        if refs:
            return self._retry_parts(delivery, refs, message, decision.mapping_ids)
        for mapping_id in decision.mapping_ids:
            self._add_part(delivery, message, mapping_id, None)
        return ""

    def _ask_jobs(self, delivery: Delivery) -> list[RetryRef]:
        """What the receiver has taken on is beyond filters and triggers: how it ended is all that is to be told.

        Gives the other rows.
        """
        config = self.run.config
        for ref in delivery.refs:
            rule = config.rules.get(ref.mapping_id) if ref.mapping_id is not None else None
            if ref.job is not None and rule is None:
                self.outcome.gone.append(ref.retry_id)
            elif ref.job is not None and rule is not None:
                delivery.open_parts += 1
                self._detours.polls.add(Part(delivery, rule, prepare.accepted(config, delivery.row), ref))
        return [ref for ref in delivery.refs if ref.job is None]

    def _retry_parts(
        self, delivery: Delivery, refs: Sequence[RetryRef], message: dict[str, object], matching: tuple[UUID, ...]
    ) -> str:
        """Only the parts that failed are sent again; a mapping that no longer applies has nothing to send.

        A row without a mapping stands for every part that has no row of its own.
        """
        own: dict[UUID | None, RetryRef] = {ref.mapping_id: ref for ref in refs}
        found = [(mapping_id, own.get(mapping_id) or own.get(None)) for mapping_id in matching]
        used = {ref.retry_id for _, ref in found if ref is not None}
        self.outcome.gone += [ref.retry_id for ref in refs if ref.retry_id not in used]
        for mapping_id, ref in found:
            if ref is not None:
                self._add_part(delivery, message, mapping_id, ref)
        return "" if used else decide.NO_MATCHING_MAPPING

    def _refuse(self, refs: Sequence[RetryRef], reason: str) -> str:
        self.outcome.gone += [ref.retry_id for ref in refs]
        return reason

    def _add_part(self, delivery: Delivery, message: dict[str, object], mapping_id: UUID, ref: RetryRef | None) -> None:
        config, row = self.run.config, delivery.row
        rule = config.rules[mapping_id]
        part = Part(delivery, rule, prepare.accepted(config, row), ref)
        delivery.open_parts += 1
        try:
            part.payload = rule.transform(message)
        except ExpressionError as error:
            self.verdicts.bury(part, ItemOutcome(0, Outcome.REJECTED, 0, "mapping_failed", str(error)))
            return
        except PayloadError as error:
            self.verdicts.bury(part, rejected(error))
            return
        except Exception as error:
            logger.exception("mapping_crashed", mapping=str(mapping_id))
            self.verdicts.blame_ourselves([part], error)
            return
        if rule.items_per_call == 1:
            self._build(rule, [part])
            return
        for parts in self._filling.add(part):
            self._build(rule, parts)

    def _flush_all(self) -> None:
        for parts in self._filling.flush():
            self._build(parts[0].rule, parts)
        self._detours.polls.flush()

    def _build(self, rule: Rule, parts: list[Part]) -> None:
        """Make the calls for these parts of one mapping; a connector that fails is our bug, the event is kept."""
        if self._detours.looks_up(rule, parts):
            return
        calls: list[Call] = []
        decided: list[tuple[Part, ItemOutcome]] = []
        try:
            for made in prepare.calls_of(self.run.config, rule, parts):
                if isinstance(made, Call):
                    calls.append(made)
                else:
                    decided.append(made)
        except Exception as error:
            logger.exception("connector_build_failed", connector=self.run.config.connector.slug)
            self.verdicts.blame_ourselves(parts, error)
            return
        if any(self._filling.is_over_limit(call.tag.parts, call.body) for call in calls):  # type: ignore[attr-defined]
            for half in halves(parts):
                self._build(rule, half)
            return
        self._ready.extend(calls)
        for part, item in decided:
            self.verdicts.decide(part, item)

    # Order

    def _advance(self, delivery: Delivery) -> None:
        """Let the next event of the same user go, or park those behind a failed one."""
        book, key = self.run.book, delivery.row.user_key
        is_loose = delivery in self._loose
        if delivery.has_retry or delivery.has_pending:
            self.outcome.held.append(delivery)
            if is_loose:
                book.park(key)
                return
            self._hold(key)
        elif not is_loose:
            self._pass_on(key)

    def _hold(self, key: int) -> None:
        """Those who wait behind a user's event have to wait in rows."""
        for chunk, waiting in self.run.book.hold(key):
            chunk.give_up_waiting(waiting)
            if chunk is not self:  # this one ends at the end of what it is doing
                chunk.finish_if_done()

    def _pass_on(self, key: int) -> None:
        """Let the user's next event go, in whichever chunk it is; one whose work has been let go waits in its row."""
        following = self.run.book.end(key)
        if following is None:
            return
        chunk, waiting = following
        if chunk.is_done and self.run.fault is None:  # after a fault all are over, and what waits stays at the cursor
            self._hold(key)
            return
        chunk.resume(waiting)
        if chunk is not self:
            self.run.kick()

    def give_up_waiting(self, delivery: Delivery) -> None:
        """The predecessor failed: park."""
        self._waiting -= 1
        self.park(delivery)

    # Ending

    def finish_if_done(self) -> None:
        if self._open_calls or self._ready or self._filling or self._detours or self._has_rest():
            return
        if self.verdicts.holds_back:
            self.verdicts.decide_forbidden()
            if self._has_rest():
                self.run.kick()
                return
        if self._waiting:
            return
        self.finished = True
        self._complete()

    def _complete(self) -> None:
        """Give the chunk back to its turn; parts that were prepared and never sent are undecided."""
        if not self.is_done:
            self._detours.give_up(self._ready)
            for parts in self._filling.flush():
                self.verdicts.leave_undecided(parts)
            self.verdicts.conclude()
            self.outcome.retries += drafts.rows_instead(self.deliveries, self.outcome.gone)
            self._hand_over()
            self.is_done = True
            self.run.done.put(self)

    def _hand_over(self) -> None:
        """What ended before an event of this chunk could start is committed no later than it."""
        if self.run.held is not None and self.deliveries:
            self.run.held.flush()
