"""The page on which a destination's vendor is asked what there is to choose from: templates, lists, numbers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from connectors import registry
from hub.adminsite.site import site
from hub.adminsite.text import clip, visible
from hub.delivery import choosing
from hub.delivery.admin.words import explain
from hub.delivery.choosing import Listed, NoChoices
from hub.delivery.stored import UnusableDestination
from tenants.models import Destination

VIEW, ASK = "tenants.view_destination", "tenants.change_destination"


@require_http_methods(["GET", "POST"])
def choices_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Which lists there are; and one of them, asked of the vendor."""
    if not request.user.has_perm(VIEW if request.method == "GET" else ASK):
        raise PermissionDenied
    destination = Destination.unscoped.select_related("workspace").filter(pk=pk, deleted_at=None).first()
    lists = lists_of(destination) if destination is not None else {}
    if destination is None or not lists:
        raise Http404
    if request.method == "GET":
        return _page(request, destination, lists)
    key, page = request.POST.get("list", ""), request.POST.get("page", "")
    try:
        found = choosing.list_choices(destination, key, page)
    except (NoChoices, UnusableDestination) as error:
        return _page(request, destination, lists, error=str(error))
    if found.failure is not None:
        told = f"{visible(found.failure['message'])} {explain(found.failure['reason'])}".strip()
        return _page(request, destination, lists, key, error=told or "The vendor did not give the list.")
    return _page(request, destination, lists, key, found)


def lists_of(destination: Destination) -> dict[str, list[str]]:
    """The lists that the destination's connector can have, each with the fields that it is for."""
    connector = registry.find(destination.connector)
    return choosing.questions(connector) if connector is not None else {}


def _page(
    request: HttpRequest,
    destination: Destination,
    lists: dict[str, list[str]],
    key: str = "",
    found: Listed | None = None,
    error: str = "",
) -> HttpResponse:
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": f"What {destination.slug} can choose from",
        "destination": destination,
        "lists": [(each, ", ".join(labels) or each) for each, labels in lists.items()],
        "asked": key,
        "found": found,
        "choices": [(clip(value, 300), clip(label, 300)) for value, label in found.choices] if found else [],
        "error": error,
        "may_ask": request.user.has_perm(ASK),
    }
    return TemplateResponse(request, "admin/destination_choices.html", context, status=422 if error else 200)
