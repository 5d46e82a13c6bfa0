"""The shape of the file: which keys there are, turned into specs. Keys may be added here, never removed or renamed.

A spec's `values` hold only what the file names, for what it does not name is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ValidationError

from tenants import validators
from tenants.manifest.errors import Problem
from tenants.manifest.reading import Located
from tenants.manifest.sections import Section
from tenants.models.destination import Ordering, PastCap
from tenants.models.filter import EVENT_LENGTH, NAME_LENGTH, Call, FilterAction
from tenants.models.oauth import TokenLife
from tenants.models.source import SourceKind
from tenants.models.user import normalise_email
from tenants.models.workspace import Role

WORKSPACE = (
    *("slug", "name", "members", "oauth_apps", "sources", "destinations"),
    *("rate_limit", "dedupe_hours", "retention_days"),
)
MEMBER = ("email", "role", "password_env", "name", "scope", "can_see_personal_data")
OAUTH_APP = ("slug", "name", "client_id", "token_days", "scopes", "enabled", "public_keys")
PUBLIC_KEY = ("kid", "pem")
SOURCE = (
    *("slug", "name", "kind", "write_keys", "enabled", "settings", "rate_limit", "labels"),
    *("oauth_app", "oauth_required", "connector"),
)
WRITE_KEY = ("env", "sha256", "last4")
DESTINATION = (
    *("slug", "connector", "name", "settings", "sources", "enabled"),
    *("ordering", "past_cap", "shards", "retry_hours", "rate_limit", "mappings", "filters", "toggles"),
)
MAPPING = ("name", "action", "trigger", "fields", "enabled", "batch")
FILTER = ("name", "source", "if", *FilterAction.values, "enabled")
SAMPLE = ("percent", "path")
TOGGLE = ("source", "type", "event", "properties", "enabled")
Values = dict[str, Any]
Spec = TypeVar("Spec")


@dataclass(frozen=True, slots=True)
class MemberSpec:
    section: Section
    email: str
    name: str | None
    password_env: str | None
    values: Values


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A write key: in clear, by the name of a variable, or as a digest."""

    at: Located
    value: str = ""
    env: str = ""
    sha256: str = ""
    last4: str = ""


@dataclass(frozen=True, slots=True)
class PublicKeySpec:
    section: Section
    kid: str
    pem: str


@dataclass(frozen=True, slots=True)
class OAuthAppSpec:
    section: Section
    slug: str
    client_id: str | None
    keys: tuple[PublicKeySpec, ...]
    enabled: bool | None
    values: Values


@dataclass(frozen=True, slots=True)
class SourceSpec:
    section: Section
    slug: str
    kind: str
    keys: tuple[KeySpec, ...]
    enabled: bool | None
    oauth_app: str | None
    oauth_required: bool | None
    connector: str | None
    connector_settings: dict[str, Located]
    values: Values


@dataclass(frozen=True, slots=True)
class MappingSpec:
    section: Section
    enabled: bool | None
    values: Values

    @property
    def name(self) -> str:
        return str(self.values["name"])


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """A filter; the `source` is one slug, or None for all sources."""

    section: Section
    source: tuple[str, Located] | None
    enabled: bool | None
    values: Values

    @property
    def name(self) -> str:
        return str(self.values["name"])

    def complain(self, field: str, message: str) -> None:
        """Note what a service says of a column at the key that the file has for it."""
        keys = {"condition": "if", "name": "name", "source": "source"}
        self.section.complain(keys.get(field, str(self.values["action"])), message)


@dataclass(frozen=True, slots=True)
class ToggleSpec:
    section: Section
    source: tuple[str, Located]
    call: str
    event_name: str
    paths: list[str] | None
    enabled: bool | None

    @property
    def name(self) -> str:
        return f"{self.source[0]} {self.call} {self.event_name}".rstrip()

    def complain(self, field: str, message: str) -> None:
        """Note what a service says of a column at the key that the file has for it."""
        keys = {"call": "type", "event_name": "event", "paths": "properties"}
        self.section.complain(keys.get(field, ""), message)


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    section: Section
    slug: str
    connector: str
    settings: dict[str, Located]
    sources: tuple[tuple[str, Located], ...] | None
    mappings: tuple[MappingSpec, ...]
    filters: tuple[FilterSpec, ...]
    toggles: tuple[ToggleSpec, ...]
    enabled: bool | None
    values: Values


@dataclass(frozen=True, slots=True)
class WorkspaceSpec:
    section: Section
    slug: str
    values: Values
    members: tuple[MemberSpec, ...]
    oauth_apps: tuple[OAuthAppSpec, ...]
    sources: tuple[SourceSpec, ...]
    destinations: tuple[DestinationSpec, ...]
    source_slugs: frozenset[str]  # also of sources that have something wrong with them


