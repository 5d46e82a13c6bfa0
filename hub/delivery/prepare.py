"""From a routed event to bytes on the wire: delivery id, connector build, serialisation, signature."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson

from connectors.base import BuildContext
from connectors.http import RequestSpec, Response
from hub.delivery.calls import Call
from hub.delivery.config import Config, Rule
from hub.delivery.run import Fault
from hub.events.cursors import LogRow
from hub.lib import clock, ids
from hub.lib.net import Answer

if TYPE_CHECKING:
    from hub.delivery.parts import Part

CONTENT_TYPES = {
    "json": "content-type: application/json",
    "form": "content-type: application/x-www-form-urlencoded",
    "ndjson": "content-type: application/x-ndjson",
}
USER_AGENT = "user-agent: Headwater/1.0"
REPLAYED = "replay: true"
NO_HEADERS: tuple[tuple[str, str], ...] = ()


def delivery_id(config: Config, rule: Rule, row: LogRow) -> str:
    """The id that every attempt and replay of this event by this mapping carries."""
    accepted = (row.source_id, row.received_at)
    if accepted != config.last_accepted:  # events of one request share both
        config.last_accepted = accepted
        config.accepted_texts = (str(row.source_id), row.received_at.isoformat())
    source, received_at = config.accepted_texts
    return ids.delivery_id(rule.place, source, row.message_id, received_at)


def build(config: Config, rule: Rule, parts: Sequence[Part], now: datetime) -> list[RequestSpec]:
    """Have the connector make the requests for these parts of one mapping."""
    ids, messages = [part.delivery_id for part in parts], [part.delivery.row.message_id for part in parts]
    return build_for(config, rule, [part.payload for part in parts], ids, messages, now)


def build_for(
    config: Config,
    rule: Rule,
    payloads: Sequence[object],
    delivery_ids: Sequence[str],
    message_ids: Sequence[str],
    now: datetime,
) -> list[RequestSpec]:
    """Have the connector make the requests for these payloads; ids are in the same order."""
    context = BuildContext(now, delivery_ids, message_ids, config.is_replay, config.public_url)
    specs = rule.action.build(payloads, config.prepared, context)  # type: ignore[arg-type]
    if not rule.action.idempotent:  # whatever the connector's author forgot to say of a request
        for spec in specs:
            spec.is_idempotent = False
    return specs


def make_call(spec: RequestSpec, key: str, tag: object, now: datetime, *, is_replay: bool = False) -> Call:
    """Serialise and sign a request at `now`. `key` is the delivery id, its name when the request gives none itself."""
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
    if is_replay and REPLAYED not in headers:
        headers.append(REPLAYED)
    if spec.signing is not None:
        signed = spec.signing.headers(body or b"", spec.idempotency_key or key, int(now.timestamp()))
        headers += [f"{name}: {value}" for name, value in signed]
    return Call(spec.method, spec.url, headers, body, int(spec.timeout_s * 1000), tag)


def serialise(spec: RequestSpec) -> bytes | None:
    """The body's bytes by its kind; None when the request has none."""
    body = spec.body
    if spec.body_kind == "none" or body is None:
        return None
    if spec.body_kind == "json":
        return orjson.dumps(body)
    if spec.body_kind == "ndjson" and isinstance(body, Sequence):
        return b"".join(orjson.dumps(line) + b"\n" for line in body)
    if spec.body_kind == "form":
        return urlencode(body).encode()  # type: ignore[arg-type]
    return body if isinstance(body, bytes) else str(body).encode()


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
