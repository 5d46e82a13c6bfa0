"""Destinations with what delivery can do to them: hold back, and let go."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from hub.adminsite.acts import Act, Refused
from hub.adminsite.site import site
from hub.delivery import services
from hub.delivery.admin.choosing import lists_of
from hub.delivery.admin.connecting import scheme_of
from tenants.admin.acting import actor_of, note_reason
from tenants.admin.destinations import DestinationAdmin
from tenants.errors import TenantsError
from tenants.models import Destination

RULES = (
    ("Mappings", "admin:tenants_mapping_changelist"),
    ("Filters", "admin:tenants_destinationfilter_changelist"),
    ("Toggles", "admin:tenants_sourcetoggle_changelist"),
)

NEW_RULES = (
    ("New mapping", "admin:mapping_new"),
    ("New filter", "admin:filter_new"),
    ("New toggle", "admin:toggle_new"),
)


@transaction.atomic
def _pause(request: HttpRequest, rows: Sequence[Destination], reason: str) -> str:
    for destination in rows:
        try:
            services.pause(destination, reason, actor_of(request))
        except TenantsError as error:
            raise Refused(f"{destination.slug}: {error}") from error
    return f"{len(rows)} destinations paused."


@transaction.atomic
def _resume(request: HttpRequest, rows: Sequence[Destination], reason: str) -> str:
    for destination in rows:
        try:
            services.resume(destination, actor_of(request))
        except TenantsError as error:
            raise Refused(f"{destination.slug}: {error}") from error
        note_reason(request, "destination.resumed", destination, reason)
    return f"{len(rows)} destinations resumed."


@admin.register(Destination, site=site)
class DeliveryDestinationAdmin(DestinationAdmin):
    acts = (
        Act(
            "pause",
            "Pause",
            "tenants.change_destination",
            "Nothing more is sent to it. It stays subscribed: its backlog waits, and expires only at retention.",
            _pause,
            limit=100,
        ),
        Act(
            "resume",
            "Resume",
            "tenants.change_destination",
            "Its circuit is closed and its backlog is sent at once, at the destination's rate limit.",
            _resume,
            limit=100,
        ),
    )

    def links(self, row: Destination) -> Sequence[tuple[str, str]]:
        query = f"?destination={row.slug}&workspace={row.workspace.slug}"
        has_token = scheme_of(row) is not None
        return [
            *([("Connection", reverse("admin:destination_connection", args=[row.pk]))] if has_token else []),
            *([("Choices", reverse("admin:destination_choices", args=[row.pk]))] if lists_of(row) else []),
            ("Try out", reverse("admin:destination_test", args=[row.pk])),
            ("Connector", reverse("admin:catalog_destination", args=[row.connector])),
            ("Deliveries", reverse("admin:deliveries") + query),
            ("Pipeline", reverse("admin:delivery_pipeline_changelist") + query),
            ("Failures", reverse("admin:failures") + query),
            ("Dead letters", reverse("admin:delivery_deadletter_changelist") + query),
            *((name, f"{reverse(page)}?q={row.slug}") for name, page in RULES),
            *((name, reverse(page, args=[row.pk])) for name, page in NEW_RULES if row.deleted_at is None),
        ]
