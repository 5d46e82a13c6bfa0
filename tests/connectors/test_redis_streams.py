"""Redis Streams: entries that are cut or not, and that say when they are a replay."""

from __future__ import annotations

from dataclasses import replace

from connectors import registry
from connectors.records import RedisCommand, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

STREAMS = registry.get("redis_streams")


def entry(is_replay: bool = False, **settings: object) -> tuple[object, ...]:
    streams = STREAMS.prepare(validate_settings(STREAMS, {"hosts": "a.test", **settings}))
    context = replace(context_for([{"messageId": "m-1"}]), is_replay=is_replay)
    (request,) = STREAMS.action("append").build([{"stream": "s", "value": {}}], streams, context)
    assert isinstance(request, SinkRequest)
    (command,) = request.records
    assert isinstance(command, RedisCommand)
    return command.arguments


def test_a_stream_is_cut_unless_it_may_be_endless() -> None:
    assert entry()[:5] == ("XADD", "s", "MAXLEN", "~", 1_000_000)
    assert entry(max_length=0)[:3] == ("XADD", "s", "*")


def test_a_replay_says_so() -> None:
    assert "replay" in entry(is_replay=True)
    assert "replay" not in entry()
