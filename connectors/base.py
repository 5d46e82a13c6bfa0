"""The whole protocol of a connector: what one declares, and the few pure functions that hold its behaviour.

How delivery calls it, for the destination of one pipeline:

1. `prepared = connector.prepare(settings)` once after the settings were loaded: what is constant is worked out there.
2. What a mapping made of an event is checked, coerced and hashed by the action's fields (`connectors.payloads`).
3. The action's `resolve` steps are asked, where it has any; what they found is in `context.found`.
4. For each event or batch `action.build(payloads, prepared, context)`; what comes back is sent, credentials added.
5. `(connector.interpret or connectors.http.interpret)(request, response)` gives one outcome for each payload covered;
   `pending` ones with a `remote_id` are asked about by `action.job` until they have ended.

Nothing here sends, sleeps, logs, reads a clock or sees a model, so every request can be shown before it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from connectors import auth
from connectors.auth import AuthScheme
from connectors.hashing import Hashed
from connectors.http import ItemOutcome, RequestSpec, Response
from connectors.records import SinkRequest

Payload = Mapping[str, object]
Settings = Mapping[str, object]
# Whatever a connector's own `prepare` returns; only that connector's functions look inside.
Prepared = Any
Found = Mapping[str, object]

# The trigger of a mapping that takes everything.
ALL_CALLS = " or ".join(f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias"))

FieldType = Literal["string", "text", "integer", "number", "boolean", "datetime", "object", "password"]
# What a value is about; the catalogue tells it.
FieldCategory = Literal["", "identifier", "data", "config", "pii", "hashed_pii", "internal"]


@dataclass(frozen=True, slots=True)
class When:
    """Holds when another field has one of these values."""

    field: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One value that a person enters (settings) or a mapping produces (actions)."""

    key: str
    label: str
    type: FieldType = "string"
    description: str = ""
    required: bool | When = False
    secret: bool = False  # stored encrypted, never shown again
    default: object = None  # a literal, or for an action a mapping directive
    choices: tuple[tuple[str, str], ...] = ()  # (value, label)
    multiple: bool = False
    format: str = ""  # a key of connectors.checks.FORMATS
    pattern: str = ""
    minimum: float | None = None  # of text: its length
    maximum: float | None = None
    generate: Literal["", "webhook-secret", "token"] = ""  # made for the owner when left empty
    clears_secrets: bool = False  # changing it forgets stored secrets: they were meant for the old address
    is_hidden: bool = False
    properties: tuple[Field, ...] = ()  # of an object (or of each object of a list), where its inside is known
    additional: bool = True  # whether an object may hold more than its properties; what else it holds is then kept
    allow_null: bool = False  # null is a value here, which the vendor reads as "forget this"
    hashed: Hashed | None = None  # normalised and hashed before the connector sees it
    category: FieldCategory = ""
    dynamic: str = ""  # a key of Connector.choices: the vendor is asked what may be chosen
    placeholder: str = ""  # what a value may look like, where no default shows it
    is_opaque: bool = False  # handed on unread: it may be given as something that only JSON serialisation opens


@dataclass(slots=True)  # not frozen, as RequestSpec is not: one is made for every call
class BuildContext:
    """What a build may know beside payloads and settings. Ids are in the order of the payloads."""

    now: datetime
    delivery_ids: Sequence[str]
    message_ids: Sequence[str]
    is_replay: bool = False
    public_url: str = ""  # this installation's own address, without a slash at the end
    found: Sequence[Found] = ()  # what the resolve steps found, by their keys; one for each payload
    names: Sequence[str] = ()  # of several payloads, to name a batch: as lasting and unique as delivery ids


@dataclass(frozen=True, slots=True)
class BatchRule:
    """How many payloads may share a request; all of them have equal values in the fields named by `keys`."""

    max_items: int
    max_bytes: int
    max_wait_s: float = 1.0
    keys: tuple[str, ...] = ()
    default_wait_s: float = 0.0  # how long events wait for others where the mapping does not say
    size_setting: str = ""  # the setting in which the owner chooses a size; 0 there means one event per call


# Every payload is covered by exactly one request, or decided without one by an `ItemOutcome`: rejected, filtered, or
# `retry` with the seconds until it makes sense.
Built = RequestSpec | SinkRequest | ItemOutcome
Build = Callable[[Sequence[Payload], Prepared, BuildContext], Sequence[Built]]


@dataclass(frozen=True, slots=True)
class ResolveStep:
    """A call that has to be made before the real one: a look-up of an id, or the first half of a two-step write.

    `build` gets the payloads that share the step (one, or with `per="batch"` all of the batch) and what earlier steps
    found for the first of them; None means that there is nothing to ask. `read` gives what was found, or the outcome
    that ends the attempt of these payloads. None says of a 2xx or 404 that there is no such thing, which `build` is
    then told; of any other answer, that the common table is to judge it. With a `cache_key` the answer serves every
    payload of the destination that has the same key.
    """

    key: str
    build: Callable[[Sequence[Payload], Found, Prepared, BuildContext], RequestSpec | None]
    read: Callable[[RequestSpec, Response], object | ItemOutcome]
    per: Literal["payload", "batch"] = "payload"
    cache_key: Callable[[Payload, Prepared], str | None] | None = None
    ttl_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Named:
    """What an answer says of the payloads that it names by their marks; all others share the one outcome `rest`."""

    outcomes: Mapping[str, ItemOutcome]
    rest: ItemOutcome


