"""Kafka: every event a message of a topic.

**What you need.** The addresses of one or more brokers, and what they ask for: nothing, a user name and password (SASL
PLAIN or SCRAM), an access key of IAM (Amazon MSK), or a client certificate. TLS is on unless you switch it off, which
works only for brokers in networks that the operator of this installation has opened. The installation needs its extra
“kafka”.

**What each call becomes.** A message whose value is the event as JSON unless the mapping says otherwise, whose key is
the user id or else the anonymous id, so that the events of one person stay in order in one partition, and whose
headers name message id, kind of call and content type. The topic is the one that the mapping gives, else that of the
event's name, else that of the kind of call, else the topic of the settings. A call may name its topic itself in
`integrations.Kafka.topic`.

**Limits.** A message has at most 1 MB unless brokers and settings allow more.

**What errors mean.** Messages are acknowledged by all replicas. One that is too large, or that a policy refuses, is
rejected. A topic that is missing or may not be written to stops the destination, refused credentials pause it, and
nothing is lost; while a partition has no leader or brokers do not answer, messages wait.

**Amazon MSK with IAM.** The access key's policy needs `kafka-cluster:Connect`, `DescribeTopic` and `WriteData` for the
cluster and its topics, and `WriteDataIdempotently` for the cluster. Brokers with IAM listen at port 9098, and at 9198
where they are public.

**What is not there.** Values are JSON; there is no Avro, and no schema registry. An access key cannot act as a role.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    When,
)
from connectors.batching import refuse
from connectors.destinations import _aws as aws
from connectors.destinations import _records as records
from connectors.fields import EVENT
from connectors.records import KafkaRecord, SinkRequest

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
KEYS = (
    *("brokers", "sign_in", "username", "password", "tls", "ca_certificate", "client_certificate", "client_key"),
    *("access_key_id", "secret_access_key", "region", "compression", "max_message_bytes"),
)
SIGNED = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
MSK_IAM = "AWS_MSK_IAM"
WITH_IAM = When("sign_in", (MSK_IAM,))
SMALLEST_LIMIT, USUAL_LIMIT, LARGEST_LIMIT = 1_000, 1_000_000, 100_000_000
# What a message has around key, value and headers.
OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where messages go, and by what a topic is chosen."""

    target: Mapping[str, object] = field(repr=False)
    topic: str
    type_topics: Mapping[str, str]
    event_topics: Mapping[str, str]
    partition: int | None
    largest: int


def prepare(settings: Settings) -> Cluster:
    """Work out the target once."""
    partition = settings.get("default_partition")
    return Cluster(
        {"tls": True, **records.chosen(settings, *KEYS)},
        str(settings.get("topic") or ""),
        _topics(settings.get("type_topics")),
        _topics(settings.get("event_topics")),
        partition if isinstance(partition, int) else None,
        int(str(settings.get("max_message_bytes") or USUAL_LIMIT)),
    )


def _topics(value: object) -> Mapping[str, str]:
    return {str(name): str(topic) for name, topic in value.items()} if isinstance(value, Mapping) else {}


def topic_of(payload: Payload, cluster: Cluster) -> str:
    """Choose the topic: the mapping's, that of the event's name, of the kind of call, of the settings."""
    by_event = cluster.event_topics.get(str(payload.get("event")))
    by_type = cluster.type_topics.get(str(payload.get("type")))
    return str(payload.get("topic") or by_event or by_type or cluster.topic)


def build(payloads: Sequence[Payload], cluster: Cluster, context: BuildContext) -> list[Built]:
    """Make a message of each payload."""
    made, covers, built = [], [], list[Built]()
    for index, payload in enumerate(payloads):
        topic = topic_of(payload, cluster)
        record = _record(payload, topic, cluster, context, index)
        if not TOPIC.fullmatch(topic) or topic in (".", ".."):
            built.append(refuse(index, "bad_topic", "The event has no topic that Kafka knows; check the mapping."))
        elif _size(record) > cluster.largest:
            built.append(refuse(index, "too_large", f"A message has at most {cluster.largest} bytes."))
        else:
            made.append(record)
            covers.append(index)
    if made:
        built.append(SinkRequest("kafka", cluster.target, tuple(made), tuple(covers), 30.0, "produce"))
    return built


