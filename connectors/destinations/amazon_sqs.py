"""Amazon SQS: every event a message of a queue.

**What you need.** The URL of the queue, its region, and an access key whose user may send messages (`sqs:SendMessage`),
or may assume a role that does. A role can be assumed in every region but those of China.

**What is sent.** The message is the event as JSON, or what the mapping makes of it, with the message id, the call and
the source as attributes. In a FIFO queue (its name ends in `.fifo`) the messages of one person are a group, and a
message id that was sent before within five minutes is dropped by SQS.

**Limits.** Up to ten messages and 1 MiB go in one call; a message that is larger alone is rejected. A message may have
ten attributes.

**Errors.** SQS speaks of each message by itself: those at fault are rejected, the others arrive. When it asks to slow
down, events wait; when the queue is gone or the key may not send, the destination stops and nothing is lost. A key that
may only send cannot look at the queue, so its test ends with the warning `only_writes`. What lies in a queue cannot be
erased person by person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors import answers
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
from connectors.destinations._packing import Entry, Room, pack, texts_of
from connectors.fields import MESSAGE_ATTRIBUTES, MESSAGE_ID, USER_OR_ANONYMOUS_ID, whole_event
from connectors.http import MISSING_ITEM, ItemOutcome, RequestSpec, Response

CALL = Room(entries=10, size=1_048_576)
MOST_ATTRIBUTES = 10
ATTRIBUTE_NAME = re.compile(r"(?!aws\.|amazon\.|\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.IGNORECASE)
FIFO_NAME = re.compile(r"[!-~]{1,128}")
# XML, which SQS stores texts as, has no place for these.
NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Queue:
    """Where messages go."""

    service: aws.Service
    url: str
    is_fifo: bool


def prepare(settings: Settings) -> Queue:
    """Work out the address once."""
    url = str(settings["queue_url"])
    return Queue(aws.Service(aws.address("sqs", settings), "AmazonSQS", "1.0"), url, url.endswith(".fifo"))


def build(payloads: Sequence[Payload], queue: Queue, context: BuildContext) -> list[Built]:
    """Send as many messages at once as their number and size allow."""

    def make(index: int, payload: Payload) -> Entry | ItemOutcome:
        return _entry(index, payload, queue, context.message_ids[index])

    def send(entries: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        numbered = [{"Id": str(place), **entry} for place, entry in enumerate(entries)]
        return aws.call(queue.service, "SendMessageBatch", {"QueueUrl": queue.url, "Entries": numbered}, covers)

    return pack(payloads, make, send, CALL)


def _entry(index: int, payload: Payload, queue: Queue, message_id: str) -> Entry | ItemOutcome:
    attributes = _attributes(payload.get("attributes"))
    body = NOT_IN_XML.sub("\ufffd", line_of(payload["data"]))
    size = len(body.encode()) + sum(len(f"{name}{text}String".encode()) for name, text in attributes)
    refusal = _refusal(index, attributes, size)
    if refusal is not None:
        return refusal
    entry: JsonObject = {"MessageBody": body}
    if attributes:
        entry["MessageAttributes"] = {name: {"DataType": "String", "StringValue": text} for name, text in attributes}
    if queue.is_fifo:
        entry["MessageGroupId"] = fifo_name(str(payload.get("group_id") or message_id))
        entry["MessageDeduplicationId"] = fifo_name(str(payload.get("deduplication_id") or message_id))
    return Entry(entry, size)


def fifo_name(text: str) -> str:
    """Give the id, or its digest where it is longer or stranger than SQS takes."""
    return text if FIFO_NAME.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _attributes(value: object) -> list[tuple[str, str]]:
    """Give the attributes as texts; empty ones cannot be."""
    return [(name, NOT_IN_XML.sub("\ufffd", text)) for name, text in texts_of(value).items() if text]


def _refusal(index: int, attributes: Sequence[tuple[str, str]], size: int) -> ItemOutcome | None:
    if size > CALL.size:
        return refuse(index, "message_too_large", "A message of SQS has at most 1 MiB.")
    if len(attributes) > MOST_ATTRIBUTES:
        return refuse(index, "too_many_attributes", f"A message of SQS has at most {MOST_ATTRIBUTES} attributes.")
    if not all(ATTRIBUTE_NAME.fullmatch(name) for name, _ in attributes):
        return refuse(index, "bad_attribute", "The name of an attribute has letters, digits, dots, - and _ only.")
    return None


def build_test(queue: Queue, context: BuildContext) -> RequestSpec:
    """Look the queue up."""
    body = {"QueueUrl": queue.url, "AttributeNames": ["QueueArn"]}
    return aws.call(queue.service, "GetQueueAttributes", body, label="test")


def read_entries(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Read which messages arrived, and which did not and why."""
    answer = answers.parsed(response)
    arrived = {answers.words(one.get("Id")) for one in answers.members(answer, "Successful")}
    failed = {answers.words(one.get("Id")): one for one in answers.members(answer, "Failed")}
    faults = {}
    for position in range(len(request.covers)):
        entry = failed.get(str(position))
        if entry is not None:
            unknown = aws.REFUSED if entry.get("SenderFault") is True else aws.TROUBLE
            faults[position] = aws.fault(entry.get("Code"), entry.get("Message"), unknown)
        elif str(position) not in arrived:
            faults[position] = (MISSING_ITEM, "")
    return answers.partial(request, response, faults)


SETTINGS = (
    Field(
        "queue_url",
        "Queue",
        description="Its URL, as the console shows it.",
        required=True,
        format="uri",
        maximum=500,
        placeholder="https://sqs.eu-central-1.amazonaws.com/123456789012/events",
    ),
    *aws.CREDENTIALS,
)

SEND = Action(
    key="send",
    title="Send a message",
    description="Put the event into the queue.",
    default_trigger=ALL_CALLS,
    fields=(
        whole_event("The message: the whole event unless the mapping says otherwise."),
        Field(
            "attributes",
            "Attributes",
            "object",
            "Names and values beside the message, at most ten.",
            default=MESSAGE_ATTRIBUTES,
        ),
        Field(
            "group_id",
            "Group",
            description="Of a FIFO queue: messages of a group keep their order.",
            default=USER_OR_ANONYMOUS_ID,
            category="identifier",
        ),
        Field(
            "deduplication_id",
            "Deduplication id",
            description="Of a FIFO queue: a repeat within five minutes is dropped.",
            default=MESSAGE_ID,
            category="identifier",
        ),
    ),
    build=build,
    batch=BatchRule(CALL.entries, max_bytes=1_000_000, max_wait_s=10.0),
)

connector = Connector(
    slug="amazon_sqs",
    name="Amazon SQS",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Sends events as messages to a queue of Amazon SQS.",
    docs_url="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html",
    settings=SETTINGS,
    actions=(SEND,),
    presets=(Preset("All events", "send", ALL_CALLS, SEND.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=aws.reader(read_entries),
    auth=(aws.scheme("sqs"),),
    base_urls=aws.base_urls("sqs"),
    idempotency="field:MessageDeduplicationId",
)
