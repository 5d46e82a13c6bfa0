"""The books of delivery, and the workers that live."""

from __future__ import annotations

from django.contrib import admin

from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from hub.delivery.models import OutcomeCount, WorkerBeat
from tenants.admin.named import DestinationFilter, NamedLogAdmin, SourceFilter, WorkspaceFilter


@admin.register(OutcomeCount, site=site)
class OutcomeCountAdmin(NamedLogAdmin):
    list_display = (
        "day",
        "workspace_name",
        "source_name",
        "destination_name",
        "delivered",
        "filtered",
        "dead",
        "expired",
    )
    list_filter = (WorkspaceFilter, SourceFilter, DestinationFilter)
    fields = ("day", "workspace_name", "source_name", "destination_name", "delivered", "filtered", "dead", "expired")


@admin.register(WorkerBeat, site=site)
class WorkerBeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "slots", "started_at", "beat_at", "taken_at")
    ordering = ("name",)
    fields = list_display
