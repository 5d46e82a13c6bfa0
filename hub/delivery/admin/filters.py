"""Filters with what delivery knows of them: how many of the latest events each concerns."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from hub.adminsite.site import site
from hub.delivery import previewing
from tenants.admin.filters import FilterAdmin
from tenants.models import DestinationFilter

PERMISSIONS = ("tenants.view_destinationfilter", "events.view_event")


@admin.register(DestinationFilter, site=site)
class DeliveryFilterAdmin(FilterAdmin):
    def links(self, row: DestinationFilter) -> Sequence[tuple[str, str]]:
        return [*super().links(row), ("Matches", reverse("admin:filter_matches", args=[row.pk]))]


def matches_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How many of the latest events the filter concerns, and what it does to them."""
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    row = DestinationFilter.unscoped.filter(pk=pk).select_related("destination", "source", "workspace").first()
    if row is None:
        raise Http404
    context = {
        **site.each_context(request),
        "title": f"Matches of {row.name}",
        "filter": row,
        "preview": previewing.preview(row),
    }
    return TemplateResponse(request, "admin/filter_matches.html", context)