def workspaces_of(document: Located, problems: list[Problem]) -> tuple[WorkspaceSpec, ...]:
    """The specs of everything in the document that has a sound shape; what has not is noted."""
    root = Section(document, problems, ("workspaces",))
    if "workspaces" not in root:
        root.complain("", "workspaces is missing")
    return _specs(root, "workspaces", _workspace, lambda spec: spec.slug, problems)


def _workspace(at: Located, problems: list[Problem]) -> WorkspaceSpec | None:
    section = Section(at, problems, WORKSPACE)
    slug = section.text("slug", validators.slug, required=True)
    values: Values = {
        "name": section.text("name"),
        "rate_limit": section.whole("rate_limit", validators.at_least_one),
        "dedupe_hours": section.whole("dedupe_hours", validators.at_least_one, validators.within_a_week),
        "retention_days": section.whole("retention_days", validators.at_least_one),
    }
    members = _specs(section, "members", _member, lambda spec: spec.email, problems)
    apps = _specs(section, "oauth_apps", _oauth_app, lambda spec: spec.slug, problems)
    sources = _specs(section, "sources", _source, lambda spec: spec.slug, problems)
    destinations = _specs(section, "destinations", _destination, lambda spec: spec.slug, problems)
    slugs = frozenset(str(item.entries["slug"].value) for item in section.items("sources") if "slug" in item.entries)
    return WorkspaceSpec(section, slug, _named(values), members, apps, sources, destinations, slugs) if slug else None


def _member(at: Located, problems: list[Problem]) -> MemberSpec | None:
    section = Section(at, problems, MEMBER)
    email = section.text("email", validators.email, required=True, longest=254)
    values: Values = {
        "role": section.text("role", _one_of(Role.values), required=True),
        "scope": section.mapping("scope", validators.member_scope),
        "can_see_personal_data": section.flag("can_see_personal_data"),
    }
    name, password_env = section.text("name"), section.text("password_env")
    if not email or not section.is_sound:
        return None
    return MemberSpec(section, normalise_email(email), name, password_env, _named(values))


def _oauth_app(at: Located, problems: list[Problem]) -> OAuthAppSpec | None:
    section = Section(at, problems, OAUTH_APP)
    slug = section.text("slug", validators.slug, required=True)
    client_id = section.text("client_id", validators.client_id)
    values: Values = {
        "name": section.text("name"),
        "token_days": section.whole("token_days", _one_of(TokenLife.values)),
        "scopes": [text for text, _ in section.texts("scopes")] if "scopes" in section else None,
    }
    keys = _specs(section, "public_keys", _public_key, lambda spec: spec.kid, problems)
    enabled = section.flag("enabled")
    return OAuthAppSpec(section, slug, client_id, keys, enabled, _named(values)) if slug and section.is_sound else None


def _public_key(at: Located, problems: list[Problem]) -> PublicKeySpec | None:
    section = Section(at, problems, PUBLIC_KEY)
    kid = section.text("kid", validators.kid, required=True)
    pem = section.text("pem", required=True, longest=10_000)
    return PublicKeySpec(section, kid, pem) if kid and pem else None


def _source(at: Located, problems: list[Problem]) -> SourceSpec | None:
    section = Section(at, problems, SOURCE)
    slug = section.text("slug", validators.slug, required=True)
    kind = section.text("kind", _one_of(SourceKind.values), required=True)
    connector = section.text("connector", longest=63)
    # What a source with a connector is told is checked by the connector's own fields.
    rules = () if connector else (validators.source_settings,)
    settings = section.mapping("settings", *rules)
    values: Values = {
        "name": section.text("name"),
        "settings": None if connector else settings,
        "rate_limit": section.whole("rate_limit", validators.at_least_one),
        "labels": section.mapping("labels", validators.labels),
    }
    keys = tuple(key for item in section.items("write_keys") if (key := _write_key(item, problems)))
    enabled, oauth_required = section.flag("enabled"), section.flag("oauth_required")
    oauth_app = section.text("oauth_app", validators.slug)
    if not (slug and kind and section.is_sound):
        return None
    told = section.at.entries["settings"].entries if connector and settings is not None else {}
    return SourceSpec(section, slug, kind, keys, enabled, oauth_app, oauth_required, connector, told, _named(values))


def _write_key(at: Located, problems: list[Problem]) -> KeySpec | None:
    if isinstance(at.value, str):
        return KeySpec(at, value=at.value)
    section = Section(at, problems, WRITE_KEY)
    spec = KeySpec(
        at,
        env=section.text("env") or "",
        sha256=section.text("sha256", longest=64) or "",
        last4=section.text("last4", longest=4) or "",
    )
    if section.is_sound and bool(spec.env) == bool(spec.sha256):
        section.complain("", "a write key is text, {env: NAME}, or {sha256: …, last4: …}")
    return spec if section.is_sound else None


