"""The page of all deliveries of a workspace, with its filters and its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from hub.adminsite.filters import PRESETS, parse_moment
from hub.adminsite.site import site
from hub.adminsite.text import clip, pseudonym
from hub.delivery.admin.words import explain
from hub.delivery.finding import EVENTS, RECOMPUTED, deliveries_of, find_delivery
from hub.delivery.listing import LOOKED_AT, STATUSES, Listed, Page, Place, Question, read_page
from hub.events.admin.events import trace_address
from hub.events.admin.search import find_seqs
from tenants.admin.named import Names, names_of
from tenants.models import Destination, Workspace

PERMISSION = "delivery.view_batch"
KEPT = ("workspace", "destination", "status", "event", "since", "until")
ICONS = {"delivered": "✓", "filtered": "⃠", "retrying": "↻", "pending": "…", "dead": "✕"}
SUGGESTED = 200


@dataclass(slots=True)
class Found(Page):
    """What a search found; `untold` are events without a row about them, with the addresses of their traces."""

    untold: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Asked:
    """What the address asks for, and what is wrong with it."""

    workspace: Workspace | None = None
    question: Question | None = None
    notes: list[str] = field(default_factory=list)


def deliveries(request: HttpRequest) -> HttpResponse:
    """Show a page of deliveries, or what a search found."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    workspaces = list(Workspace.objects.order_by("slug")[:SUGGESTED])
    asked = _read(request, workspaces)
    text = request.GET.get("q", "").strip()
    page: Page = Page()
    if asked.workspace is not None and text:
        page = _search(asked.workspace, text, asked.notes)
    elif asked.question is not None:
        page = read_page(asked.question, Place.parse(request.GET.get("place", "")))
    if page.is_cut_short:
        asked.notes.append(f"{LOOKED_AT:,} deliveries were looked at. “Older” goes on from there.")
    context = {
        **site.each_context(request),
        "title": "Deliveries",
        "workspaces": [workspace.slug for workspace in workspaces],
        "destinations": _destinations(asked.workspace),
        "statuses": STATUSES,
        "presets": PRESETS,
        "asked": {
            **{name: request.GET.get(name, "") for name in (*KEPT, "q")},
            "workspace": asked.workspace.slug if asked.workspace else request.GET.get("workspace", ""),
        },
        "workspace": asked.workspace,
        "notes": asked.notes,
        "rows": _shown(page.rows),
        "untold": page.untold if isinstance(page, Found) else (),
        "older": _address(request, place=str(page.older)) if page.older else "",
        "newest": _address(request) if request.GET.get("place") else "",
        "is_filtered": bool(text or any(request.GET.get(name) for name in KEPT[1:])),
    }
    return TemplateResponse(request, "admin/deliveries.html", context)


def _read(request: HttpRequest, workspaces: Sequence[Workspace]) -> Asked:
    """Turn the address into a question; of what cannot be meant the page tells, and shows nothing."""
    slug = request.GET.get("workspace", "").strip()
    asked = Asked()
    if slug:
        known = next((each for each in workspaces if each.slug == slug), None)
        asked.workspace = known or Workspace.objects.filter(slug=slug).first()
        if asked.workspace is None:
            asked.notes.append(f"There is no workspace {clip(slug)}.")
    elif len(workspaces) == 1:
        asked.workspace = workspaces[0]
    if asked.workspace is None:
        return asked
    try:
        since, until = (parse_moment(text) if (text := request.GET.get(name)) else None for name in ("since", "until"))
    except (ValueError, OverflowError):
        asked.notes.append("Give times like 2026-01-31T09:00 or 24h.")
        return asked
    status = request.GET.get("status", "")
    name = request.GET.get("destination", "").strip()
    destination = Destination.unscoped.filter(workspace=asked.workspace, slug=name).order_by("-pk").first()
    if name and destination is None:
        asked.notes.append(f"There is no destination {clip(name)} in this workspace.")
        return asked
    asked.question = Question(
        asked.workspace.pk,
        destination.pk if destination else None,
        status if status in STATUSES else "",
        request.GET.get("event", ""),
        since,
        until,
    )
    return asked


def _search(workspace: Workspace, text: str, notes: list[str]) -> Found:
    """The deliveries of the events that the text names."""
    workspace_id = workspace.pk
    if text.startswith("msg_"):
        found = find_delivery(workspace_id, text)
        if found.is_recomputed:
            notes.append(
                f"No attempt with this id was kept, so it was worked out for the newest {RECOMPUTED:,} events of the "
                f"workspace{'' if found.seq else ', and is not among them'}."
            )
        seqs = [found.seq] if found.seq else []
    else:
        seqs = find_seqs(text, [workspace_id])
        if len(seqs) > EVENTS:
            notes.append(f"{len(seqs):,} events match; the newest {EVENTS} are shown.")
    if not seqs and not notes:
        notes.append("No event of this workspace has this message id, user id or number.")
    rows = deliveries_of(workspace_id, seqs) if seqs else []
    told = {row.seq for row in rows}
    untold = [(seq, trace_address(seq)) for seq in seqs[:EVENTS] if seq not in told]
    return Found(rows, untold=untold)


def _shown(rows: Sequence[Listed]) -> list[dict[str, Any]]:
    names = names_of(rows, ("destination_id", "mapping_id"))
    return [_line(row, names) for row in rows]


def _line(row: Listed, names: Names) -> dict[str, Any]:
    event = row.event
    return {
        "at": row.at,
        "event": clip(event.event_name or event.type, 60) if event else "gone",
        "message_id": clip(event.message_id, 40) if event else "",
        "person": pseudonym(event.user_key) if event else "",
        "destination": names.get(row.destination_id, str(row.destination_id)),
        "mapping": clip(names.get(row.mapping_id, ""), 40) if row.mapping_id else "",
        "status": row.status,
        "icon": ICONS[row.status],
        "attempts": row.attempts,
        "code": row.status_code or "",
        "reason": clip(row.reason, 60),
        "words": explain(row.reason),
        "duration_ms": row.duration_ms,
        "next_run_at": row.next_run_at,
        "trace": trace_address(row.seq),
    }


def _destinations(workspace: Workspace | None) -> list[str]:
    if workspace is None:
        return []
    known = Destination.unscoped.filter(workspace=workspace).order_by("slug")
    return sorted(set(known.values_list("slug", flat=True)[:SUGGESTED]))


def _address(request: HttpRequest, **more: str) -> str:
    kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
    return f"?{urlencode({**kept, **more})}"
