"""Redis: what is known of each user, ready to be read in a millisecond.

**What you need.** The address of a Redis or Valkey, one server, sentinels or a cluster, and a user that may write the
keys. TLS is on unless you switch it off, which works only for servers in networks that the operator of this
installation has opened.

**What each call becomes.** Only identify calls are written, and each needs a user id. Traits become the fields of the
hash `user:<user id>`, with your prefix before it: objects inside are flattened with dots, lists become JSON, everything
is text, and empty values are left out. With the JSON module, traits can be one JSON document instead, or a part of one
that is made when it is missing; that takes a user that may run scripts (EVAL). A third action writes the rows of
models: the hash `<workspace>:<destination>:<entity>:<kind of id>:<user id>` has a field for each model with the model's
values as JSON.

**What errors mean.** A wrong password pauses the destination, a missing right or command stops it. While the server
loads, is out of memory, is read-only or has lost its cluster, users wait. A key of another type is rejected. To delete
a user, the key is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.base import (
    Action,
    BatchRule,
    BuildContext,
    Built,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Payload,
    Preset,
    Settings,
)
from connectors.batching import refuse
from connectors.destinations import _records as records
from connectors.destinations import _redis as servers
from connectors.fields import TRAITS, USER_ID
from connectors.http import ItemOutcome, Outcome
from connectors.records import RedisCommand, SinkRequest

DEEPEST = 20
# A path whose parts are names only; what of it is missing can be made on the way.
PLAIN_PATH = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*)*")
# A module refuses to make anything but a whole document, and says nothing of a path that leads nowhere.
SET_AT_PATH = (
    "for at = 1, #ARGV - 2 do redis.call('JSON.SET', KEYS[1], ARGV[at], '{}', 'NX') end "
    "return redis.call('JSON.SET', KEYS[1], ARGV[#ARGV - 1], ARGV[#ARGV]) or redis.error_reply('ERR no such path')"
)
MOST_FIELDS = 2_000


@dataclass(frozen=True, slots=True)
class Store:
    """Where users are kept."""

    target: dict[str, object] = field(repr=False)
    prefix: str


def prepare(settings: Settings) -> Store:
    """Work out target and prefix once."""
    prefix = str(settings.get("prefix") or "")
    return Store(servers.target_of(settings), f"{prefix}:" if prefix else "")


def user_key(store: Store, user_id: object) -> str:
    """Name a user's key."""
    return f"{store.prefix}user:{user_id}"


