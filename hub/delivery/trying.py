"""Events tried out at a destination by the very steps of a delivery: routing, mapping, look-ups, build, call, verdict.

A dry run makes no call at all and shows the requests as they would go out; its look-ups are answered by what is given.
A live test makes them. Nothing of either is in the books. What is shown has every secret hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson

from connectors.base import ResolveStep
from connectors.errors import PayloadError
from connectors.http import ItemOutcome, RequestSpec
from hub.delivery import asking, drafts, origins, prepare, record, shaping
from hub.delivery.batches import Filling
from hub.delivery.calls import Call
from hub.delivery.config import Config, Rule
from hub.delivery.grants import tokens
from hub.delivery.parts import Delivery, Part, Tag
from hub.events.cursors import LogRow
from hub.events.spec import CallType
from hub.expressions.errors import ExpressionError
from hub.lib import clock
from hub.lib.ids import key8
from hub.observability import log
from hub.routing import decide
from hub.routing.explain import SENTENCES
from hub.routing.rules import code_of

logger = log.get(__name__)
BODY_SHOWN = 64 * 1024
MOST_EVENTS = 100
Shown = dict[str, Any]


class BadEvent(ValueError):
    """What was given is no event; the message is for whoever gave it."""


@dataclass(slots=True)
class Attempted:
    """A live call of the test, for the record of it."""

    part: Part
    item: ItemOutcome
    exchange: asking.Exchange


@dataclass(slots=True)
class Trial:
    """What came of it: for each event its routing, for each mapping its payloads, calls, answers and outcomes."""

    is_live: bool
    at: datetime
    received_at: datetime | None = None
    events: list[Shown] = field(default_factory=list)
    steps: list[Shown] = field(default_factory=list)
    attempts: list[Attempted] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether something would be sent and nothing of it failed."""
        words = [outcome["outcome"] for step in self.steps for outcome in step["outcomes"]]
        sends = any(step["kind"] == "request" for step in self.steps)
        return sends and not any(word not in ("delivered", "filtered", "pending") for word in words)

    def as_json(self) -> Shown:
        return {"live": self.is_live, "ok": self.is_good, "events": self.events, "steps": self.steps}


class Bounds:
    """Batches as the mapping has them: what refusals have taught a running pipeline is not asked."""

    def items_per_call(self, rule: Rule) -> int:
        return rule.items_per_call

    def bytes_per_call(self, rule: Rule) -> int:
        return rule.max_bytes


def read_events(text: str | bytes) -> list[dict[str, Any]]:
    """One event or a list of them, with what a person leaves out. Raises BadEvent."""
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadEvent(f"This is not JSON: {error}.") from error
    found = given if isinstance(given, list) else [given]
    if not found or len(found) > MOST_EVENTS:
        raise BadEvent(f"Give one event, or a list of 1 to {MOST_EVENTS}.")
    return [_complete(event, number) for number, event in enumerate(found)]


def _complete(event: object, number: int) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise BadEvent("An event is a JSON object.")
    if event.get("type") not in tuple(CallType):
        raise BadEvent(f"An event has a `type`: {', '.join(CallType)}.")
    now = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"messageId": f"test-{number}", "timestamp": now, "receivedAt": now, **event}


def try_events(
    config: Config,
    events: Sequence[Mapping[str, Any]],
    source_id: UUID,
    *,
    is_live: bool = False,
    found: Sequence[Mapping[str, object]] = (),
    at: datetime | None = None,
    received_at: datetime | None = None,
) -> Trial:
    """Try the events out together, as one chunk of a pipeline would take them; now, or as if it were another time.

    Delivery ids are made with the time of acceptance: with that of an event of the log they are those of its delivery.
    Raises NoToken when nothing can be sent for want of a token.
    """
    (tokens.ensure if is_live else tokens.show)(config)
    trial, filling = Trial(is_live, at or clock.now(), received_at), Filling(Bounds())
    for number, event in enumerate(events):
        known = found[number] if number < len(found) else {}
        for part in _routed(config, trial, number, dict(event), source_id, known):
            for parts in filling.add(part):
                _try(config, trial, parts)
    for parts in filling.flush():
        _try(config, trial, parts)
    return trial


