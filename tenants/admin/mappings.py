"""Mappings and their versions: looked at, compared, switched, moved, copied, and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from hub.adminsite.text import block, pretty
from tenants import services
from tenants.admin.acting import noted
from tenants.admin.versions import VersionAdmin, listed, versions_of
from tenants.admin.wording import trigger_in_words
from tenants.models import Mapping, MappingVersion
from tenants.services.mappings import CONTENT
from tenants.services.versions import content_of

CHANGE = "tenants.change_mapping"


class ContentShown:
    """What a mapping and each of its versions consist of."""

    @admin.display(description="trigger")
    def trigger_shown(self, row: Mapping | MappingVersion) -> SafeString:
        return block(row.trigger)

    @admin.display(description="in words")
    def in_words(self, row: Mapping | MappingVersion) -> SafeString:
        return block(trigger_in_words(row.trigger))

    @admin.display(description="fields")
    def fields_shown(self, row: Mapping | MappingVersion) -> SafeString:
        return pretty(row.fields)


@admin.register(Mapping, site=site)
class MappingAdmin(ContentShown, ReadOnlyAdmin):
    list_display = ("name", "destination", "workspace", "action", "position", "is_enabled", "version")
    list_select_related = ("destination", "workspace")
    list_filter = ("is_enabled",)
    search_fields = ("destination__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the destination or of its workspace."
    ordering = ("workspace__slug", "destination__slug", "position", "pk")
    fields = (
        *("workspace", "destination", "name", "action", "trigger_shown", "in_words", "fields_shown", "batch"),
        *("position", "is_enabled", "version", "created_at", "versions"),
    )
    acts = (
        noted(
            "enable",
            "Switch on",
            CHANGE,
            "Events that meet its trigger are sent by it from now on, also those that wait already.",
            lambda row, actor: services.set_mapping_enabled(row, True, actor=actor),
            "mapping.switched",
        ),
        noted(
            "disable",
            "Switch off",
            CHANGE,
            "Nothing is sent by it any more, and what waits of it is not sent either.",
            lambda row, actor: services.set_mapping_enabled(row, False, actor=actor),
            "mapping.switched",
        ),
        noted(
            "move_up",
            "Move up",
            CHANGE,
            "It is asked and sent before the mapping that stands above it now.",
            lambda row, actor: services.move_mapping(row, -1, actor=actor),
            "mapping.moved",
            limit=1,
        ),
        noted(
            "move_down",
            "Move down",
            CHANGE,
            "It is asked and sent after the mapping that stands below it now.",
            lambda row, actor: services.move_mapping(row, 1, actor=actor),
            "mapping.moved",
            limit=1,
        ),
        noted(
            "duplicate",
            "Duplicate",
            CHANGE,
            "A copy under a name of its own is added, switched off.",
            lambda row, actor: services.duplicate_mapping(row, actor=actor),
            "mapping.duplicated",
            limit=1,
        ),
    )

    def describe(self, row: Mapping) -> str:
        return f"{row.name} ({row.action}, destination {row.destination.slug})"

    def links(self, row: Mapping) -> Sequence[tuple[str, str]]:
        return [("Change", reverse("admin:mapping_edit", args=[row.pk]))]

    @admin.display(description="versions")
    def versions(self, row: Mapping) -> SafeString:
        return listed(versions_of(MappingVersion, "mapping", row))


@admin.register(MappingVersion, site=site)
class MappingVersionAdmin(ContentShown, VersionAdmin):
    of = "mapping"
    list_display = ("name", "version", "mapping", "workspace", "action", "created_at", "created_by")
    list_select_related = ("mapping", "workspace", "created_by")
    fields = (
        *("workspace", "mapping", "version", "name", "action", "trigger_shown", "in_words", "fields_shown", "batch"),
        *("created_at", "created_by", "changes", "to_present"),
    )
    acts = (
        noted(
            "restore",
            "Restore",
            CHANGE,
            "The mapping becomes what it was in this version. That is a new version; none is lost.",
            lambda row, actor: services.restore_mapping(row.mapping, row.version, actor=actor),
            "mapping.version_chosen",
            limit=1,
        ),
    )

    def content(self, row: Mapping | MappingVersion) -> dict[str, Any]:
        return content_of(row, CONTENT)
