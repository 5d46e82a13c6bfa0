"""Work that receivers took on as jobs of their own: they are asked how it ended, until it has or its time is over.

An event whose fate depends on a job waits in a row (state `pending`) with the job's id and its own place in it, and a
row that is due is "tried" by asking. So everything that holds for rows holds for jobs: leases, crashes, order, repair,
retention, a destination that is switched off. Whoever of a job's events is at hand shares one question; each reads its
own place in the answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from connectors import http
from connectors.base import BuildContext, Job, Named
from connectors.http import UNCONFIRMED, ItemOutcome, Outcome, RequestSpec, Response
from hub.delivery import drafts, marks, origins, prepare, record
from hub.delivery.calls import Call
from hub.delivery.parts import Part, Tag
from hub.delivery.run import FORBIDDEN, Run
from hub.delivery.verdicts import Verdicts
from hub.lib import clock
from hub.lib.net import Answer
from hub.observability import log, metrics

JOB_TIMEOUT = "job_timeout"
TIMED_OUT = ItemOutcome(0, Outcome.RETRY, 0, JOB_TIMEOUT, "The receiver did not finish in time what it had taken on.")
logger = log.get(__name__)


@dataclass(slots=True)
class Group:
    """Events of one job that are at hand."""

    job: Job
    remote_id: str
    size: int
    until: datetime | None
    parts: list[Part]


class PollTag(Tag):
    """What a question after a job carries. Its parts are no batch: the job keeps them together."""

    __slots__ = ("group",)
    keeps_batch = False

    def __init__(self, group: Group, spec: RequestSpec) -> None:
        super().__init__(group.parts, spec)
        self.group = group


class Polls:
    """The questions of one chunk; they are made into calls when no more of its events can join."""

    def __init__(self, run: Run, verdicts: Verdicts, calls: deque[Call]) -> None:
        self._run = run
        self._verdicts = verdicts
        self._calls = calls
        self._groups: dict[tuple[UUID, str], Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, part: Part) -> None:
        """Put an event to others of its job. Its mapping may have changed since: then nobody can ask any more."""
        ref, action = part.ref, part.rule.action
        remote = ref.job if ref is not None else None
        if remote is None or action.job is None:
            self._verdicts.decide(part, _lost(part))
            return
        key = (part.rule.mapping_id, remote.remote_id)
        group = self._groups.setdefault(key, Group(action.job, remote.remote_id, remote.size, remote.until, []))
        group.parts.append(part)

    def flush(self) -> None:
        """Make the calls."""
        groups, self._groups = self._groups, {}
        for group in groups.values():
            self._call(group)

    def give_up(self) -> list[Part]:
        """The chunk is over: the events about which nobody was asked."""
        groups, self._groups = self._groups, {}
        return [part for group in groups.values() for part in group.parts]

    def finish(self, call: Call, tag: PollTag, answer: Answer) -> None:
        """Take the answer of a question."""
        group = tag.group
        if answer.error == "aborted":
            self._verdicts.leave_undecided(group.parts)
            return
        try:
            said = read(group, tag.spec, prepare.response_of(answer))  # type: ignore[arg-type]
        except Exception as error:
            logger.exception("job_read_failed", connector=self._run.config.connector.slug)
            self._run.note_bug(error)
            said = None
        if isinstance(said, ItemOutcome):
            self._fail(call, group, said, answer)
        elif said is None:
            self._run.note_success()
            self._go_on(group, answer.status)
        elif isinstance(said, Named):
            metrics.job_polls.labels("ended").inc()
            self._verdicts.take(call, tag, marks.apply(self._run.config, group.parts, said), answer)
        else:
            metrics.job_polls.labels("ended").inc()
            places = [marks.place_in_job(part) for part in group.parts]
            self._verdicts.take(call, tag, drafts.complete(said, places, answer.status), answer)

    def _call(self, group: Group) -> None:
        config, parts, now = self._run.config, group.parts, clock.now()
        ids, messages = [part.delivery_id for part in parts], [part.delivery.row.message_id for part in parts]
        context = BuildContext(now, ids, messages, config.is_replay, config.public_url)
        try:
            spec = group.job.build(group.remote_id, config.prepared, context)
            spec.covers = (0,)
            tag = PollTag(group, spec)
            is_allowed = config.origins.allow(spec.url)
            call = prepare.make_call(spec, ids[0], tag, now, signer=config.signer) if is_allowed else None
        except Exception as error:
            logger.exception("job_build_failed", connector=config.connector.slug)
            self._run.note_bug(error)
            self._go_on(group, 0)
            return
        if call is not None:
            self._calls.append(call)
            return
        for part in parts:
            self._verdicts.decide(part, origins.refusal())

    def _fail(self, call: Call, group: Group, item: ItemOutcome, answer: Answer) -> None:
        """Nobody could say how the job stands. That costs the events nothing; it may be the destination's fault."""
        metrics.job_polls.labels("failed").inc()
        item = record.hushed([item], call, self._run.config.secrets)[0]
        self._run.judge([item])
        self._verdicts.note(call, group.parts[0], item, answer)
        if self._run.fault is not None:
            self._verdicts.leave_undecided(group.parts)
        else:
            self._go_on(group, answer.status)

    def _go_on(self, group: Group, status: int) -> None:
        """The job is not over; but its time may be."""
        is_over = group.until is not None and clock.now() >= group.until
        metrics.job_polls.labels("timed out" if is_over else "goes on").inc()
        for part in group.parts:
            if not is_over:
                self._verdicts.wait_on(part, group.job.poll_interval_s, status)
            elif part.rule.action.idempotent:
                self._verdicts.try_again(part, TIMED_OUT)
            else:
                self._verdicts.bury(part, drafts.unconfirmed(TIMED_OUT))


def read(group: Group, spec: RequestSpec, response: Response) -> list[ItemOutcome] | Named | ItemOutcome | None:
    """How the job has ended for each of its payloads; None while it goes on; the one outcome of a failed question.

    What the common table calls a refusal of the question is the connector's to judge: it may mean that the job is gone.
    """
    if response.error is not None or not 200 <= response.status < 300:
        item = http.interpret(spec, response)[0]
        if item.outcome is not Outcome.REJECTED or item.status == FORBIDDEN:
            return item
    named = group.job.naming.read(spec, response) if group.job.naming is not None else None
    return named or group.job.read(spec, response, group.size)


def _lost(part: Part) -> ItemOutcome:
    message = "The mapping no longer has an action that could ask how the receiver's job has ended."
    return replace(TIMED_OUT, outcome=UNCONFIRMED.outcome, reason=UNCONFIRMED.reason, message=message)
