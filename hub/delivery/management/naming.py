"""What command lines name: workspaces, destinations, moments; each with a clear word when there is no such thing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet

from hub.adminsite.filters import parse_moment
from tenants.models import Destination, Workspace


def find_workspace(slug: str) -> Workspace:
    """The workspace of this slug."""
    found = Workspace.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no workspace {slug!r}.", returncode=2)
    return found


def find_destinations(workspace: Workspace, slug: str | None) -> QuerySet[Destination]:
    """The workspace's destinations, or those that have or had this slug."""
    found = Destination.unscoped.filter(workspace=workspace).order_by("pk")
    if slug is None:
        return found
    named = found.filter(slug=slug)
    if not named:
        raise CommandError(f"{workspace.slug} has no destination {slug!r}.", returncode=2)
    return named


def moments(options: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """The options `since` and `until`."""
    try:
        since, until = (parse_moment(options[name]) if options[name] else None for name in ("since", "until"))
    except (ValueError, OverflowError) as error:
        raise CommandError("Give times like 24h or 2026-01-31T09:00.", returncode=2) from error
    return since, until
