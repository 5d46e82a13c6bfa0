"""Destinations, to look at. Of a credential nothing is shown but that it is set.

Delivery registers the destination itself, with the acts that it has.
"""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin, text_column
from hub.adminsite.text import pretty
from tenants.models import Destination


class DestinationAdmin(ReadOnlyAdmin):
    """A destination with its settings as people may read them."""

    list_display = ("slug", "name", "workspace", "connector", "is_enabled", "status", "reason_shown", "deleted_at")
    list_select_related = ("workspace",)
    list_filter = ("status", "is_enabled", "connector", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the destination or of its workspace."
    ordering = ("workspace__slug", "slug")
    fields = (
        *("workspace", "slug", "name", "connector", "is_enabled", "status", "reason_in_full", "status_changed_at"),
        *("settings_shown", "ordering", "past_cap", "shards", "retry_hours", "rate_limit", "created_at", "deleted_at"),
    )

    reason_shown = text_column("status_reason", "reason")
    reason_in_full = text_column("status_reason", "reason", 500)

    def describe(self, row: Destination) -> str:
        return f"{row.slug} ({row.connector}, workspace {row.workspace.slug})"

    @admin.display(description="settings")
    def settings_shown(self, row: Destination) -> SafeString:
        return pretty(row.masked_settings())