def _destination(at: Located, problems: list[Problem]) -> DestinationSpec | None:
    section = Section(at, problems, DESTINATION)
    slug = section.text("slug", validators.slug, required=True)
    connector = section.text("connector", required=True, longest=63)
    section.mapping("settings")
    values: Values = {
        "name": section.text("name"),
        "ordering": section.text("ordering", _one_of(Ordering.values)),
        "past_cap": section.text("past_cap", _one_of(PastCap.values)),
        "shards": section.whole("shards", *validators.shards),
        "retry_hours": section.number("retry_hours", *validators.retry_hours),
        "rate_limit": section.mapping("rate_limit", validators.rate_limit),
    }
    enabled = section.flag("enabled")
    sources = tuple(section.texts("sources")) if "sources" in section else None
    mappings = _specs(section, "mappings", _mapping, lambda spec: spec.name, problems)
    filters = _specs(section, "filters", _filter, lambda spec: spec.name, problems)
    toggles = _specs(section, "toggles", _toggle, lambda spec: spec.name, problems)
    if not slug or not connector:
        return None
    settings = section.at.entries["settings"].entries if "settings" in section else {}
    rules = (mappings, filters, toggles)
    return DestinationSpec(section, slug, connector, settings, sources, *rules, enabled, _named(values))


def _mapping(at: Located, problems: list[Problem]) -> MappingSpec | None:
    section = Section(at, problems, MAPPING)
    values: Values = {
        "name": section.text("name", required=True),
        "action": section.text("action", required=True, longest=63),
        "trigger": section.text("trigger", required=True, longest=10_000),
        "fields": section.mapping("fields"),
        "batch": section.mapping("batch"),
    }
    enabled = section.flag("enabled")
    return MappingSpec(section, enabled, _named(values)) if section.is_sound else None


def _filter(at: Located, problems: list[Problem]) -> FilterSpec | None:
    section = Section(at, problems, FILTER)
    values: Values = {
        "name": section.text("name", required=True, longest=NAME_LENGTH),
        "condition": section.text("if", required=True, longest=10_000),
    }
    chosen = [action for action in FilterAction.values if action in section]
    if len(chosen) != 1:
        section.complain("", f"a filter has one of {', '.join(FilterAction.values)}")
    values |= _filter_action(section, chosen[0], problems) if len(chosen) == 1 else {}
    source, enabled = section.text("source", validators.slug), section.flag("enabled")
    named = (source, section.place("source")) if source else None
    return FilterSpec(section, named, enabled, values) if section.is_sound else None


def _filter_action(section: Section, action: str, problems: list[Problem]) -> Values:
    """What the one key that says what to do says."""
    values: Values = {"action": action, "percent": None, "path": "", "fields": None}
    if action == FilterAction.DROP:
        if section.flag(action) is False:
            section.complain(action, "this must be true; to switch the filter off say enabled: false")
    elif action != FilterAction.SAMPLE:
        values["fields"] = section.mapping(action)
    elif isinstance(section.at.entries[action].value, dict):
        sample = Section(section.at.entries[action], problems, SAMPLE)
        values |= {"percent": sample.number("percent"), "path": sample.text("path", longest=500) or ""}
    else:
        values["percent"] = section.number(action)
    return values


def _toggle(at: Located, problems: list[Problem]) -> ToggleSpec | None:
    section = Section(at, problems, TOGGLE)
    source = section.text("source", validators.slug, required=True)
    call = section.text("type", _one_of(Call.values), required=True)
    event_name = section.text("event", longest=EVENT_LENGTH) or ""
    paths = [text for text, _ in section.texts("properties")] if "properties" in section else None
    enabled = section.flag("enabled")
    if not (source and call and section.is_sound):
        return None
    return ToggleSpec(section, (source, section.place("source")), call, event_name, paths, enabled)


def _specs(
    section: Section,
    key: str,
    make: Callable[[Located, list[Problem]], Spec | None],
    name_of: Callable[[Spec], str],
    problems: list[Problem],
) -> tuple[Spec, ...]:
    """Make the specs of a list, each name once."""
    found: dict[str, tuple[Spec, Located]] = {}
    for item in section.items(key):
        spec = make(item, problems)
        if spec is None:
            continue
        name = name_of(spec)
        if name in found:
            problems.append(item.problem(f"{name} stands here twice, first on line {found[name][1].line}"))
        found.setdefault(name, (spec, item))
    return tuple(spec for spec, _ in found.values())


def _named(values: Values) -> Values:
    return {key: value for key, value in values.items() if value is not None}


def _one_of(words: Sequence[object]) -> Callable[[object], None]:
    def check(value: object) -> None:
        if value not in words:
            raise ValidationError(f"this must be one of {', '.join(map(str, words))}")

    return check
