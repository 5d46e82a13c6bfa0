"""Destinations, mappings and their versions, to look at. Of a credential nothing is shown but that it is set.

Delivery registers the destination itself, with the acts that it has.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin, text_column
from hub.adminsite.site import site
from hub.adminsite.text import pretty
from tenants.models import Destination, Mapping, MappingVersion


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


@admin.register(Mapping, site=site)
class MappingAdmin(ReadOnlyAdmin):
    list_display = ("name", "destination", "workspace", "action", "position", "is_enabled", "version")
    list_select_related = ("destination", "workspace")
    list_filter = ("is_enabled",)
    search_fields = ("destination__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the destination or of its workspace."
    ordering = ("-pk",)
    fields = (
        *("workspace", "destination", "name", "action", "trigger", "fields_shown", "batch"),
        *("position", "is_enabled", "version", "created_at", "versions"),
    )

    @admin.display(description="fields")
    def fields_shown(self, row: Mapping) -> SafeString:
        return pretty(row.fields)

    @admin.display(description="earlier versions")
    def versions(self, row: Mapping) -> SafeString:
        known = MappingVersion.unscoped.filter(workspace_id=row.workspace_id, mapping=row).order_by("-version")[:50]
        return pretty([_version(version) for version in known])


@admin.register(MappingVersion, site=site)
class MappingVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "mapping", "workspace", "action", "created_at", "created_by")
    list_select_related = ("mapping", "workspace", "created_by")
    search_fields = ("workspace__slug__exact",)
    search_help_text = "Exact slug of a workspace."
    ordering = ("-pk",)
    fields = (
        *("workspace", "mapping", "version", "name", "action", "trigger", "fields_shown", "batch"),
        *("created_at", "created_by"),
    )

    @admin.display(description="fields")
    def fields_shown(self, row: MappingVersion) -> SafeString:
        return pretty(row.fields)


def _version(version: MappingVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "at": version.created_at.isoformat(),
        "trigger": version.trigger,
        "fields": version.fields,
    }