def _try(config: Config, trial: Trial, parts: list[Part]) -> None:
    """A connector that fails is what the test was made to show."""
    try:
        _go_through(config, trial, parts)
    except Exception as error:
        logger.exception("connector_failed_in_test", connector=config.connector.slug)
        trial.steps.append(_decided(config, parts, drafts.bug(error)))


def _routed(
    config: Config, trial: Trial, number: int, event: dict[str, Any], source_id: UUID, known: Mapping[str, object]
) -> Iterator[Part]:
    """The event's parts; what routing says is noted."""
    message_id, accepted_at = str(event.get("messageId")), trial.received_at or trial.at
    user = str(event.get("userId") or event.get("anonymousId") or "")
    body, name = orjson.dumps(event).decode(), event.get("event")
    row = LogRow(
        number, 0, source_id, accepted_at, 0, str(event["type"]), name and str(name), key8(user), message_id, body
    )
    decision = decide.decide(config.plan, event, source_id)
    sentence = SENTENCES.get(code_of(decision.reason), "")
    names = {route.mapping_id: route.name for route in config.routes}
    told = {
        "message_id": message_id,
        "goes": not decision.reason,
        "reason": decision.reason,
        "sentence": sentence,
        "mappings": [names.get(mapping_id, "") for mapping_id in decision.mapping_ids],
    }
    trial.events.append(told)
    for mapping_id in decision.mapping_ids:
        part = Part(Delivery(row), config.rules[mapping_id], prepare.accepted(config, row), None)
        problem = _map(part, event if decision.changed is None else decision.changed)
        if problem is not None:
            trial.steps.append(_decided(config, [part], problem))
            continue
        part.found = dict(known)
        yield part


def _map(part: Part, message: dict[str, Any]) -> ItemOutcome | None:
    try:
        part.payload = part.rule.transform(message)
    except ExpressionError as error:
        return shaping.unmapped(error)
    except PayloadError as error:
        return shaping.rejected(error)
    return None


def _go_through(config: Config, trial: Trial, parts: list[Part]) -> None:
    """Look-ups, then the requests of these parts."""
    for step in parts[0].rule.action.resolve:
        for asked in [parts] if step.per == "batch" else [[part] for part in parts]:
            if asked:
                parts = _look_up(config, trial, step, asked, parts)
    if not parts:
        return
    for made in prepare.calls_of(config, parts[0].rule, parts, trial.at):
        if not isinstance(made, Call):
            part, item = made
            trial.steps.append(_decided(config, [part], item))
            continue
        tag: Tag = made.tag  # type: ignore[assignment]
        shown = _step(config, "request", tag.parts, made)
        if trial.is_live:
            exchange = asking.make_for(config, made, tag.parts[0].delivery_id)
            items = asking.judge(config, tag.spec, exchange)
            _answered(config, shown, exchange, items)
            pairs = zip(tag.parts, items, strict=True)
            trial.attempts += [Attempted(part, item, exchange) for part, item in pairs]
        trial.steps.append(shown)


def _look_up(config: Config, trial: Trial, step: ResolveStep, asked: list[Part], parts: list[Part]) -> list[Part]:
    """One step of one part or of all; gives the parts that go on."""
    first = asked[0]
    if not trial.is_live and step.key in (first.found or {}):
        return parts
    context = asking.context_of(config, len(asked), trial.at)
    payloads, made = [part.payload for part in asked], list[asking.Exchange]()
    ask_for = partial(_ask, config, trial, step, asked, made)
    found = asking.look_up(config, step, payloads, first.found or {}, context, ask_for)  # type: ignore[arg-type]
    if isinstance(found, ItemOutcome):
        trial.attempts += [Attempted(part, found, exchange) for exchange in made for part in asked]
        trial.steps[-1]["outcomes"] = [shown_outcome(config, found)]
        return [part for part in parts if part not in asked]
    if made:
        trial.steps[-1]["found"] = clean(config, found)
    for part in asked:
        part.found = {**(part.found or {}), step.key: found}
    return parts


