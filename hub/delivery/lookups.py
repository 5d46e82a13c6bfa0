"""Calls that must be made before the real one: ids that the vendor knows, first halves of writes in two steps.

They are calls of the same lane, under the same limits and gate, made one step after the other while the parts that
need them wait; what waits holds up nobody else. Equal questions of a chunk share one call, and an answer may be
remembered for others (see `remembered`): under a name that holds no data, small, and never with a secret in it. A part
whose look-up fails ends or is tried again like any other, and the rest of its batch goes on without it.

All but the memory's own thread is the sender's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import orjson

from connectors import http
from connectors.base import BuildContext, ResolveStep
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from hub.delivery import origins, prepare, remembered
from hub.delivery.calls import Call
from hub.delivery.config import Config, Rule
from hub.delivery.parts import Part, Tag
from hub.delivery.run import Run
from hub.delivery.verdicts import Verdicts
from hub.lib import clock
from hub.lib.net import Answer
from hub.observability import log, metrics

LARGEST_KEPT = 4_096
NOT_FOUND = 404
logger = log.get(__name__)
Ready = Callable[[Rule, list[Part]], None]
Crashed = Callable[[BaseException], None]


@dataclass(slots=True, eq=False)
class Group:
    """Parts that will share a build, and the step they are at. `lost` are those that a step has ended."""

    rule: Rule
    parts: list[Part]
    step: int = 0
    open_count: int = 0
    lost: set[Part] = field(default_factory=set)

    def left(self) -> list[Part]:
        return [part for part in self.parts if part not in self.lost]


@dataclass(slots=True, eq=False)
class Question:
    """One step of one part, or of all of a group. Further groups may share the answer, remembered by `name`."""

    step: ResolveStep
    group: Group
    parts: list[Part]
    name: str = ""
    sharers: list[tuple[Group, list[Part]]] = field(default_factory=list)

    def everyone(self) -> list[tuple[Group, list[Part]]]:
        return [(self.group, self.parts), *self.sharers]


class LookupTag(Tag):
    """What a look-up's call carries. Its parts do not make up a batch that would have to stay together."""

    __slots__ = ("asked", "question")
    keeps_batch = False

    def __init__(self, question: Question, spec: RequestSpec) -> None:
        super().__init__(question.parts, spec)
        self.asked = spec
        self.question = question


