"""The books of delivery, and the workers that live."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from hub.adminsite.text import visible
from hub.delivery.models import BooksCheck, OutcomeCount, WorkerBeat
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


@admin.register(BooksCheck, site=site)
class BooksCheckAdmin(ReadOnlyAdmin):
    list_display = ("at", "difference", "lines_wrong", "duration")
    ordering = ("-at",)
    fields = ("at", "difference", "lines_wrong", "duration", "worst_lines")

    @admin.display(description="took")
    def duration(self, row: BooksCheck) -> str:
        return f"{row.seconds:.1f} s"

    @admin.display(description="worst lines")
    def worst_lines(self, row: BooksCheck) -> SafeString:
        """Each line of the books that does not balance, with everything that is in it."""
        lines = (("; ".join(f"{name} {visible(str(value))}" for name, value in line.items()),) for line in row.worst)
        return format_html_join("", "<p>{}</p>", lines) or SafeString("–")


@admin.register(WorkerBeat, site=site)
class WorkerBeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "slots", "started_at", "beat_at", "taken_at")
    ordering = ("name",)
    fields = list_display
