"""The audit trail: who did what, when, from where."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.adminsite.base import LogAdmin
from hub.adminsite.filters import TextFilter, TimeRange
from hub.adminsite.site import site
from hub.adminsite.text import cell, pretty
from tenants.admin.named import WorkspaceFilter
from tenants.models import AuditEntry


class ActionFilter(TextFilter):
    title = "action"
    parameter = "action"
    placeholder = "destination.paused"


@admin.register(AuditEntry, site=site)
class AuditEntryAdmin(LogAdmin):
    list_display = ("at", "action", "object_type", "object_shown", "actor_label", "workspace", "ip")
    list_select_related = ("workspace",)
    list_filter = (TimeRange, WorkspaceFilter, ActionFilter)
    search_fields = ("object_id__exact", "actor_label__exact", "request_id__exact")
    search_help_text = "Exact object id, exact e-mail address of who acted, or exact request id."
    fields = (
        *("at", "action", "workspace", "actor", "actor_label", "object_type", "object_id", "object_label"),
        *("before_shown", "after_shown", "ip", "request_id"),
    )

    @admin.display(description="object")
    def object_shown(self, row: AuditEntry) -> str:
        return cell(row.object_label or row.object_id)

    @admin.display(description="before")
    def before_shown(self, row: AuditEntry) -> SafeString:
        return pretty(row.before)

    @admin.display(description="after")
    def after_shown(self, row: AuditEntry) -> SafeString:
        return pretty(row.after)
