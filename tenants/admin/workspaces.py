"""Workspaces and their members."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from hub.adminsite.acts import Act
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from tenants import services
from tenants.admin.acting import actor_of, note_reason
from tenants.models import Member, Workspace


@transaction.atomic
def _set_locked(request: HttpRequest, rows: Sequence[Workspace], reason: str, is_locked: bool) -> str:
    for workspace in rows:
        services.update_workspace(workspace, actor=actor_of(request), is_locked=is_locked)
        note_reason(request, "workspace.locked" if is_locked else "workspace.unlocked", workspace, reason)
    return f"{len(rows)} workspaces {'locked' if is_locked else 'unlocked'}."


ACTS = (
    Act(
        "lock",
        "Lock workspace",
        "tenants.change_workspace",
        "New events are refused and nothing is delivered until it is unlocked. What waits goes on waiting.",
        lambda request, rows, reason: _set_locked(request, rows, reason, True),
        limit=100,
    ),
    Act(
        "unlock",
        "Unlock workspace",
        "tenants.change_workspace",
        "New events are accepted again and deliveries go on.",
        lambda request, rows, reason: _set_locked(request, rows, reason, False),
        limit=100,
    ),
)


@admin.register(Workspace, site=site)
class WorkspaceAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "is_locked", "rate_limit", "retention_days", "created_at")
    list_filter = ("is_locked",)
    search_fields = ("slug__exact",)
    search_help_text = "Exact slug."
    ordering = ("slug",)
    acts = ACTS


@admin.register(Member, site=site)
class MemberAdmin(ReadOnlyAdmin):
    list_display = ("user", "workspace", "role", "scope", "can_see_personal_data", "created_at")
    list_select_related = ("user", "workspace")
    list_filter = ("role", "can_see_personal_data")
    search_fields = ("user__email__exact", "workspace__slug__exact")
    search_help_text = "Exact e-mail address or exact slug of a workspace."
    ordering = ("-pk",)
    fields = ("workspace", "user", "role", "scope", "can_see_personal_data", "created_at")

    def describe(self, row: Member) -> str:
        return f"{row.user.email} in {row.workspace.slug}"
