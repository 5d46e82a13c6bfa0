"""Google Pub/Sub: every event a message of a topic.

**What you need.** A topic, and the JSON key of a service account that may publish to it (Pub/Sub Publisher).

**What is sent.** The message is the event as JSON, or what the mapping makes of it, with the message id, the call and
the source as attributes. A mapping can name a topic of its own, so that each kind of event goes to another. With an
ordering key, such as the user's id, messages of one key keep their order where the subscription wants it; choose a
region then, for order is kept within one only.

**Limits.** Up to 1,000 messages and 10 MB go in one call. A message may have 100 attributes, whose names have up to
256 bytes and whose values up to 1,024.

**Errors.** When Google asks to slow down, events wait. A topic that is gone, a service account that may not publish,
and an unpaid bill stop the destination; nothing is lost. A message that is refused is found by halving the batch. A
message may come twice: subscribers tell by `message_id`. What was published cannot be erased.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

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
from connectors.destinations import _google_cloud as google
from connectors.destinations._objects import line_of
from connectors.destinations._packing import Entry, Room, pack, texts_of
from connectors.fields import API_URL, MESSAGE_ATTRIBUTES, whole_event
from connectors.http import ItemOutcome, RequestSpec, Response

BASE_URLS = {"global": "https://pubsub.googleapis.com", "regional": "https://*-pubsub.googleapis.com"}
TOPIC = r"(?!goog)[A-Za-z][A-Za-z0-9_.~+%-]{2,254}"
PERMISSION = "pubsub.topics.publish"
# The frame around the messages counts too.
CALL = Room(entries=1_000, size=9_999_900)
MOST_ATTRIBUTES, LONGEST_NAME, LONGEST_TEXT = 100, 256, 1_024
LONGEST_KEY = 1_024


@dataclass(frozen=True, slots=True)
class Topics:
    """Where topics are, and the one that is meant where a mapping names none."""

    url: str
    topic: str


def prepare(settings: Settings) -> Topics:
    """Work out the address once."""
    region = settings.get("region")
    vendors = f"https://{region}-pubsub.googleapis.com" if region else BASE_URLS["global"]
    base = (str(settings.get("api_url") or "") or vendors).rstrip("/")
    return Topics(f"{base}/v1/projects/{settings['project_id']}/topics", str(settings["topic"]))


def build(payloads: Sequence[Payload], topics: Topics, context: BuildContext) -> list[Built]:
    """Publish as many messages at once as their number and size allow; those of a batch are for one topic."""
    topic = next((str(payload["topic"]) for payload in payloads if payload.get("topic")), topics.topic)

    def send(messages: list[JsonObject], covers: tuple[int, ...]) -> RequestSpec:
        url = f"{topics.url}/{quote(topic, safe='')}:publish"
        return RequestSpec(
            "POST", url, (), {"messages": messages}, "json", covers, timeout_s=30.0, endpoint_label="publish"
        )

    return pack(payloads, _message, send, CALL)


def _message(index: int, payload: Payload) -> Entry | ItemOutcome:
    data = b64encode(line_of(payload["data"]).encode("utf-8", "replace")).decode()
    attributes, key = texts_of(payload.get("attributes")), str(payload.get("ordering_key") or "")
    if len(key.encode("utf-8", "replace")) > LONGEST_KEY:
        return refuse(index, "ordering_key_too_long", f"An ordering key has at most {LONGEST_KEY} bytes.")
    fault = _fault_of(attributes)
    if fault:
        return refuse(index, "bad_attribute", fault)
    message: JsonObject = {"data": data}
    if attributes:
        message["attributes"] = attributes
    if key:
        message["orderingKey"] = key
    size = len(line_of(message).encode("utf-8", "replace")) + 1
    if size > CALL.size:
        return refuse(index, "message_too_large", "A message of Pub/Sub has at most 10 MB.")
    return Entry(message, size)


def _fault_of(attributes: Mapping[str, str]) -> str:
    if len(attributes) > MOST_ATTRIBUTES:
        return f"A message has at most {MOST_ATTRIBUTES} attributes."
    for name, text in attributes.items():
        if not name or name.startswith("goog") or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
            return f"The name of an attribute has at most {LONGEST_NAME} bytes and does not begin with goog."
        if len(text.encode("utf-8", "replace")) > LONGEST_TEXT:
            return f"The value of an attribute has at most {LONGEST_TEXT} bytes."
    return ""


def build_test(topics: Topics, context: BuildContext) -> RequestSpec:
    """Ask whether the account may publish, which everybody may ask about himself."""
    url, body = f"{topics.url}/{quote(topics.topic, safe='')}:testIamPermissions", {"permissions": [PERMISSION]}
    return RequestSpec("POST", url, (), body, "json", endpoint_label="test")


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Go by the code in Google's answer. All messages of a call are published, or none."""
    if response.error is not None or not 200 <= response.status < 300:
        return google.failure(request, response)
    if request.endpoint_label == "test":
        return google.permitted(request, response, PERMISSION)
    return answers.delivered(request, response)


SETTINGS = (
    google.PROJECT,
    Field("topic", "Topic", description="Its id, without the project.", required=True, pattern=TOPIC),
    google.SERVICE_ACCOUNT,
    Field(
        "region",
        "Region",
        description="Such as europe-west1, where order has to be kept; empty for the nearest. Changing it forgets the "
        "stored key.",
        pattern=r"[a-z]{2,20}-[a-z]{2,20}\d{1,2}",
        clears_secrets=True,
    ),
    API_URL,
)

PUBLISH = Action(
    key="publish",
    title="Publish a message",
    description="Publish the event to a topic.",
    default_trigger=ALL_CALLS,
    fields=(
        whole_event("The message: the whole event unless the mapping says otherwise."),
        Field("topic", "Topic", description="Instead of the destination's own.", pattern=TOPIC),
        Field(
            "attributes",
            "Attributes",
            "object",
            "Names and values beside the message, by which subscriptions can filter.",
            default=MESSAGE_ATTRIBUTES,
        ),
        Field(
            "ordering_key",
            "Ordering key",
            description="Messages of one key keep their order. One key takes 1 MB each second.",
            category="identifier",
        ),
    ),
    build=build,
    batch=BatchRule(CALL.entries, max_bytes=9_000_000, max_wait_s=10.0, keys=("topic",)),
)

connector = Connector(
    slug="google_pubsub",
    name="Google Pub/Sub",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Publishes events as messages to a topic of Google Pub/Sub.",
    docs_url="https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish",
    settings=SETTINGS,
    actions=(PUBLISH,),
    presets=(Preset("All events", "publish", ALL_CALLS, PUBLISH.default_mapping),),
    prepare=prepare,
    test=build_test,
    interpret=read_answer,
    auth=(google.scheme("pubsub"),),
    base_urls=BASE_URLS,
)
