"""One call outside of a turn: to try credentials, to ask what may be chosen, to erase somebody, to try an event out.

It is built, checked and judged as a delivery's calls are, and made through the plain safe call: bounded in time, past
the same gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from connectors.base import BuildContext, Found, Payload, ResolveStep
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.records import SinkRequest
from hub.delivery import drafts, lookups, origins, prepare, record
from hub.delivery.calls import Call
from hub.delivery.config import Config
from hub.delivery.grants import tokens
from hub.delivery.grants.errors import NoToken
from hub.delivery.outbound import gate
from hub.delivery.parts import Tag
from hub.delivery.sinks.calls import SinkCall
from hub.delivery.sinks.running import runner
from hub.lib import clock, net
from hub.lib.net import Answer

LONGEST_SECONDS = 30.0
CHOICES_SECONDS = 10.0
REFUSED = 401


@dataclass(slots=True)
class Exchange:
    """What was sent and what came back. A write to a sink has outcomes instead of an answer to read."""

    call: Call
    answer: Answer
    response: Response
    items: list[ItemOutcome] | None = None


def ask(config: Config, request: RequestSpec | SinkRequest, key: str = "") -> Exchange | ItemOutcome:
    """Make one call of this destination; an outcome when it may not be made."""
    if isinstance(request, SinkRequest):
        return make(SinkCall(request))
    if not config.origins.allow(request.url):
        return origins.refusal()
    try:
        tokens.ensure(config)
    except NoToken as error:
        return error.as_item()
    return make_for(config, prepare.make_call(request, key, Tag([], request), clock.now(), signer=config.signer), key)


def make_for(config: Config, call: Call, key: str) -> Exchange:
    """Make a call of this destination; once more with another token, where the first one is refused."""
    exchange = make(call)
    if exchange.answer.status != REFUSED or config.need is None or not config.need.has_token:
        return exchange
    try:
        tokens.renew(config)
    except NoToken:
        return exchange
    tag: Tag = call.tag  # type: ignore[assignment]
    return make(prepare.make_call(tag.spec, key, tag, clock.now(), signer=config.signer))  # type: ignore[arg-type]


def make(call: Call) -> Exchange:
    """Make a call that is complete. Never raises for what the receiver or the network does."""
    if isinstance(call, SinkCall):
        items, answer = runner().write(call.request)
        return Exchange(call, answer, prepare.response_of(answer), items)
    seconds = min(call.timeout_ms / 1000, LONGEST_SECONDS)
    answer = net.call(gate(), call.method, call.url, call.headers, call.body, seconds)
    return Exchange(call, answer, prepare.response_of(answer))


def look_up(
    config: Config,
    step: ResolveStep,
    payloads: Sequence[Payload],
    found: Found,
    context: BuildContext,
    ask_for: Callable[[RequestSpec], Exchange | ItemOutcome | None],
) -> object | ItemOutcome:
    """What one step finds: None where there is nothing to ask, or no such thing; an outcome where that ends it all.

    `ask_for` makes the call, or does not (None).
    """
    request = step.build(payloads, found, config.prepared, context)
    if request is None:
        return None
    request.covers = (0,)
    asked = ask_for(request)
    return lookups.read(step, request, asked.response) if isinstance(asked, Exchange) else asked


def judge(config: Config, request: RequestSpec | SinkRequest, exchange: Exchange) -> list[ItemOutcome]:
    """What the answer means for each payload, as a delivery would have it."""
    if exchange.items is not None or isinstance(request, SinkRequest):
        items = exchange.items or []
    else:
        items = config.interpret(request, exchange.response)
    items = drafts.complete(items, request.covers, exchange.response.status)
    items = record.hushed(items, exchange.call, config.secrets)
    if exchange.answer.error is not None and exchange.answer.sent and not request.is_repeatable:
        return [drafts.unconfirmed(item) if item.outcome is Outcome.RETRY else item for item in items]
    return items


def context_of(config: Config, count: int = 1, at: datetime | None = None) -> BuildContext:
    """What a build may know when no delivery is behind it."""
    ids = [f"msg_test{uuid4().hex[:16]}" for _ in range(count)]
    return BuildContext(at or clock.now(), ids, ids, False, config.public_url, [{} for _ in ids])


def check_credentials(config: Config) -> tuple[Exchange | None, ItemOutcome] | None:
    """Make the connector's test call; None when the vendor has none."""
    connector = config.connector
    if connector.test is None:
        return None
    request = connector.test(config.prepared, context_of(config))
    found = ask(config, request, "msg_test")
    if isinstance(found, ItemOutcome):
        return None, found
    return found, judge(config, request, found)[0]


def choices(config: Config, key: str, page: str = "") -> tuple[Sequence[tuple[str, str]], str] | ItemOutcome:
    """Ask the vendor what may be chosen in a field: (value, label) pairs and the mark of the next page.

    Somebody waits before a form, so the call gets less time than a delivery's. Raises KeyError when the connector has
    no such question.
    """
    asked = config.connector.choices[key]
    request = asked.build(config.prepared, context_of(config), page)
    request.timeout_s = min(request.timeout_s, CHOICES_SECONDS)
    found = ask(config, request, "msg_choices")
    if isinstance(found, ItemOutcome):
        return found
    if found.response.error is not None or not 200 <= found.response.status < 300:
        return judge(config, request, found)[0]
    return asked.read(request, found.response)
