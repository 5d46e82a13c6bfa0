"""Plain functions that make valid rows by the services that make real ones; only what matters is shown at the call."""

from __future__ import annotations

import itertools
from typing import Any

from tenants import services
from tenants.models import (
    Connection,
    Destination,
    DestinationFilter,
    Mapping,
    Member,
    OAuthApp,
    Source,
    SourceToggle,
    User,
    Workspace,
)
from tenants.services import Actor, GivenKey, IssuedKey

TESTER = Actor(label="tests")
_numbers = itertools.count(1)


def make_workspace(slug: str = "", **limits: Any) -> Workspace:
    slug = slug or f"workspace-{next(_numbers)}"
    return services.create_workspace(slug, slug.title(), actor=TESTER, **limits)


def make_user(email: str = "", *, password: str | None = None) -> User:
    return services.create_user(email or f"user-{next(_numbers)}@example.test", password=password, actor=TESTER)


def make_member(workspace: Workspace, email: str = "", *, role: str = "developer", **grants: Any) -> Member:
    known = User.objects.filter(email=email).first()
    return services.add_member(workspace, known or make_user(email), role, actor=TESTER, **grants)


def make_source(workspace: Workspace, slug: str = "", *, kind: str = "server", **options: Any) -> Source:
    """A source with a generated key."""
    return make_source_and_key(workspace, slug, kind=kind, **options)[0]


def make_source_and_key(
    workspace: Workspace, slug: str = "", *, kind: str = "server", key: str = "", **options: Any
) -> tuple[Source, str]:
    """A source and its write key in clear."""
    slug = slug or f"source-{next(_numbers)}"
    given = [GivenKey(value=key)] if key else None
    made = services.create_source(workspace, slug, slug.title(), kind, write_keys=given, actor=TESTER, **options)
    return made.source, str(made.keys[0].plain)


def make_write_key(source: Source, value: str = "") -> IssuedKey:
    return services.add_write_key(source, GivenKey(value=value) if value else None, actor=TESTER)


def make_destination(
    workspace: Workspace, slug: str = "", *, url: str = "https://hooks.example.test/in", **options: Any
) -> Destination:
    """A webhook; settings besides the URL go into `settings`."""
    slug = slug or f"destination-{next(_numbers)}"
    options["settings"] = {"url": url, **options.get("settings", {})}
    made = services.create_destination(workspace, slug, slug.title(), "webhook", actor=TESTER, **options)
    return made.destination


def make_connection(source: Source, destination: Destination) -> Connection:
    return services.connect(source, destination, actor=TESTER)


def make_mapping(destination: Destination, name: str = "", **content: Any) -> Mapping:
    content = {"action": "send", "trigger": 'type = "track"', "fields": {"data": {"@path": "$."}}, **content}
    return services.create_mapping(destination, name=name or f"Mapping {next(_numbers)}", **content, actor=TESTER)


def make_filter(destination: Destination, name: str = "", **content: Any) -> DestinationFilter:
    """A filter that drops whatever is said."""
    content = {"condition": "all", "action": "drop", **content}
    return services.create_filter(destination, name=name or f"Filter {next(_numbers)}", **content, actor=TESTER)


def make_toggle(source: Source, destination: Destination, **content: Any) -> SourceToggle:
    """A toggle that keeps every track call from the destination."""
    return services.create_toggle(source, destination, **{"call": "track", **content}, actor=TESTER)


def make_oauth_app(workspace: Workspace, slug: str = "", **options: Any) -> OAuthApp:
    """An app without keys."""
    slug = slug or f"app-{next(_numbers)}"
    return services.create_oauth_app(workspace, slug, slug.title(), actor=TESTER, **options)