def _ask(
    config: Config, trial: Trial, step: ResolveStep, asked: list[Part], made: list[asking.Exchange], spec: RequestSpec
) -> asking.Exchange | ItemOutcome | None:
    """Make the call of a look-up, into `made`, or only show it."""
    if not config.origins.allow(spec.url):
        trial.steps.append(_decided(config, asked, origins.refusal()))
        return origins.refusal()
    call = prepare.make_call(spec, asked[0].delivery_id, Tag(asked, spec), trial.at, signer=config.signer)
    shown = {**_step(config, "look-up", asked, call), "step": step.key}
    trial.steps.append(shown)
    if not trial.is_live:
        shown["note"] = "Not asked in a dry run: the requests below are those after finding nothing."
        return None
    exchange = asking.make_for(config, call, asked[0].delivery_id)
    shown["response"] = shown_exchange(config, exchange)["response"]
    made.append(exchange)
    return exchange


# How it is shown


def _step(config: Config, kind: str, parts: Sequence[Part], call: Call | None) -> Shown:
    rule = parts[0].rule
    names = {route.mapping_id: route.name for route in config.routes}
    return {
        "kind": kind,
        "mapping": names.get(rule.mapping_id, ""),
        "action": rule.action.key,
        "message_ids": [part.delivery.row.message_id for part in parts],
        "request": shown_call(call, config.secrets) if call is not None else None,
        "response": None,
        "outcomes": [],
    }


def _decided(config: Config, parts: Sequence[Part], item: ItemOutcome) -> Shown:
    return {**_step(config, "decided", parts, None), "outcomes": [shown_outcome(config, item)]}


def _answered(config: Config, shown: Shown, exchange: asking.Exchange, items: Sequence[ItemOutcome]) -> None:
    shown["response"] = shown_exchange(config, exchange)["response"]
    shown["outcomes"] = [shown_outcome(config, item) for item in items]


def shown_exchange(config: Config, exchange: asking.Exchange) -> Shown:
    """A call and its answer without secrets."""
    secrets = (*record.credentials_of(exchange.call), *config.secrets)
    response = orjson.loads(record.response_text(exchange.answer, secrets))
    response["duration_ms"] = round(exchange.answer.duration_ms)
    return {"request": shown_call(exchange.call, config.secrets), "response": response}


def shown_outcome(config: Config, item: ItemOutcome) -> Shown:
    """An outcome without secrets, which a receiver may have said."""
    said = {
        "outcome": item.outcome.value,
        "status": item.status,
        "reason": item.reason,
        "message": item.message,
        "remote_id": item.remote_id,
        "warnings": list(item.warnings),
    }
    return clean(config, said)  # type: ignore[return-value]


def clean(config: Config, value: object) -> object:
    """The value as JSON, without secrets."""
    return orjson.loads(record.scrub(orjson.dumps(value, default=str).decode(), config.secrets))


def shown_call(call: Call, secrets: Sequence[str]) -> Shown:
    """The request as it goes out, unpacked for the eye and with every secret hidden."""
    headers = [line.partition(": ")[::2] for line in call.headers]
    hidden = [[name, record.HIDDEN if record.HIDDEN_HEADERS.search(name) else value] for name, value in headers]
    text = record.unpacked(call, BODY_SHOWN)[:BODY_SHOWN].decode("utf-8", "replace").translate(record.INVISIBLE)
    credentials = (*record.credentials_of(call), *secrets)
    for secret in credentials:
        text = text.replace(secret, record.HIDDEN).replace(quote(secret, safe=""), record.HIDDEN)
    shown = {"method": call.method, "url": call.url, "headers": hidden, "body": text, "size": len(call.body or b"")}
    found: Shown = orjson.loads(record.scrub(orjson.dumps(shown).decode(), credentials))
    return found
