"""Redis Streams: every event appended to a stream of Redis or Valkey, for programs of yours to read.

**What you need.** The address of a Redis or Valkey, one server, sentinels or a cluster, and a user that may add to the
streams. TLS is on unless you switch it off, which works only for servers in networks that the operator of this
installation has opened.

**What each call becomes.** An entry with the fields `message_id`, `type`, `source`, `key`, `content_type` and `body`;
the body is the event as JSON unless the mapping says otherwise, the key the user id or else the anonymous id. The
mapping names the stream, by the kind of call unless you change it. Streams are cut to about the length in the settings.

**What errors mean.** Events are written at least once: an entry may come twice after a failure, and a reader tells by
its `message_id`. A wrong password pauses the destination, a missing right stops it; while the server loads, is out of
memory, is read-only or has lost its cluster, events wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Built,
    Connector,
    Field,
    Payload,
    Preset,
    Settings,
)
from connectors.destinations import _records as records
from connectors.destinations import _redis as servers
from connectors.records import RedisCommand, SinkRequest


@dataclass(frozen=True, slots=True)
class Streams:
    """Where entries go, and how long a stream gets; 0 for any length."""

    target: dict[str, object] = field(repr=False)
    longest: int


def prepare(settings: Settings) -> Streams:
    """Work out the target once."""
    return Streams(servers.target_of(settings), int(str(settings.get("max_length") or 0)))


def build(payloads: Sequence[Payload], streams: Streams, context: BuildContext) -> list[Built]:
    """Make an entry of each payload, all of them in one pipeline."""
    commands = tuple(_entry(payload, streams, context, index) for index, payload in enumerate(payloads))
    covers = tuple(range(len(payloads)))
    return [SinkRequest("redis", streams.target, commands, covers, 15.0, "append")] if commands else []


def _entry(payload: Payload, streams: Streams, context: BuildContext, index: int) -> RedisCommand:
    cut = ("MAXLEN", "~", streams.longest) if streams.longest else ()
    named = [(name.replace("-", "_"), value) for name, value in records.headers(payload, context, index)]
    if payload.get("key"):
        named.append(("key", records.clean(payload["key"])))
    words = [word for pair in (*named, ("body", records.json_text(payload["value"]))) for word in pair]
    return RedisCommand(("XADD", records.clean(payload["stream"]), *cut, "*", *words))


def build_test(streams: Streams, context: BuildContext) -> SinkRequest:
    """Sign in, and write nothing."""
    return servers.test_request(streams.target)


APPEND = Action(
    key="append",
    title="Append an entry",
    description="Add the event to a stream.",
    default_trigger=ALL_CALLS,
    fields=(
        Field("stream", "Stream", required=True, default={"@template": "events:{{type}}"}, maximum=500),
        records.VALUE,
        records.KEY,
        records.TYPE,
        records.SOURCE,
        records.WORKSPACE,
    ),
    build=build,
    batch=BatchRule(max_items=500, max_bytes=4_000_000),
)

connector = Connector(
    slug="redis_streams",
    name="Redis Streams",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Appends events to streams of Redis or Valkey.",
    docs_url="https://redis.io/docs/latest/commands/xadd/",
    settings=(
        *servers.SETTINGS,
        Field(
            "max_length",
            "Longest stream",
            "integer",
            "About how many entries are kept in a stream; 0 for all of them.",
            default=1_000_000,
            minimum=0,
            maximum=10**12,
        ),
    ),
    actions=(APPEND,),
    presets=(Preset("All events", "append", ALL_CALLS, APPEND.default_mapping),),
    prepare=prepare,
    test=build_test,
    kind="sink",
    allows_custom_host=True,
)
