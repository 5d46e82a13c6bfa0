"""Amazon EventBridge: every event put on an event bus of your own, where rules hand it on.

**What you need.** The name or ARN of the event bus (`default` is there in every account), its region, and an access key
whose user may put events (`events:PutEvents`), or may assume a role that does. A role can be assumed in every region
but those of China. Partner event sources are not used: the bus is yours.

**What is sent.** The detail is the event as JSON, or what the mapping makes of it. The detail type is the name of the
event, or the call where it has none (`identify`, `page`, …); the source is `headwater` unless you choose another. Rules
can match on each of them.

**Limits.** Up to ten events and 256 KB go in one call; an event that is larger alone is rejected.

**Errors.** EventBridge speaks of each event by itself: those at fault are rejected, the others arrive. When it asks to
slow down, events wait; when the bus is gone or the key may not write, the destination stops and nothing is lost. A key
that may only write cannot look at the bus, so its test ends with the warning `only_writes`. An event may come twice:
targets tell by `messageId`. What was put on a bus cannot be erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from connectors.batching import JsonObject, refuse
from connectors.destinations import _aws as aws
from connectors.destinations._objects import line_of
from connectors.destinations._packing import Entry, Room, pack
from connectors.fields import EVENT, TIMESTAMP, whole_event
from connectors.http import ItemOutcome, RequestSpec
from connectors.moments import seconds_of

CALL = Room(entries=10, size=262_144)
TIME_BYTES = 14
LONGEST_TYPE = 128


@dataclass(frozen=True, slots=True)
class Bus:
    """Where events are put, and as whose."""

    service: aws.Service
    name: str
    source: str


def prepare(settings: Settings) -> Bus:
    """Work out the address once."""
    service = aws.Service(aws.address("events", settings), "AWSEvents", "1.1")
    return Bus(service, str(settings["event_bus"]), str(settings.get("source") or "headwater"))


def build(payloads: Sequence[Payload], bus: Bus, context: BuildContext) -> list[Built]:
    """Put as many events at once as their number and size allow."""

    def send(entries: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        return aws.call(bus.service, "PutEvents", {"Entries": entries}, covers)

    return pack(payloads, lambda index, payload: _entry(index, payload, bus), send, CALL)


def _entry(index: int, payload: Payload, bus: Bus) -> Entry | ItemOutcome:
    """Make an entry, and count its bytes as Amazon does."""
    resources, seconds = payload.get("resources"), seconds_of(payload.get("time"))
    entry: JsonObject = {
        "EventBusName": bus.name,
        "Source": payload.get("source") or bus.source,
        "DetailType": str(payload["detail_type"])[:LONGEST_TYPE],
        "Detail": line_of(payload["data"]).encode("utf-8", "replace").decode(),
    }
    texts = [entry["Source"], entry["DetailType"], entry["Detail"]]
    size = 0
    if isinstance(resources, list):
        entry["Resources"] = resources
        texts += resources
    if seconds is not None:
        entry["Time"] = seconds
        size = TIME_BYTES
    size += sum(len(str(text).encode("utf-8", "replace")) for text in texts)
    if size > CALL.size:
        return refuse(index, "event_too_large", "An event of EventBridge has at most 256 KB.")
    return Entry(entry, size)


def build_test(bus: Bus, context: BuildContext) -> RequestSpec:
    """Look the bus up."""
    return aws.call(bus.service, "DescribeEventBus", {"Name": bus.name}, label="test")


SOURCE = r"(?!aws\.)[A-Za-z0-9_./-]{1,256}"
SETTINGS = (
    Field(
        "event_bus",
        "Event bus",
        description="Its name, or its ARN.",
        required=True,
        default="default",
        pattern=r"[/.\-_A-Za-z0-9]{1,256}|arn:[!-~]{10,1500}",
    ),
    Field("source", "Source", description="By which rules know these events.", default="headwater", pattern=SOURCE),
    *aws.CREDENTIALS,
)

PUT = Action(
    key="put_event",
    title="Put an event",
    description="Put the event on the bus.",
    default_trigger=ALL_CALLS,
    fields=(
        whole_event("The whole event unless the mapping says otherwise.", "Detail"),
        Field(
            "detail_type",
            "Detail type",
            description="What is longer than 128 characters is cut.",
            required=True,
            default={"@if": {"exists": EVENT, "then": EVENT, "else": {"@path": "$.type"}}},
        ),
        Field("source", "Source", description="Instead of the destination's own.", pattern=SOURCE),
        Field("time", "Time", "datetime", "When it happened.", default=TIMESTAMP),
        Field("resources", "Resources", description="ARNs that the event is about.", multiple=True, maximum=2_048),
    ),
    build=build,
    batch=BatchRule(CALL.entries, max_bytes=250_000, max_wait_s=10.0),
)

connector = Connector(
    slug="amazon_eventbridge",
    name="Amazon EventBridge",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Puts events on an event bus of Amazon EventBridge.",
    docs_url="https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html",
    settings=SETTINGS,
    actions=(PUT,),
    presets=(Preset("All events", "put_event", ALL_CALLS, PUT.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=aws.reader(aws.each_in("Entries")),
    auth=(aws.scheme("events"),),
    base_urls=aws.base_urls("events"),
)