@dataclass(frozen=True, slots=True)
class Naming:
    """How a job's answer names single payloads: by a mark, which is what is in them and comes back.

    `read` gives None of an answer that names nobody; `Job.read` reads that.
    """

    mark: Callable[[Payload], str]
    read: Callable[[RequestSpec, Response], Named | None]


@dataclass(frozen=True, slots=True)
class Job:
    """How a vendor is asked about work that it took on (`pending`). `read` gives None while the work goes on.

    `read` gets the number of payloads of the job; their outcomes are indexed from 0 in the order they were sent in. One
    that is `pending` with another `remote_id` is asked about by that from then on.
    """

    build: Callable[[str, Prepared, BuildContext], RequestSpec]
    read: Callable[[RequestSpec, Response, int], list[ItemOutcome] | None]
    poll_interval_s: float = 30.0
    max_wait_s: float = 24 * 3600.0
    naming: Naming | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """How a vendor is asked what may be chosen in a field: (value, label) pairs, and the mark of the next page."""

    build: Callable[[Prepared, BuildContext, str], RequestSpec]  # the mark of a page, "" for the first
    read: Callable[[RequestSpec, Response], tuple[Sequence[tuple[str, str]], str]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a connector can do."""

    key: str
    title: str
    description: str
    default_trigger: str
    fields: tuple[Field, ...]
    build: Build
    batch: BatchRule | None = None
    resolve: tuple[ResolveStep, ...] = ()
    job: Job | None = None
    idempotent: bool = True  # false: an attempt that may have arrived is not repeated without an idempotency key

    @property
    def default_mapping(self) -> dict[str, object]:
        """The fields of a new mapping."""
        return {one.key: one.default for one in self.fields if one.default is not None}

    def items_per_call(self, settings: Settings) -> int:
        """Say how many payloads to hand to `build` at once; 1 where batching is off."""
        if self.batch is None:
            return 1
        chosen = settings.get(self.batch.size_setting) if self.batch.size_setting else self.batch.max_items
        return max(1, min(chosen, self.batch.max_items)) if isinstance(chosen, int) else 1


@dataclass(frozen=True, slots=True)
class Preset:
    """A mapping that a new destination starts with."""

    name: str
    action: str
    trigger: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the vendor allows."""

    scope: Literal["connector", "destination", "credential", "endpoint"]
    unit: Literal["requests", "items", "bytes", "concurrent"]
    amount: int
    per_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Identifiers:
    """By what one person is known, for erasure."""

    user_id: str | None = None
    anonymous_ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    external_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deletion:
    """How a vendor is told to erase people. No request back means: these settings do not support it."""

    max_people: int
    build: Callable[[Sequence[Identifiers], Prepared, BuildContext], Sequence[Built]]
    resolve: tuple[ResolveStep, ...] = ()  # their payload is one person: the fields of Identifiers


@dataclass(frozen=True, slots=True)
class Connector:
    """One vendor's dialect, declared by the module that has its name."""

    slug: str
    name: str
    version: str
    category: str
    status: Literal["alpha", "beta", "stable", "deprecated", "hidden"]
    description: str
    docs_url: str
    settings: tuple[Field, ...]
    actions: tuple[Action, ...]
    presets: tuple[Preset, ...]
    prepare: Callable[[Settings], Prepared]
    test: Callable[[Prepared, BuildContext], RequestSpec | SinkRequest] | None  # proves the credentials, in one cheap
    # call without a side effect; None where the vendor has none
    delete: Deletion | None = None
    interpret: Callable[[RequestSpec, Response], list[ItemOutcome]] | None = None  # None: connectors.http.interpret
    kind: Literal["http", "sink", "device"] = "http"
    auth: tuple[AuthScheme, ...] = field(default=(auth.none(),))  # several: the setting `auth` chooses
    base_urls: Mapping[str, str] = field(default_factory=dict)  # region or purpose → URL; every request goes to one of
    # these hosts (`*` stands for one label), or to that of the setting `api_url`, which is every vendor's
    allows_custom_host: bool = False  # the owner names the host
    is_local: bool = False  # goes to this installation's own address (BuildContext.public_url), nowhere else
    idempotency: str = "none"  # none | header:<name> | field:<path>
    ordering: Literal["none", "per_user"] = "none"
    rate_limits: tuple[RateLimit, ...] = ()
    choices: Mapping[str, Choices] = field(default_factory=dict)
    extra: str = ""  # the optional dependency without which a sink's driver cannot run

    def action(self, key: str) -> Action:
        """Give the action of this key; KeyError when there is none."""
        return {action.key: action for action in self.actions}[key]
