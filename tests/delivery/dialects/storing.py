"""A store that speaks no HTTP: one record for each event, in batches."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.base import ALL_CALLS, Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, Settings
from connectors.records import RedisCommand, SinkRequest

FIELDS = (Field("n", "Number", "integer", default={"@path": "$.properties.n"}),)


def prepare(settings: Settings) -> str:
    return str(settings["url"])


def build(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[SinkRequest]:
    records = tuple(RedisCommand(("RPUSH", "events", json.dumps(payload.get("n")))) for payload in payloads)
    return [SinkRequest("redis", {"url": url}, records, tuple(range(len(payloads))), 5.0, "rows")]


WRITE = Action("write", "Write", "Ten at once.", ALL_CALLS, FIELDS, build, BatchRule(10, 0))
ONCE = Action("once", "Once", "Never twice.", ALL_CALLS, FIELDS, build, idempotent=False)

connector = Connector(
    slug="storing",
    name="Storing",
    version="1.0.0",
    category="storage",
    status="hidden",
    description="For tests.",
    docs_url="https://storing.example.test",
    settings=(Field("url", "URL", required=True),),
    actions=(WRITE, ONCE),
    presets=(Preset("All", "write", ALL_CALLS, WRITE.default_mapping),),
    prepare=prepare,
    test=lambda url, context: SinkRequest("redis", {"url": url}),
    kind="sink",
    allows_custom_host=True,
)
