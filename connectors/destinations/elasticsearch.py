"""Elasticsearch and OpenSearch: events as documents, people and groups as documents that are kept up to date.

You need the address of the cluster and credentials that may write to the indexes: user name and password, an API key of
Elasticsearch, or for Amazon OpenSearch Service an access key. The indexes, or data streams for events, are created by
the cluster itself when they are missing, if it is allowed to.

Every call becomes a document named by its message id, so that a repeat changes nothing. Identify and group calls also
bring a document of the person or the group up to date. Indexes of events can begin anew every day or month.

The cluster makes a field of every new property, and refuses documents once there are too many. Map `properties`,
`traits` and `context` as `flattened`, or have them sent as text. A document that does not fit the mapping is rejected
by itself; when the cluster is too busy or its disks are full, events wait. People are deleted from all of the indexes
that are named here, by their ids; the cluster does this in the background.
"""

from __future__ import annotations

from connectors.base import ALL_CALLS, Action, BatchRule, Connector, Deletion, Field, Preset, When
from connectors.destinations import _elasticsearch as calls
from connectors.fields import MESSAGE_ID, TIMESTAMP, TRAITS, USER_ID

BASIC, KEY, AMAZON = When("auth", ("basic",)), When("auth", ("header",)), When("auth", ("aws_sigv4",))
INDEX = r"[a-z0-9][a-z0-9._-]{0,199}"

SETTINGS = (
    Field(
        "url",
        "Address",
        description="Of the cluster. Changing it forgets the stored credentials.",
        required=True,
        format="uri",
        clears_secrets=True,
        placeholder="https://search.example:9200",
    ),
    Field(
        "auth",
        "Authentication",
        default="basic",
        choices=(
            ("basic", "User name and password"),
            ("header", "API key"),
            ("aws_sigv4", "Amazon access key"),
            ("none", "None"),
        ),
    ),
    Field("username", "User name", required=BASIC, pattern=r"[^:]*", maximum=500),
    Field("password", "Password", "password", required=BASIC, secret=True, maximum=500),
    Field("api_key", "API key", "password", "In its encoded form.", required=KEY, secret=True, maximum=1_000),
    Field("access_key_id", "Access key id", required=AMAZON, pattern=r"[A-Z0-9]{16,128}"),
    Field("secret_access_key", "Secret access key", "password", required=AMAZON, secret=True, maximum=200),
    Field("region", "Amazon region", required=AMAZON, pattern=r"[a-z]{2}(-[a-z]+)+-\d", clears_secrets=True),
    Field(
        "role_arn",
        "Role to assume",
        description="Its ARN, if the key is to act as a role.",
        pattern=r"arn:[!-~]{10,2000}",
    ),
    Field("external_id", "External id", description="Which the role's trust demands, if it does.", maximum=1_224),
    Field("event_index", "Index of events", required=True, default="headwater-events", pattern=INDEX),
    Field(
        "rotation",
        "New index of events",
        description="The day or month is added to the index's name. Not for data streams, which rotate by themselves.",
        default="never",
        choices=(("never", "Never"), ("daily", "Every day"), ("monthly", "Every month")),
    ),
    Field("profile_index", "Index of people", required=True, default="headwater-profiles", pattern=INDEX),
    Field("group_index", "Index of groups", required=True, default="headwater-groups", pattern=INDEX),
    Field(
        "nested_as",
        "Properties, traits and context",
        description="As text they never make fields, and cannot be searched by their parts.",
        default="object",
        choices=(("object", "As objects"), ("text", "As text")),
    ),
)
WHOLE = BatchRule(max_items=500, max_bytes=8_000_000)

EVENT = Action(
    key="index_event",
    title="Store an event",
    description="Add the event to the index of events.",
    default_trigger=ALL_CALLS,
    fields=(
        Field("id", "Document id", description="A repeat has the same.", default=MESSAGE_ID, category="identifier"),
        Field("timestamp", "Time", "datetime", "Stands in the document as @timestamp.", default=TIMESTAMP),
        Field("document", "Document", "object", "What is stored.", required=True, default={"@path": "$."}),
    ),
    build=calls.build_events,
    batch=WHOLE,
)
PROFILE = Action(
    key="upsert_profile",
    title="Update a person",
    description="Bring the person's document up to date; what the call does not mention stays.",
    default_trigger='type = "identify"',
    fields=(
        Field("id", "User id", required=True, default=USER_ID, category="identifier"),
        Field("timestamp", "Time", "datetime", default=TIMESTAMP),
        Field("traits", "Traits", "object", "What is known of the person.", default=TRAITS, category="pii"),
    ),
    build=calls.build_profiles,
    batch=WHOLE,
)
GROUP = Action(
    key="upsert_group",
    title="Update a group",
    description="Bring the group's document up to date; what the call does not mention stays.",
    default_trigger='type = "group"',
    fields=(
        Field("id", "Group id", required=True, default={"@path": "$.groupId"}, category="identifier"),
        Field("timestamp", "Time", "datetime", default=TIMESTAMP),
        Field("traits", "Traits", "object", "What is known of the group.", default=TRAITS),
    ),
    build=calls.build_groups,
    batch=WHOLE,
)

connector = Connector(
    slug="elasticsearch",
    name="Elasticsearch / OpenSearch",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Stores events, people and groups as documents in Elasticsearch or OpenSearch.",
    docs_url="https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk",
    settings=SETTINGS,
    actions=(EVENT, PROFILE, GROUP),
    presets=(
        Preset("All events", "index_event", ALL_CALLS, EVENT.default_mapping),
        Preset("People", "upsert_profile", 'type = "identify" and userId != null', PROFILE.default_mapping),
        Preset("Groups", "upsert_group", 'type = "group"', GROUP.default_mapping),
    ),
    prepare=calls.prepare,
    test=calls.build_test,
    delete=Deletion(max_people=500, build=calls.build_deletion),
    interpret=calls.read_answer,
    auth=calls.SCHEMES,
    allows_custom_host=True,
    idempotency="field:_id",
)
