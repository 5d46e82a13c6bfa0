"""The page on which an event is tried out at a destination: what would be sent, or what came of sending it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from hub.adminsite import reveal
from hub.adminsite.site import site
from hub.adminsite.text import pretty, visible
from hub.delivery import trace, trials, trying
from hub.delivery.admin.exchanges import masked_exchange, readable
from hub.delivery.admin.words import explain
from hub.delivery.stored import UnusableDestination
from hub.delivery.trials import Unsupported
from hub.delivery.trying import BadEvent
from hub.events.models import Event
from hub.lib.net import BlockedURL
from tenants.admin.acting import actor_of
from tenants.models import Destination

PERMISSION, LIVE_PERMISSION = "tenants.view_destination", "tenants.change_destination"
LONGEST = 512 * 1024
KINDS = ("dry", "live", "credentials")


@require_http_methods(["GET", "POST"])
def test_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for an event; show what came of it."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    destination = Destination.unscoped.select_related("workspace").filter(pk=pk, deleted_at=None).first()
    if destination is None:
        raise Http404
    asked = {name: request.POST.get(name, "").strip() for name in ("kind", "message_id", "event")}
    if request.method == "GET":
        return _page(request, destination, {**asked, "kind": "dry", "message_id": request.GET.get("message_id", "")})
    if asked["kind"] != "dry" and not request.user.has_perm(LIVE_PERMISSION):
        raise PermissionDenied
    try:
        found, is_open = _try(request, destination, asked)
    except (BadEvent, UnusableDestination, Unsupported, BlockedURL) as error:
        return _page(request, destination, asked, error=str(error))
    return _page(request, destination, asked, found=found, is_open=is_open)


def _try(request: HttpRequest, destination: Destination, asked: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """What came of it, and whether the people in it may be seen: one's own words may, the log's only when revealed."""
    actor, is_live = actor_of(request), asked["kind"] == "live"
    if asked["kind"] not in KINDS:
        raise BadEvent("Choose what is to be done.")
    if asked["kind"] == "credentials":
        return {"events": [], "steps": [_of_credentials(trials.check_credentials(destination))]}, True
    if bool(asked["message_id"]) == bool(asked["event"]):
        raise BadEvent("Give the message id of an event of the log, or an event of your own.")
    if asked["event"]:
        if len(asked["event"]) > LONGEST:
            raise BadEvent("This is too long for an event.")
        return trials.try_given(destination, trying.read_events(asked["event"]), is_live=is_live, actor=actor), True
    event = _logged(request, destination, asked["message_id"])
    is_open = reveal.is_revealed(request, reveal.key_of(event))
    return trials.try_logged(destination, event, is_live=is_live, actor=actor), is_open


def _logged(request: HttpRequest, destination: Destination, message_id: str) -> Event:
    if not request.user.has_perm("events.view_event"):
        raise PermissionDenied
    found = trace.find_events(destination.workspace_id, message_id)
    if not found:
        raise BadEvent("The log of this workspace holds no event with this message id.")
    return found[0]


def _of_credentials(found: dict[str, Any]) -> dict[str, Any]:
    step = {"kind": "request", "mapping": "", "action": "the connector's test call", "request": None, "response": None}
    return {**step, **found, "outcomes": [found["outcome"]]}


def _page(
    request: HttpRequest,
    destination: Destination,
    asked: dict[str, str],
    *,
    error: str = "",
    found: dict[str, Any] | None = None,
    is_open: bool = False,
) -> HttpResponse:
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": f"Try out {destination.slug}",
        "destination": destination,
        "asked": asked,
        "error": error,
        "may_send": request.user.has_perm(LIVE_PERMISSION),
    }
    if found is not None:
        context |= {"found": found, "is_open": is_open, "steps": [_step(step, is_open) for step in found["steps"]]}
    return TemplateResponse(request, "admin/destination_test.html", context, status=422 if error else 200)


def _step(step: dict[str, Any], is_open: bool) -> dict[str, Any]:
    shown = readable if is_open else masked_exchange
    return {
        **step,
        "request": pretty(shown(step["request"])) if step["request"] else "",
        "response": pretty(shown(step["response"])) if step["response"] else "",
        "outcomes": [
            {**each, "message": visible(each["message"]), "words": explain(each["reason"])} for each in step["outcomes"]
        ],
    }
