"""Connections, and the stretches of the log during which things were on."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from hub.adminsite.acts import Act, Refused
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from tenants import services
from tenants.admin.acting import actor_of, note_reason
from tenants.errors import TenantsError
from tenants.models import Connection, SubscriptionInterval


@transaction.atomic
def _switch(request: HttpRequest, rows: Sequence[Connection], reason: str, is_enabled: bool) -> str:
    for connection in rows:
        try:
            services.set_connection_enabled(connection, is_enabled, actor=actor_of(request))
        except TenantsError as error:
            raise Refused(str(error)) from error
        note_reason(request, "connection.switched", connection, reason)
    return f"{len(rows)} connections switched {'on' if is_enabled else 'off'}."


@admin.register(Connection, site=site)
class ConnectionAdmin(ReadOnlyAdmin):
    list_display = ("link", "workspace", "source", "destination", "is_enabled", "created_at")
    list_select_related = ("workspace", "source", "destination")
    list_filter = ("is_enabled",)
    search_fields = ("source__slug__exact", "destination__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of source, destination or workspace."
    ordering = ("-pk",)
    fields = ("workspace", "source", "destination", "is_enabled", "created_at")
    acts = (
        Act(
            "enable",
            "Switch on",
            "tenants.change_connection",
            "Events that arrive from now on are delivered over this connection.",
            lambda request, rows, reason: _switch(request, rows, reason, True),
            limit=100,
        ),
        Act(
            "disable",
            "Switch off",
            "tenants.change_connection",
            "Later events are not delivered over this connection, and what still waits ends as filtered.",
            lambda request, rows, reason: _switch(request, rows, reason, False),
            limit=100,
        ),
    )

    def describe(self, row: Connection) -> str:
        return self.link(row)

    @admin.display(description="connection")
    def link(self, row: Connection) -> str:
        return f"{row.source.slug} → {row.destination.slug}"


@admin.register(SubscriptionInterval, site=site)
class SubscriptionIntervalAdmin(ReadOnlyAdmin):
    list_display = ("kind", "object_id", "workspace", "from_epoch", "from_xid", "until_epoch", "until_xid")
    list_select_related = ("workspace",)
    list_filter = ("kind",)
    search_fields = ("object_id__exact", "workspace__slug__exact")
    search_help_text = "Exact id of a connection or destination, or exact slug of a workspace."
    ordering = ("-pk",)
    fields = ("workspace", "kind", "object_id", "from_epoch", "from_xid", "until_epoch", "until_xid")
