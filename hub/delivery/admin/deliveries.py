"""The page of all deliveries of a workspace, with its filters and its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from hub.adminsite.site import site
from hub.adminsite.text import clip, pseudonym
from hub.delivery.admin.asking import Asked, form, known_workspaces, read
from hub.delivery.admin.words import explain
from hub.delivery.finding import EVENTS, RECOMPUTED, deliveries_of, find_delivery
from hub.delivery.listing import LOOKED_AT, STATUSES, Listed, Page, Place, Question, read_page
from hub.events.admin.events import trace_address
from hub.events.admin.search import find_seqs
from tenants.admin.named import Names, names_of
from tenants.models import Workspace

PERMISSION = "delivery.view_batch"
KEPT = ("workspace", "destination", "status", "event", "since", "until")
ICONS = {"delivered": "✓", "filtered": "∅", "retrying": "↻", "pending": "…", "parked": "…", "dead": "✕"}


@dataclass(slots=True)
class Found(Page):
    """What a search found; `untold` are events without a row about them, with the addresses of their traces."""

    untold: list[tuple[int, str]] = field(default_factory=list)


def deliveries(request: HttpRequest) -> HttpResponse:
    """Show a page of deliveries, or what a search found."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    workspaces = known_workspaces()
    asked = read(request, workspaces)
    question = _question(request, asked)
    text = request.GET.get("q", "").strip()
    page: Page = Page()
    if asked.workspace is not None and text:
        page = _search(asked.workspace, text, asked.notes)
    elif question is not None:
        page = read_page(question, Place.parse(request.GET.get("place", "")))
    if page.is_cut_short:
        asked.notes.append(f"{LOOKED_AT:,} deliveries were looked at. “Older” goes on from there.")
    context = {
        **site.each_context(request),
        "title": "Deliveries",
        **form(request, asked, workspaces, (*KEPT, "q")),
        "statuses": STATUSES,
        "workspace": asked.workspace,
        "rows": _shown(page.rows),
        "untold": page.untold if isinstance(page, Found) else (),
        "older": _address(request, place=str(page.older)) if page.older else "",
        "newest": _address(request) if request.GET.get("place") else "",
        "is_filtered": bool(text or any(request.GET.get(name) for name in KEPT[1:])),
    }
    return TemplateResponse(request, "admin/deliveries.html", context)


def _question(request: HttpRequest, asked: Asked) -> Question | None:
    """Which deliveries of the workspace; none when there is nothing sound to ask."""
    if asked.workspace is None or not asked.is_sound:
        return None
    status = request.GET.get("status", "")
    return Question(
        asked.workspace.pk,
        asked.destination.pk if asked.destination else None,
        status if status in STATUSES else "",
        request.GET.get("event", ""),
        asked.since,
        asked.until,
    )


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
        "replay": reverse("admin:delivery_replay_change", args=[row.replay_id]) if row.replay_id else "",
        "trace": trace_address(row.seq),
    }


def _address(request: HttpRequest, **more: str) -> str:
    kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
    return f"?{urlencode({**kept, **more})}"
