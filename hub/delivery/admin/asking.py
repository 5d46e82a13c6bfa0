"""What the address of a page about deliveries asks for: workspace, destination and times, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from hub.adminsite.filters import PRESETS, parse_moment
from hub.adminsite.text import clip
from tenants.models import Destination, Workspace

SUGGESTED = 200


@dataclass(slots=True)
class Asked:
    """The scope of a page. Of what cannot be meant the notes tell; it is not sound then, and nothing is shown."""

    workspace: Workspace | None = None
    destination: Destination | None = None
    since: datetime | None = None
    until: datetime | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.notes


def known_workspaces() -> list[Workspace]:
    """The workspaces that a page suggests."""
    return list(Workspace.objects.order_by("slug")[:SUGGESTED])


def known_destinations(workspace: Workspace | None) -> list[str]:
    """The destinations that a page suggests, by slug."""
    if workspace is None:
        return []
    known = Destination.unscoped.filter(workspace=workspace).order_by("slug")
    return sorted(set(known.values_list("slug", flat=True)[:SUGGESTED]))


def form(request: HttpRequest, asked: Asked, workspaces: Sequence[Workspace], kept: Sequence[str]) -> dict[str, Any]:
    """What the form of the page shows: what may be chosen, what was asked for in the names that are kept, and what is
    wrong with it.
    """
    chosen = asked.workspace.slug if asked.workspace else request.GET.get("workspace", "")
    return {
        "workspaces": [workspace.slug for workspace in workspaces],
        "destinations": known_destinations(asked.workspace),
        "presets": PRESETS,
        "asked": {**{name: request.GET.get(name, "") for name in kept}, "workspace": chosen},
        "notes": asked.notes,
    }


def read(request: HttpRequest, workspaces: Sequence[Workspace]) -> Asked:
    """Look up what the address names. With one workspace there is nothing to choose."""
    asked = Asked()
    slug = request.GET.get("workspace", "").strip()
    if slug:
        known = next((each for each in workspaces if each.slug == slug), None)
        asked.workspace = known or Workspace.objects.filter(slug=slug).first()
        if asked.workspace is None:
            asked.notes.append(f"There is no workspace {clip(slug)}.")
    elif len(workspaces) == 1:
        asked.workspace = workspaces[0]
    _read_times(request, asked)
    _read_destination(request, asked)
    return asked


def _read_times(request: HttpRequest, asked: Asked) -> None:
    try:
        asked.since, asked.until = (
            parse_moment(text) if (text := request.GET.get(name)) else None for name in ("since", "until")
        )
    except (ValueError, OverflowError):
        asked.notes.append("Give times like 2026-01-31T09:00 or 24h.")


def _read_destination(request: HttpRequest, asked: Asked) -> None:
    name = request.GET.get("destination", "").strip()
    if not name or asked.workspace is None:
        return
    found = Destination.unscoped.filter(workspace=asked.workspace, slug=name)
    asked.destination = found.order_by("-pk").first()
    if asked.destination is None:
        asked.notes.append(f"There is no destination {clip(name)} in this workspace.")
