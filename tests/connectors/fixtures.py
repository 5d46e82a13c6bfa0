"""What connectors are tested on: for each a folder of JSON files, written from the vendor's own documentation.

A fixture says which requests its events come to, and what the vendor's answers mean for each of them; `source` is the
vendor's page that says so.

    {"source", "action", "settings", "event" | "events", "mapping"?, "found"?,
     "requests": [{"method", "url", "headers", "body", "body_kind", "covers"} | {"protocol", "records", "covers"}
                  | {"index", "outcome", "reason"}],
     "answers"?: [{"name", "request", "status" | "error", "headers"?, "body"?, "outcomes": [{"index", "outcome", …}]}],
     "resolve"?: [{"step", "request", "answer": {"status", "headers"?, "body"?}, "found" | "outcome"}]}
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from connectors import registry
from connectors.base import Action, BuildContext, Built, Connector, Found, Payload
from connectors.http import ItemOutcome, RequestSpec, Response, interpret
from connectors.payloads import shape_of
from connectors.records import SinkRequest
from connectors.settings import validate_settings
from hub.expressions.mappings import compile_mapping

FOLDER = Path(__file__).parent
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PUBLIC_URL = "https://hub.example"
GZIP = b"\x1f\x8b"
JsonObject = dict[str, object]


@dataclass
class Fixture:
    """One file."""

    path: Path
    content: Mapping[str, object] = field(repr=False)

    @property
    def slug(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return f"{self.slug}-{self.path.stem}"

    @cached_property
    def connector(self) -> Connector:
        return registry.get(self.slug)

    @cached_property
    def action(self) -> Action:
        return self.connector.action(str(self.content["action"]))

    @cached_property
    def events(self) -> list[JsonObject]:
        return list(self.content.get("events") or [self.content["event"]])  # type: ignore[call-overload]

    @cached_property
    def prepared(self) -> object:
        return self.connector.prepare(validate_settings(self.connector, self.content["settings"]))  # type: ignore[arg-type]

    @cached_property
    def payloads(self) -> list[Payload]:
        mapping = self.content.get("mapping") or self.action.default_mapping
        make, shape = compile_mapping(mapping), shape_of(self.action)  # type: ignore[arg-type]
        return [shape(make(event)) for event in self.events]

    @property
    def context(self) -> BuildContext:
        found: Sequence[Found] = self.content.get("found") or ()  # type: ignore[assignment]
        return context_for(self.events, found)

    def build(self) -> Sequence[Built]:
        return self.action.build(self.payloads, self.prepared, self.context)

    def interpret(self, request: RequestSpec, response: Response) -> list[ItemOutcome]:
        return (self.connector.interpret or interpret)(request, response)


def context_for(events: Sequence[Mapping[str, object]], found: Sequence[Found] = ()) -> BuildContext:
    """The context that the fixtures speak of."""
    return BuildContext(
        NOW,
        delivery_ids=[f"msg_{index}" for index in range(len(events))],
        message_ids=[str(event.get("messageId", index)) for index, event in enumerate(events)],
        public_url=PUBLIC_URL,
        found=found or [{} for _ in events],
    )


def all_fixtures() -> list[Fixture]:
    return [Fixture(path, json.loads(path.read_text())) for path in sorted(FOLDER.glob("*/*.json"))]


def shown(built: Built, expected: Mapping[str, object]) -> JsonObject:
    """What was built as a fixture says it: the keys that the fixture has, as JSON."""
    if isinstance(built, RequestSpec):
        seen = {**asdict(built), "headers": dict(built.headers), "signing": built.signing is not None}
        assert len(seen["headers"]) == len(built.headers), "a header is there twice"
    elif isinstance(built, SinkRequest):
        seen = {**asdict(built), "target": dict(built.target)}
    else:
        seen = asdict(built)
    return json.loads(json.dumps({key: seen[key] for key in expected}, default=readable))  # type: ignore[no-any-return]


def readable(value: object) -> object:
    if isinstance(value, bytes):
        if value.startswith(GZIP):
            return {"gzip": gzip.decompress(value).decode()}
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    return str(value)


def answer_of(told: Mapping[str, object]) -> Response:
    """An answer as a fixture writes it."""
    body = told.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    headers: Mapping[str, str] = told.get("headers") or {}  # type: ignore[assignment]
    error = told.get("error")
    return Response(
        status=int(str(told.get("status", 0))),
        error=str(error) if error else None,
        body=text.encode(),
        headers=tuple((name.lower(), str(value)) for name, value in headers.items()),
        received_at=NOW,
    )