def flattened(traits: Mapping[str, object], path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Give the traits as texts, by paths with dots; what is empty is left out."""
    for name, value in traits.items():
        place = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and depth < DEEPEST:
            yield from flattened(value, place, depth + 1)
        elif isinstance(value, str):
            yield place, value
        elif value is not None:
            yield place, records.json_text(value)


def build_hashes(payloads: Sequence[Payload], store: Store, context: BuildContext) -> list[Built]:
    """Write the traits of each user as the fields of a hash."""
    made: list[tuple[int, RedisCommand | ItemOutcome]] = []
    for index, payload in enumerate(payloads):
        traits = payload["traits"]
        pairs = list(flattened(traits)) if isinstance(traits, Mapping) else []
        if len(pairs) > MOST_FIELDS:
            made.append((index, refuse(index, "too_many_fields", f"A user has at most {MOST_FIELDS} fields.")))
        elif not pairs:
            made.append((index, ItemOutcome(index, Outcome.FILTERED, 0, "no_traits", "The call has no traits.")))
        else:
            words = [_text(word) for pair in pairs for word in pair]
            made.append((index, RedisCommand(("HSET", _text(user_key(store, payload["user_id"])), *words))))
    return _built(store, made)


def build_documents(payloads: Sequence[Payload], store: Store, context: BuildContext) -> list[Built]:
    """Write the traits of each user as a JSON document, or at a place in one."""
    return _built(store, [(index, _document(payload, store)) for index, payload in enumerate(payloads)])


def _document(payload: Payload, store: Store) -> RedisCommand:
    """Write the whole document, or what is at a path of it, with the objects that lead there where they are missing."""
    key, values = _text(user_key(store, payload["user_id"])), records.json_text(payload["traits"])
    given = _text(str(payload.get("path") or "$"))
    path = given if given.startswith("$") else f"$.{given.lstrip('.')}".rstrip(".")
    if path == "$":
        return RedisCommand(("JSON.SET", key, path, values))
    names = path.split(".") if PLAIN_PATH.fullmatch(path) else ["$", path]
    above = [".".join(names[:depth]) for depth in range(1, len(names))]
    return RedisCommand(("EVAL", SET_AT_PATH, 1, key, *above, path, values))


def build_models(payloads: Sequence[Payload], store: Store, context: BuildContext) -> list[Built]:
    """Write a model's values for each user."""
    names = ("workspace", "destination", "entity", "id_type", "user_id")
    made: list[tuple[int, RedisCommand | ItemOutcome]] = []
    for index, payload in enumerate(payloads):
        key = _text(":".join(str(payload[name]) for name in names))
        model, values = _text(str(payload["model"])), records.json_text(payload["traits"])
        made.append((index, RedisCommand(("HSET", key, model, values))))
    return _built(store, made)


def _text(word: str) -> str:
    return word.encode("utf-8", "replace").decode()


def _built(store: Store, made: Sequence[tuple[int, RedisCommand | ItemOutcome]]) -> list[Built]:
    built: list[Built] = [one for _, one in made if isinstance(one, ItemOutcome)]
    commands = [(index, one) for index, one in made if isinstance(one, RedisCommand)]
    if commands:
        indexes, kept = zip(*commands, strict=True)
        built.append(SinkRequest("redis", store.target, kept, indexes, 15.0, "write"))
    return built


def build_deletion(people: Sequence[Identifiers], store: Store, context: BuildContext) -> list[Built]:
    """Delete the keys of people."""
    made: list[tuple[int, RedisCommand | ItemOutcome]] = []
    for index, person in enumerate(people):
        key = user_key(store, person.user_id)
        made.append((index, RedisCommand(("DEL", _text(key))) if person.user_id else records.nobody(index)))
    return _built(store, made)


def build_test(store: Store, context: BuildContext) -> SinkRequest:
    """Sign in, and write nothing."""
    return servers.test_request(store.target)


def at(name: str) -> dict[str, str]:
    """Give the mapping of what a model's row says of itself."""
    return {"@path": f"$.context.sources.{name}"}


USER = Field("user_id", "User id", required=True, default=USER_ID, category="identifier", maximum=1_000)
VALUES = Field("traits", "Traits", "object", required=True, default=TRAITS, category="pii")
BATCH = BatchRule(max_items=500, max_bytes=4_000_000)
IDENTIFY = 'type = "identify"'
HASH = Action(
    "set_hash", "Keep a user as a hash", "Write the traits as fields.", IDENTIFY, (USER, VALUES), build_hashes, BATCH
)
DOCUMENT = Action(
    "set_json",
    "Keep a user as JSON",
    "Write the traits as a JSON document; needs the JSON module.",
    IDENTIFY,
    (USER, VALUES, Field("path", "Path", description="Such as shop.profile; empty for all of it.", maximum=500)),
    build_documents,
    BATCH,
)
MODEL = Action(
    "set_model",
    "Keep a model's values",
    "Write what a model says of a user.",
    'type = "identify" and context.sources.profiles_model != null',
    (
        USER,
        VALUES,
        Field("workspace", "Workspace", required=True, maximum=200),
        Field("destination", "Destination", required=True, maximum=200),
        Field("entity", "Entity", required=True, default=at("profiles_entity"), maximum=200),
        Field("id_type", "Kind of id", required=True, default=at("profiles_id_type"), maximum=200),
        Field("model", "Model", required=True, default=at("profiles_model"), maximum=200),
    ),
    build_models,
    BATCH,
)

connector = Connector(
    slug="redis",
    name="Redis",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Keeps what is known of each user in Redis or Valkey.",
    docs_url="https://redis.io/docs/latest/commands/hset/",
    settings=(
        *servers.SETTINGS,
        Field("prefix", "Prefix", description="Stands before every user's key, with a colon.", maximum=200),
    ),
    actions=(HASH, DOCUMENT, MODEL),
    presets=(Preset("Keep users up to date", "set_hash", IDENTIFY, HASH.default_mapping),),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    kind="sink",
    allows_custom_host=True,
)