def _record(payload: Payload, topic: str, cluster: Cluster, context: BuildContext, index: int) -> KafkaRecord:
    named = {**dict(records.headers(payload, context, index)), **dict(records.words(payload.get("headers")))}
    partition = payload.get("partition", cluster.partition)
    return KafkaRecord(
        topic,
        records.json_text(payload["value"]).encode(),
        records.clean(payload["key"]).encode() if payload.get("key") else None,
        tuple((name, value.encode()) for name, value in named.items()),
        partition if isinstance(partition, int) else None,
    )


def _size(record: KafkaRecord) -> int:
    named = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.value) + len(record.key or b"") + named + OVERHEAD


def build_test(cluster: Cluster, context: BuildContext) -> SinkRequest:
    """Sign in and ask who the brokers are; no topic is made."""
    return SinkRequest("kafka", cluster.target, (), timeout_s=15.0, endpoint_label="test")


PRODUCE = Action(
    key="produce",
    title="Produce a message",
    description="Write the event to a topic.",
    default_trigger=ALL_CALLS,
    fields=(
        Field("topic", "Topic", description="Empty for that of the settings.",
              default={"@path": "$.integrations.Kafka.topic"}, maximum=249),
        records.VALUE,
        records.KEY,
        Field("partition", "Partition", "integer", "Empty for the one of the key.", minimum=0, maximum=100_000),
        Field("headers", "Headers", "object", "Further headers, names and texts."),
        records.TYPE,
        Field("event", "Event", description="By which the settings choose a topic.", default=EVENT, maximum=1_000),
        records.SOURCE,
        records.WORKSPACE,
    ),
    build=build,
    batch=BatchRule(max_items=1_000, max_bytes=10_000_000),
)  # fmt: skip

connector = Connector(
    slug="kafka",
    name="Kafka",
    version="1.0.0",
    category="streaming",
    status="stable",
    description="Writes events to topics of Apache Kafka.",
    docs_url="https://kafka.apache.org/documentation/#producerconfigs",
    settings=(
        Field(
            "brokers",
            "Brokers",
            description="host:port, several with commas. Changing them forgets the stored credentials.",
            required=True,
            pattern=r"[A-Za-z0-9._:\[\], -]+",
            maximum=2_000,
            clears_secrets=True,
            placeholder="kafka-1.acme.test:9093, kafka-2.acme.test:9093",
        ),
        Field(
            "sign_in",
            "Sign-in",
            default="none",
            choices=(
                ("none", "None, or a client certificate"),
                *((each, f"SASL {each}") for each in SIGNED),
                (MSK_IAM, "Amazon MSK IAM"),
            ),
            clears_secrets=True,
        ),
        Field("username", "User name", required=When("sign_in", SIGNED), maximum=500),
        Field("password", "Password", "password", required=When("sign_in", SIGNED), secret=True, maximum=4_000),
        replace(aws.ACCESS_KEY, required=WITH_IAM),
        replace(aws.SECRET_KEY, required=WITH_IAM),
        replace(
            aws.REGION, required=WITH_IAM, description="Of the cluster. Changing it forgets the stored secret key."
        ),
        records.TLS,
        records.CA_CERTIFICATE,
        records.CLIENT_CERTIFICATE,
        records.CLIENT_KEY,
        Field("topic", "Topic", description="Where the mapping and the tables below name none.", maximum=249),
        Field("type_topics", "Topics by call", "object", 'For example {"track": "events", "identify": "people"}.'),
        Field("event_topics", "Topics by event", "object", 'For example {"Order Completed": "orders"}.'),
        Field("default_partition", "Partition", "integer", "Empty for the one of the key.", minimum=0, maximum=100_000),
        Field(
            "compression",
            "Compression",
            default="lz4",
            choices=(("lz4", "LZ4"), ("zstd", "Zstandard"), ("gzip", "gzip"), ("snappy", "Snappy"), ("none", "None")),
        ),
        Field(
            "max_message_bytes",
            "Largest message",
            "integer",
            "As the brokers' message.max.bytes.",
            default=USUAL_LIMIT,
            minimum=SMALLEST_LIMIT,
            maximum=LARGEST_LIMIT,
        ),
    ),
    actions=(PRODUCE,),
    presets=(Preset("All events", "produce", ALL_CALLS, PRODUCE.default_mapping),),
    prepare=prepare,
    test=build_test,
    kind="sink",
    allows_custom_host=True,
    ordering="per_user",
    extra="kafka",
)
