"""Events as compressed files in a bucket: which of them share a file, what it is called, and its bytes.

A file's name comes from the events in it and nothing else, so that sending them again gives the same file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

from connectors.base import ALL_CALLS, Action, BatchRule, Build, BuildContext, Built, Field, Payload, Prepared, Preset
from connectors.fields import whole_event
from connectors.http import SPLIT_TOO_LARGE, ItemOutcome, Outcome, RequestSpec, Scope

LEVEL = 6
LONGEST_VALUE = 120
MOST_EVENTS = 10_000
CONTENT_TYPE = ("content-type", "application/gzip")
KEYS = ("source", "type", "hour")

PREFIX = Field(
    "prefix",
    "Folder",
    description="What the names of all files begin with.",
    default="headwater",
    pattern=r"(?!\.{1,2}(/|$))[A-Za-z0-9!_.=-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9!_.=-]+)*",
    maximum=200,
)
FILE_EVENTS = Field(
    "file_events",
    "Events in a file",
    "integer",
    "At most. How long events may wait for a file to fill, a minute at first, is set with the mapping.",
    default=MOST_EVENTS,
    minimum=1,
    maximum=MOST_EVENTS,
)
RECEIVED = {"@path": "$.receivedAt"}
FIELDS = (
    whole_event("A line of the file: the whole event unless the mapping says otherwise."),
    Field("source", "Source", description="Files of each source are apart.", default={"@path": "$.projectId"}),
    Field("type", "Call", description="Files of each call are apart.", required=True, default={"@path": "$.type"}),
    Field(
        "hour",
        "Hour",
        "datetime",
        "Files of each hour (UTC) are apart: when the event was received, else when it happened.",
        required=True,
        format="hour",
        default={"@if": {"exists": RECEIVED, "then": RECEIVED, "else": {"@path": "$.timestamp"}}},
    ),
)


class File(NamedTuple):
    """One object of the bucket."""

    key: str
    content: bytes
    covers: tuple[int, ...]


def store(build: Build) -> Action:
    """Declare the one action that buckets have."""
    return Action(
        key="store",
        title="Store in a file",
        description="Write events as lines of a compressed file.",
        default_trigger=ALL_CALLS,
        fields=FIELDS,
        build=build,
        batch=BatchRule(
            MOST_EVENTS,
            max_bytes=20_000_000,
            max_wait_s=300.0,
            keys=KEYS,
            default_wait_s=60.0,
            size_setting=FILE_EVENTS.key,
        ),
    )


def presets(action: Action) -> tuple[Preset, ...]:
    """Start with everything."""
    return (Preset("All events", action.key, ALL_CALLS, action.default_mapping),)


def builder(prefix_of: Callable[[Prepared], str], request: Callable[[Prepared, File], RequestSpec]) -> Build:
    """Make the `build` of a store from how it is asked to keep one file."""

    def build(payloads: Sequence[Payload], bucket: Prepared, context: BuildContext) -> list[Built]:
        return [request(bucket, file) for file in files_of(payloads, prefix_of(bucket), context)]

    return build


def files_of(payloads: Sequence[Payload], prefix: str, context: BuildContext) -> Iterator[File]:
    """Put events of one source, call and hour into a file."""
    names, together = context.names or context.delivery_ids, dict[tuple[str, ...], list[int]]()
    for index, payload in enumerate(payloads):
        together.setdefault(tuple(str(payload.get(key) or "none") for key in KEYS), []).append(index)
    for (source, call, hour), covers in together.items():
        mark = uuid5(NAMESPACE_OID, "\n".join(names[index] for index in covers))
        day, _, clock = hour.partition("T")
        folders = (f"source={_safe(source)}", f"type={_safe(call)}", f"dt={day}", f"hour={clock}")
        key = "/".join([*([prefix] if prefix else []), *folders, f"{mark}.json.gz"])
        content = "".join(line_of(payloads[index]["data"]) + "\n" for index in covers)
        yield File(key, gzip.compress(content.encode("utf-8", "replace"), LEVEL, mtime=0), tuple(covers))


def never_at_fault(outcomes: Iterable[ItemOutcome]) -> list[ItemOutcome]:
    """Have events wait where a file is refused but for its size: what is in it nobody has looked at."""
    refused = (Outcome.REJECTED, Outcome.TOO_LARGE)
    return [
        replace(one, outcome=Outcome.RETRY, scope=Scope.DESTINATION)
        if one.outcome in refused and one.reason != SPLIT_TOO_LARGE.reason
        else one
        for one in outcomes
    ]


def _safe(value: str) -> str:
    """Write a value as the name of a folder, in the way of Hive; one that is too long by its digest."""
    text = quote(value.encode("utf-8", "replace"), safe="")
    return text if len(text) <= LONGEST_VALUE else hashlib.sha256(text.encode()).hexdigest()


def line_of(value: object) -> str:
    """Write a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
