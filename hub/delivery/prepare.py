"""From a routed event to bytes on the wire: delivery id, connector build, serialisation, signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from connectors.base import BuildContext, Built, Found
from connectors.http import ItemOutcome, RequestSpec, Response
from connectors.records import SinkRequest
from hub.delivery import origins
from hub.delivery.bodies import finish, serialise
from hub.delivery.calls import Call
from hub.delivery.config import Config, Rule
from hub.delivery.grants.signing import Signer
from hub.delivery.parts import DeliveryIds, Part, Tag
from hub.delivery.run import Fault
from hub.delivery.sinks.calls import SinkCall
from hub.events.cursors import LogRow
from hub.lib import clock, ids
from hub.lib.net import Answer

CONTENT_TYPES = {
    "json": "content-type: application/json",
    "form": "content-type: application/x-www-form-urlencoded",
    "ndjson": "content-type: application/x-ndjson",
}
USER_AGENT = "user-agent: Headwater/1.0"
REPLAYED = "replay: true"
NO_HEADERS: tuple[tuple[str, str], ...] = ()


def accepted(config: Config, row: LogRow) -> tuple[str, str]:
    """By which source and when an event was accepted, as delivery ids are made of it."""
    key = (row.source_id, row.received_at)
    if key != config.last_accepted:  # events of one request share both
        config.last_accepted = key
        config.accepted_texts = (str(row.source_id), row.received_at.isoformat())
    return config.accepted_texts


def delivery_id(config: Config, rule: Rule, row: LogRow) -> str:
    """The id that every attempt and replay of this event by this mapping carries."""
    source, received_at = accepted(config, row)
    return ids.delivery_id(rule.place, source, row.message_id, received_at)


def build(config: Config, rule: Rule, parts: Sequence[Part], now: datetime) -> Sequence[Built]:
    """Have the connector make the requests for these parts of one mapping."""
    messages, payloads = [part.delivery.row.message_id for part in parts], [part.payload for part in parts]
    found = [part.found or {} for part in parts] if rule.action.resolve else ()
    names = [part.name for part in parts] if len(parts) > 1 else ()
    return build_for(config, rule, payloads, DeliveryIds(parts), messages, now, found, names)


def build_for(
    config: Config,
    rule: Rule,
    payloads: Sequence[object],
    delivery_ids: Sequence[str],
    message_ids: Sequence[str],
    now: datetime,
    found: Sequence[Found] = (),
    names: Sequence[str] = (),
) -> Sequence[Built]:
    """Have the connector make the requests for these payloads; ids are in the same order."""
    context = BuildContext(now, delivery_ids, message_ids, config.is_replay, config.public_url, found, names)
    built = rule.action.build(payloads, config.prepared, context)  # type: ignore[arg-type]
    if not rule.action.idempotent:  # whatever the connector's author forgot to say of a request
        for spec in built:
            if not isinstance(spec, ItemOutcome):
                spec.is_idempotent = False
    return built


def calls_of(
    config: Config, rule: Rule, parts: list[Part], at: datetime | None = None
) -> Iterator[Call | tuple[Part, ItemOutcome]]:
    """The calls for these parts of one mapping, and what was decided about some without one."""
    now = at or clock.now()
    for made in build(config, rule, parts, now):
        if isinstance(made, ItemOutcome):
            yield parts[made.index], made
            continue
        covered = [parts[index] for index in made.covers]
        tag = Tag(covered, made)
        if isinstance(made, SinkRequest):
            yield SinkCall(made, tag)
        elif config.origins.allow(made.url):
            yield make_call(made, covered[0].delivery_id, tag, now, is_replay=config.is_replay, signer=config.signer)
        else:
            yield from ((part, origins.refusal()) for part in covered)


def make_call(
    spec: RequestSpec,
    key: str,
    tag: object,
    now: datetime,
    *,
    is_replay: bool = False,
    signer: Signer | None = None,
) -> Call:
    """Serialise and sign a request at `now`. `key` is the delivery id, its name when the request gives none itself.

    `signer` adds what the destination's token or access key comes to, over all that has been made before.
    """
    body = serialise(spec)
    headers = [f"{name}: {value}" for name, value in spec.headers]
    has_type = has_agent = False
    for name, _ in spec.headers:
        has_type = has_type or name == "content-type"
        has_agent = has_agent or name == "user-agent"
    if not has_type and spec.body_kind in CONTENT_TYPES:
        headers.append(CONTENT_TYPES[spec.body_kind])
    if not has_agent:
        headers.append(USER_AGENT)
    if body is not None and (spec.compress or spec.body_kind == "multipart"):
        body = finish(spec, body, headers)
    if is_replay and REPLAYED not in headers:
        headers.append(REPLAYED)
    if spec.signing is not None:
        signed = spec.signing.headers(body or b"", spec.idempotency_key or key, int(now.timestamp()))
        headers += [f"{name}: {value}" for name, value in signed]
    if signer is not None and spec.uses_grant:
        headers += signer.lines(spec.method, spec.url, headers, body, now)
    return Call(spec.method, spec.url, headers, body, int(spec.timeout_s * 1000), tag)


def response_of(answer: Answer) -> Response:
    """The sender's answer in the connectors' words."""
    headers = NO_HEADERS
    if answer.headers:
        pairs = (line.decode("latin-1").partition(":") for line in answer.headers if b":" in line)
        headers = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    return Response(
        status=answer.status,
        error=answer.error,
        body=answer.body,
        headers=headers,
        retry_after=answer.retry_after,
        sent=answer.sent,
        received_at=clock.now() if headers else None,
    )


def bug_fault(error: BaseException) -> Fault:
    """What a mistake of our own means for the pipeline: it pauses for a while, nothing is lost."""
    return Fault("circuit", "internal", f"An error in Headwater itself: {type(error).__name__}.")
