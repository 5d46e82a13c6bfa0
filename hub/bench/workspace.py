"""The workspace that a benchmark fills: a source, and a destination when something is to be delivered."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenants import services
from tenants.auditing import Actor
from tenants.models import Destination, Source, Workspace

ACTOR = Actor(label="bench")


@dataclass(frozen=True, slots=True)
class Filled:
    """A source and its write key in clear."""

    workspace: Workspace
    source: Source
    write_key: str


def make() -> Filled:
    """A workspace with a source and nobody to deliver to."""
    slug = f"bench-{secrets.token_hex(4)}"
    workspace = services.create_workspace(slug, "Benchmark", actor=ACTOR)
    made = services.create_source(workspace, "load", "Load", "server", actor=ACTOR)
    return Filled(workspace, made.source, str(made.keys[0].plain))


def add_webhook(filled: Filled, url: str, settings: Mapping[str, object] | None = None, **options: Any) -> Destination:
    """A signed webhook that gets everything the source takes."""
    made = services.create_destination(
        filled.workspace,
        f"hook-{secrets.token_hex(4)}",
        "Hook",
        "webhook",
        settings={"url": url, **(settings or {})},
        sources=[filled.source],
        actor=ACTOR,
        **options,
    )
    return made.destination
