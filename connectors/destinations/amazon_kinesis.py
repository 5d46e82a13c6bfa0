"""Amazon Kinesis Data Streams: every event a record of a stream.

**What you need.** The name or ARN of the stream, its region, and an access key whose user may write records
(`kinesis:PutRecords`), or may assume a role that does. A role can be assumed in every region but those of China.

**What is sent.** The record is the event as JSON, or what the mapping makes of it. Its partition key is the user's id,
else the anonymous id, so that one person's records share a shard; the mapping can choose another, such as the message
id where load should be spread.

**Limits.** Up to 500 records and 5 MB go in one call; a record of more than 1 MiB is rejected. A shard takes 1,000
records and 1 MB each second.

**Errors.** Kinesis speaks of each record by itself. Those of a shard that is too busy wait and are sent again, so that
order is not promised and a record may come twice: consumers tell by `messageId`. When the stream is gone, its KMS key
cannot be used or the access key may not write, the destination stops and nothing is lost. A key that may only write
cannot look at the stream, so its test ends with the warning `only_writes`. What lies in a stream cannot be erased
person by person.
"""

from __future__ import annotations

import hashlib
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
from connectors.fields import USER_OR_ANONYMOUS_ID, whole_event
from connectors.http import ItemOutcome, RequestSpec

CALL = Room(entries=500, size=5_000_000)
LARGEST_RECORD = 1_048_576
LONGEST_KEY = 256


@dataclass(frozen=True, slots=True)
class Stream:
    """Where records go; `name` is the parameter that names it."""

    service: aws.Service
    name: dict[str, str]


def prepare(settings: Settings) -> Stream:
    """Work out the address once."""
    stream = str(settings["stream"])
    service = aws.Service(aws.address("kinesis", settings), "Kinesis_20131202", "1.1")
    return Stream(service, {"StreamARN" if stream.startswith("arn:") else "StreamName": stream})


def build(payloads: Sequence[Payload], stream: Stream, context: BuildContext) -> list[Built]:
    """Send as many records at once as their number and size allow."""

    def make(index: int, payload: Payload) -> Entry | ItemOutcome:
        data = line_of(payload["data"]).encode("utf-8", "replace")
        key = partition_key(str(payload.get("partition_key") or context.message_ids[index]))
        size = len(data) + len(key.encode())
        if size > LARGEST_RECORD:
            return refuse(index, "record_too_large", "A record of Kinesis has at most 1 MiB.")
        return Entry({"Data": b64encode(data).decode(), "PartitionKey": key}, size)

    def send(records: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        return aws.call(stream.service, "PutRecords", {**stream.name, "Records": records}, covers)

    return pack(payloads, make, send, CALL)


def partition_key(text: str) -> str:
    """Give the key, or its digest where it is longer than Kinesis takes."""
    clean = text.encode("utf-8", "replace")
    return clean.decode() if len(text) <= LONGEST_KEY else hashlib.sha256(clean).hexdigest()


def build_test(stream: Stream, context: BuildContext) -> RequestSpec:
    """Look the stream up."""
    return aws.call(stream.service, "DescribeStreamSummary", stream.name, label="test")


SETTINGS = (
    Field(
        "stream",
        "Stream",
        description="Its name, or its ARN.",
        required=True,
        pattern=r"[a-zA-Z0-9_.-]{1,128}|arn:[!-~]{10,2000}",
    ),
    *aws.CREDENTIALS,
)

PUT = Action(
    key="put_record",
    title="Write a record",
    description="Add the event to the stream.",
    default_trigger=ALL_CALLS,
    fields=(
        whole_event("The record: the whole event unless the mapping says otherwise."),
        Field(
            "partition_key",
            "Partition key",
            description="Records of one key share a shard; the message id where there is none.",
            default=USER_OR_ANONYMOUS_ID,
            category="identifier",
        ),
    ),
    build=build,
    batch=BatchRule(CALL.entries, max_bytes=CALL.size, max_wait_s=10.0),
)

connector = Connector(
    slug="amazon_kinesis",
    name="Amazon Kinesis",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Writes events as records to a stream of Amazon Kinesis.",
    docs_url="https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html",
    settings=SETTINGS,
    actions=(PUT,),
    presets=(Preset("All events", "put_record", ALL_CALLS, PUT.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=aws.reader(aws.each_in("Records")),
    auth=(aws.scheme("kinesis"),),
    base_urls=aws.base_urls("kinesis"),
)
