"""A replay as people ask for it, in slugs and texts: read once, for the admin and the command line alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from hub.adminsite.filters import parse_moment
from hub.delivery.replays import services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.replays.scope import ALL, Scope
from hub.lib import clock
from tenants.models import Destination, Source, Workspace


def read(asked: Mapping[str, str]) -> Scope:
    """The scope that these words mean. Raises ReplayError with a word on the first that means nothing."""
    workspace = Workspace.objects.filter(slug=asked["workspace"]).first()
    if workspace is None:
        raise ReplayError(f"There is no workspace {asked['workspace']!r}.")
    since = _moment(asked["since"])
    if since is None:
        raise ReplayError("Say from when on.")
    return services.draft(
        workspace,
        _destination(workspace, asked["destination"]),
        since,
        _moment(asked.get("until", "")) or clock.now(),
        sources=[_source(workspace, slug) for slug in asked.get("sources", "").replace(",", " ").split()],
        trigger=asked.get("trigger", ""),
        only=asked.get("only", "") or ALL,
        failed_at=_destination(workspace, asked["failed_at"]) if asked.get("failed_at") else None,
        seqs=_numbers(asked["seqs"]) if asked.get("seqs") else None,
        per_second=_speed(asked.get("per_second", "")),
    )


def _moment(text: str) -> datetime | None:
    try:
        return parse_moment(text.strip()) if text.strip() else None
    except (ValueError, OverflowError) as error:
        raise ReplayError("Give times like 24h or 2026-01-31T09:00.") from error


def _destination(workspace: Workspace, slug: str) -> Destination:
    """The living one of this slug, else the last that had it."""
    named = Destination.unscoped.filter(workspace=workspace, slug=slug)
    found = named.filter(deleted_at=None).first() or named.order_by("-pk").first()
    if found is None:
        raise ReplayError(f"{workspace.slug} has no destination {slug!r}.")
    return found


def _source(workspace: Workspace, slug: str) -> Source:
    named = Source.unscoped.filter(workspace=workspace, slug=slug)
    found = named.filter(deleted_at=None).first() or named.first()
    if found is None:
        raise ReplayError(f"{workspace.slug} has no source {slug!r}.")
    return found


def _numbers(text: str) -> Sequence[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ReplayError("Chosen events are named by their numbers.") from error
    if any(not 0 <= seq < 2**63 for seq in found):
        raise ReplayError("Chosen events are named by their numbers.")
    return found


def _speed(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError as error:
        raise ReplayError("The speed is a number of requests a second.") from error


def slugs_of(source_ids: Iterable[UUID]) -> list[str]:
    """The sources' slugs, as they are asked for."""
    return sorted(Source.unscoped.filter(pk__in=list(source_ids)).values_list("slug", flat=True))
