"""The audit trail: who did what, when, from where."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.adminsite.base import LogAdmin, text_column
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
    list_display = ("at", "action", "object_type", "object_shown", "actor_shown", "workspace", "ip")
    list_select_related = ("workspace",)
    list_filter = (TimeRange, WorkspaceFilter, ActionFilter)
    search_fields = ("object_id__exact", "actor_label__exact", "request_id__exact")
    search_help_text = "Exact object id, exact e-mail address of who acted, or exact request id."
    fields = (
        *("at", "action", "workspace", "actor", "actor_in_full", "object_type", "object_id", "label_in_full"),
        *("before_shown", "after_shown", "ip", "request_shown"),
    )

    actor_shown = text_column("actor_label", "actor")
    actor_in_full = text_column("actor_label", "actor", 254)
    label_in_full = text_column("object_label", "object", 254)
    request_shown = text_column("request_id", "request id", 100)

    @admin.display(description="object")
    def object_shown(self, row: AuditEntry) -> str:
        return cell(row.object_label or row.object_id)

    @admin.display(description="before")
    def before_shown(self, row: AuditEntry) -> SafeString:
        return pretty(row.before)

    @admin.display(description="after")
    def after_shown(self, row: AuditEntry) -> SafeString:
        return pretty(row.after)
