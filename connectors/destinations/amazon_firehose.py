"""Amazon Data Firehose: every event a record of a stream that Amazon writes to S3, Redshift, OpenSearch and others.

**What you need.** The name of a Firehose stream whose source is "Direct PUT", its region, and an access key whose user
may write to it (`firehose:PutRecordBatch`), or may assume a role that does. `firehose:DescribeDeliveryStream` lets the
test look at the stream; without it the test ends with the warning `only_writes`.

**What is sent.** The record is the event as JSON, or what the mapping makes of it. Firehose puts records together as
they are, so each ends with a line feed, which makes its files JSON lines; turn that off where Firehose itself is set to
add a delimiter. A mapping can name a stream of its own, for instance one for each event name.

**Limits.** Up to 500 records and 4 MiB go in one call; a record of more than 1,000 KiB is rejected. What a stream takes
each second depends on its region and can be raised at Amazon.

**Errors.** Firehose speaks of each record by itself: the ones that it could not take are sent again, so that a record
may come twice; readers tell by `messageId`. When the stream is gone or is fed by another source, its KMS key cannot be
used or the access key may not write, the destination stops and nothing is lost. What was written cannot be erased
person by person.
"""

from __future__ import annotations

from base64 import b64encode
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
from connectors.fields import whole_event
from connectors.http import ItemOutcome, RequestSpec

LARGEST_CALL, LARGEST_RECORD = 4 * 1024 * 1024, 1_000 * 1024
# What a call holds beside the data counts too: the names around them all, and around each record.
CALL = Room(entries=500, size=LARGEST_CALL - 1_024)
AROUND_EACH = len('{"Data":""},')
STREAM_NAME = r"[a-zA-Z0-9_.-]{1,64}"


@dataclass(frozen=True, slots=True)
class Firehose:
    """The service, the stream where a mapping names none, and what ends a record."""

    service: aws.Service
    stream: str
    end: str


def prepare(settings: Settings) -> Firehose:
    """Work it out once."""
    service = aws.Service(aws.address("firehose", settings), "Firehose_20150804", "1.1")
    return Firehose(service, str(settings["stream"]), "\n" if settings.get("line_feeds", True) else "")


def build(payloads: Sequence[Payload], firehose: Firehose, context: BuildContext) -> list[Built]:
    """Send as many records at once as their number and size allow; all of a batch have the same stream."""

    def make(index: int, payload: Payload) -> Entry | ItemOutcome:
        data = (line_of(payload["data"]) + firehose.end).encode("utf-8", "replace")
        if len(data) > LARGEST_RECORD:
            return refuse(index, "record_too_large", "A record of Firehose has at most 1,000 KiB.")
        text = b64encode(data).decode()
        return Entry({"Data": text}, len(text) + AROUND_EACH)

    def send(records: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        stream = payloads[covers[0]].get("stream") or firehose.stream
        body = {"DeliveryStreamName": stream, "Records": records}
        return aws.call(firehose.service, "PutRecordBatch", body, covers)

    return pack(payloads, make, send, CALL)


def build_test(firehose: Firehose, context: BuildContext) -> RequestSpec:
    """Look the stream up."""
    return aws.call(firehose.service, "DescribeDeliveryStream", {"DeliveryStreamName": firehose.stream}, label="test")


PUT = Action(
    key="put_record",
    title="Write a record",
    description="Add the event to the stream.",
    default_trigger=ALL_CALLS,
    fields=(
        whole_event("The record: the whole event unless the mapping says otherwise."),
        Field("stream", "Stream", description="Instead of the destination's own.", pattern=STREAM_NAME),
    ),
    build=build,
    batch=BatchRule(CALL.entries, max_bytes=LARGEST_CALL, max_wait_s=10.0, keys=("stream",)),
)

connector = Connector(
    slug="amazon_firehose",
    name="Amazon Data Firehose",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Writes events as records to a stream of Amazon Data Firehose.",
    docs_url="https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html",
    settings=(
        Field(
            "stream",
            "Stream",
            description="The name of a stream fed by Direct PUT.",
            required=True,
            pattern=STREAM_NAME,
        ),
        Field(
            "line_feeds",
            "Line feeds",
            "boolean",
            "End each record with a line feed. Off where the stream itself adds a delimiter.",
            default=True,
        ),
        *aws.CREDENTIALS,
    ),
    actions=(PUT,),
    presets=(Preset("All events", "put_record", ALL_CALLS, PUT.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=aws.reader(aws.each_in("RequestResponses")),
    auth=(aws.scheme("firehose"),),
    base_urls=aws.base_urls("firehose"),
)
