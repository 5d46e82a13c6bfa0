"""The trace of one event: what was accepted, how each destination stands and why, and every attempt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from hub.adminsite import reveal
from hub.adminsite.site import site
from hub.adminsite.text import MASK, masked, pretty, pseudonym, visible
from hub.delivery import explanations, trace
from hub.delivery.admin.deliveries import ICONS
from hub.delivery.admin.exchanges import masked_exchange, readable
from hub.delivery.admin.words import explain
from hub.delivery.stored import UnusableDestination
from hub.events.admin.events import trace_address
from hub.events.models import Event
from hub.observability import log
from tenants.admin.payloads import reveal_row
from tenants.models import Destination, Mapping, Workspace

PERMISSIONS = ("events.view_event", "delivery.view_attempt")
TRACE_ICONS = {**ICONS, "waiting": "…", "expired": "⊘"}
MOST_REBUILT = 10
logger = log.get(__name__)


def trace_page(request: HttpRequest, seq: int) -> HttpResponse:
    """Everything that happened to the event."""
    event = _event(request, seq)
    is_open = reveal.is_revealed(request, reveal.key_of(event))
    found = trace.trace_event(event)
    destinations = {str(each.pk): each for each in Destination.unscoped.filter(workspace_id=event.workspace_id)}
    mappings = dict(Mapping.unscoped.filter(workspace_id=event.workspace_id).values_list("pk", "name"))
    rebuilt = 0
    shown = []
    for delivery in found["deliveries"]:
        line = _delivery(delivery, mappings, is_open)
        if delivery["status"] == "delivered" and not delivery["attempts"] and rebuilt < MOST_REBUILT:
            rebuilt += 1
            line |= _rebuilt(event, destinations[delivery["destination_id"]], is_open)
        shown.append(line)
    workspace = Workspace.objects.filter(pk=event.workspace_id).first()
    context = {
        **site.each_context(request),
        "title": f"Trace of event {seq}",
        "event": event,
        "facts": _facts(event, found["event"]["source"], workspace.slug if workspace else "", is_open),
        "body": pretty(found["event"]["body"] if is_open else masked(found["event"]["body"])),
        "deliveries": shown,
        "is_open": is_open,
        "may_reveal": reveal.may_reveal(request),
    }
    return TemplateResponse(request, "admin/trace.html", context)


@require_POST
def reveal_trace(request: HttpRequest, seq: int) -> HttpResponse:
    """Let the event's personal data be seen for some minutes, and write that down."""
    reveal_row(request, _event(request, seq))
    return HttpResponseRedirect(trace_address(seq))


def _event(request: HttpRequest, seq: int) -> Event:
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    event = Event.objects.filter(pk=seq).first() if seq < 2**63 else None
    if event is None:
        raise Http404
    return event


def _facts(event: Event, source: str, workspace: str, is_open: bool) -> list[tuple[str, str]]:
    def private(value: str | None) -> str:
        return "–" if value is None else visible(value) if is_open else MASK

    return [
        ("Received", event.received_at.isoformat(timespec="milliseconds")),
        ("Workspace", workspace),
        ("Source", source),
        ("Type", event.type),
        ("Event", visible(event.event_name or "–")),
        ("Message id", visible(event.message_id)),
        ("Person", pseudonym(event.user_key)),
        ("User id", private(event.user_id)),
        ("Anonymous id", private(event.anonymous_id)),
        ("Place in the log", f"seq {event.seq}, epoch {event.epoch}, transaction {event.xid}"),
    ]


def _delivery(delivery: dict[str, Any], mappings: dict[UUID, str], is_open: bool) -> dict[str, Any]:
    status, reason = delivery["status"], delivery["reason"]
    return {
        "destination": delivery["destination"],
        "destination_id": delivery["destination_id"],
        "status": status,
        "icon": TRACE_ICONS[status],
        "reason": visible(reason),
        "words": explain(reason),
        "status_code": delivery["status_code"],
        "explanation": explanations.shown(why, reason, is_open=is_open) if (why := delivery["explanation"]) else None,
        "replays": [
            {**each, "icon": TRACE_ICONS[each["status"]], "words": explain(each["reason"])}
            for each in delivery["replays"]
        ],
        "attempts": [_attempt(attempt, mappings, is_open) for attempt in delivery["attempts"]],
    }


def _attempt(attempt: dict[str, Any], mappings: dict[UUID, str], is_open: bool) -> dict[str, Any]:
    mapping_id = attempt["mapping_id"]
    return {
        "at": attempt["at"],
        "at_shown": attempt["at"][:23].replace("T", " "),
        **{name: attempt[name] for name in ("attempt", "status_code", "duration_ms", "outcome", "delivery_id")},
        "reason": visible(attempt["reason"]),
        "words": explain(attempt["reason"]),
        "worker": attempt["worker"],
        "is_replay": attempt["is_replay"],
        "mapping": mappings.get(UUID(mapping_id), mapping_id) if mapping_id else "",
        "request": pretty(_open_or_masked(attempt["request"], is_open)),
        "response": pretty(_open_or_masked(attempt["response"], is_open)),
    }


def _open_or_masked(exchange: Any, is_open: bool) -> Any:
    return readable(exchange) if is_open else masked_exchange(exchange)


def _rebuilt(event: Event, destination: Destination, is_open: bool) -> dict[str, Any]:
    """The requests of a success that was not kept in full, made anew by the rules as they stand."""
    try:
        requests = trace.rebuild_requests(event, destination)
    except UnusableDestination as error:
        return {"not_rebuilt": str(error)}
    except Exception:
        # A connector or a mapping may fail in any way on a hostile event; the page must still tell the rest.
        logger.exception("rebuild_failed", seq=event.seq, destination=str(destination.pk))
        return {"not_rebuilt": "The request could not be made again; the log says why."}
    return {"rebuilt": [pretty(_open_or_masked(request, is_open)) for request in requests]}