class Lookups:
    """The look-ups of one chunk. `ready` takes the parts that have gone through all steps; calls go into `calls`.

    `crashed` hears of what goes wrong where nobody else would.
    """

    def __init__(self, run: Run, verdicts: Verdicts, calls: deque[Call], ready: Ready, crashed: Crashed) -> None:
        self._run = run
        self._verdicts = verdicts
        self._calls = calls
        self._ready = ready
        self._crashed = crashed
        self._memory = remembered.memory()
        self._groups: dict[Group, None] = {}
        self._asked: dict[str, Question] = {}
        self._fingerprint = fingerprint(run.config)
        self._is_over = False

    def __bool__(self) -> bool:
        return bool(self._groups)

    def begin(self, rule: Rule, parts: list[Part]) -> None:
        """Take parts through the steps of their action."""
        for part in parts:
            part.found = {}
        group = Group(rule, parts)
        self._groups[group] = None
        self._go_on(group)

    def finish(self, call: Call, tag: LookupTag, answer: Answer) -> None:
        """Take the answer of a look-up's call."""
        question = tag.question
        self._asked.pop(question.name, None)
        if answer.error == "aborted":
            self._leave([part for _, parts in question.everyone() for part in parts])
            return
        try:
            found = read(question.step, tag.asked, prepare.response_of(answer))
        except Exception as error:
            logger.exception("look_up_failed", connector=self._run.config.connector.slug, step=question.step.key)
            self._blame(question, error)
            return
        if isinstance(found, ItemOutcome):
            self._judge(call, LookupTag(question, tag.asked), found, answer)
            return
        self._run.note_success()
        self._remember(question, found)
        self._settle(question, found)

    def give_up(self) -> list[Part]:
        """The chunk is over: the parts that have not come through, undecided."""
        self._is_over = True
        left = [part for group in self._groups for part in group.left()]
        self._groups.clear()
        self._asked.clear()
        return left

    # From step to step

    def _go_on(self, group: Group) -> None:
        """Ask the next step for each of the parts; when none is left to ask, they are ready."""
        steps = group.rule.action.resolve
        while group.step < len(steps) and group.left():
            step = steps[group.step]
            group.open_count = 1  # until all have been asked, so that an answer at once does not go on from here
            for parts in [group.left()] if step.per == "batch" else [[part] for part in group.left()]:
                group.open_count += 1
                self._ask(Question(step, group, parts))
            group.open_count -= 1
            if group.open_count:
                return
            group.step += 1
        if group in self._groups:
            del self._groups[group]
            if group.left():
                self._ready(group.rule, group.left())

    def _ask(self, question: Question) -> None:
        """By whoever knows: this process, a call that is under way, another worker, the receiver."""
        try:
            key = None
            if question.step.cache_key is not None:
                payload = question.parts[0].payload
                key = question.step.cache_key(payload, self._run.config.prepared)  # type: ignore[arg-type]
        except Exception as error:
            logger.exception("look_up_key_failed", connector=self._run.config.connector.slug, step=question.step.key)
            self._blame(question, error)
            return
        if key is None:
            self._call(question)
            return
        question.name = self._name(question, key)
        known = self._memory.recall(question.name)
        if known is not None:
            metrics.lookups.labels("this process").inc()
            self._settle(question, orjson.loads(known))
        elif question.name in self._asked:
            self._asked[question.name].sharers.append((question.group, question.parts))
        else:
            self._asked[question.name] = question
            self._memory.ask(question.name, partial(self._pass_on, question))

    def _pass_on(self, question: Question, known: bytes | None) -> None:
        """In the memory's thread: have the sender's go on with what it knows."""
        with suppress(RuntimeError):  # the sender has ended
            self._run.lane.home.order(partial(self._told, question, known))

    def _told(self, question: Question, known: bytes | None) -> None:
        """Another worker knew, or nobody: then the receiver is asked."""
        if self._is_over:
            return
        try:
            if known is None:
                self._call(question)
            else:
                metrics.lookups.labels("another worker").inc()
                self._asked.pop(question.name, None)
                self._memory.keep_here(question.name, known, question.step.ttl_s)
                self._settle(question, orjson.loads(known))
        except Exception as error:  # noqa: BLE001 - the chunk hears of it, as it does of what its calls raise
            self._crashed(error)
        self._run.kick()

    def _call(self, question: Question) -> None:
        config, parts, now = self._run.config, question.parts, clock.now()
        ids, messages = [part.delivery_id for part in parts], [part.delivery.row.message_id for part in parts]
        context = BuildContext(now, ids, messages, config.is_replay, config.public_url)
        try:
            payloads = [part.payload for part in parts]
            spec = question.step.build(payloads, parts[0].found or {}, config.prepared, context)  # type: ignore[arg-type]
            call = None
            if spec is not None and config.origins.allow(spec.url):
                spec.covers = (0,)
                tag, is_replay = LookupTag(question, spec), config.is_replay
                call = prepare.make_call(spec, ids[0], tag, now, is_replay=is_replay, signer=config.signer)
        except Exception as error:
            logger.exception("look_up_build_failed", connector=config.connector.slug, step=question.step.key)
            self._blame(question, error)
            return
        if call is not None:
            metrics.lookups.labels("the receiver").inc()
            self._calls.append(call)
        elif spec is None:
            self._asked.pop(question.name, None)
            self._settle(question, None)
        else:
            self._end(question, lambda part: self._verdicts.decide(part, origins.refusal()))

    # What came of it

    def _settle(self, question: Question, found: object) -> None:
        for _, parts in question.everyone():
            for part in parts:
                part.found = {**(part.found or {}), question.step.key: found}
        self._close(question)

    def _judge(self, call: Call, tag: LookupTag, item: ItemOutcome, answer: Answer) -> None:
        """The attempt of all who asked ends with this outcome."""
        question = tag.question
        tag.parts = [part for _, each in question.everyone() for part in each]
        if item.outcome in NO_END:
            item = replace(item, outcome=Outcome.REJECTED)
        self._lose(question)
        items = [replace(item, index=index) for index in range(len(tag.parts))]
        self._verdicts.take(call, tag, items, answer)
        self._close(question)

    def _blame(self, question: Question, error: Exception) -> None:
        """A connector's own code failed."""
        parts = [part for _, each in question.everyone() for part in each]
        self._lose(question)
        self._verdicts.blame_ourselves(parts, error)
        self._close(question)

    def _end(self, question: Question, decide: Callable[[Part], None]) -> None:
        self._lose(question)
        for _, parts in question.everyone():
            for part in parts:
                decide(part)
        self._close(question)

    def _leave(self, parts: Sequence[Part]) -> None:
        """The call was given up on with its lane: nothing was tried."""
        gone = set(parts)
        for group in self._groups:
            group.lost.update(gone.intersection(group.parts))
        self._verdicts.leave_undecided(parts)

    def _lose(self, question: Question) -> None:
        self._asked.pop(question.name, None)
        for group, parts in question.everyone():
            group.lost.update(parts)

    def _close(self, question: Question) -> None:
        """One question less is open; a group without any goes on."""
        for group, _ in question.everyone():
            group.open_count -= 1
            if not group.open_count and group in self._groups:
                group.step += 1
                self._go_on(group)

    # To remember by

    def _name(self, question: Question, key: str) -> str:
        """Tell nothing of whom it is about; other settings may mean another account, with other ids."""
        config, rule = self._run.config, question.group.rule
        place = (config.workspace_id, config.destination_id, self._fingerprint, rule.action.key, question.step.key, key)
        return f"headwater:found:{digest(map(str, place))}"

    def _remember(self, question: Question, found: object) -> None:
        """That there is no such thing is not remembered: the call that follows may well make it."""
        if not question.name or found is None or question.step.ttl_s <= 0:
            return
        try:
            text = orjson.dumps(found)
        except TypeError:
            return
        is_secret = any(secret.encode() in text for secret in self._run.config.secrets)
        if len(text) <= LARGEST_KEPT and not is_secret:
            self._memory.keep(question.name, text, question.step.ttl_s)


# What makes no sense for one question: it cannot be halved, and no job of its own follows from it.
NO_END = {Outcome.TOO_LARGE, Outcome.PENDING, Outcome.DELIVERED}


def read(step: ResolveStep, spec: RequestSpec, response: Response) -> object | ItemOutcome:
    """What the step found; or the outcome that ends the attempt, by the step's word or by the common table."""
    found = step.read(spec, response)
    if found is not None:
        return found
    is_answer = response.error is None and (200 <= response.status < 300 or response.status == NOT_FOUND)
    return None if is_answer else http.interpret(spec, response)[0]


def fingerprint(config: Config) -> str:
    """A name for the connector's version and the settings in force, credentials included, which tells none of them."""
    connector, stored = config.connector, config.stored
    settings = orjson.dumps([stored.settings, stored.secrets], option=orjson.OPT_SORT_KEYS, default=str).decode()
    return digest([connector.slug, connector.version, settings])


def digest(texts: Iterable[str]) -> str:
    """One name for several texts."""
    return sha256("\0".join(texts).encode()).hexdigest()[:40]
