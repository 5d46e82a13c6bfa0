"""Filters with their versions, and the toggles of sources: looked at, compared, switched, moved, and brought back.

Delivery registers the filter itself, for it can tell how many events one concerns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin, text_column
from hub.adminsite.site import site
from hub.adminsite.text import block, pretty
from tenants import services
from tenants.admin.acting import noted
from tenants.admin.versions import VersionAdmin, listed, versions_of
from tenants.admin.wording import condition_in_words
from tenants.models import DestinationFilter, FilterVersion, SourceToggle
from tenants.services.filters import CONTENT
from tenants.services.versions import content_of

CHANGE = "tenants.change_destinationfilter"
CHANGE_TOGGLE = "tenants.change_sourcetoggle"
ACTED = ("action", "percent", "path", "keys_shown")


class ContentShown:
    """What a filter and each of its versions consist of."""

    @admin.display(description="source")
    def source_shown(self, row: DestinationFilter | FilterVersion) -> str:
        return row.source.slug if row.source is not None else "all sources"

    @admin.display(description="condition")
    def condition_shown(self, row: DestinationFilter | FilterVersion) -> SafeString:
        return block(row.condition)

    @admin.display(description="in words")
    def in_words(self, row: DestinationFilter | FilterVersion) -> SafeString:
        return block(condition_in_words(row.condition))

    @admin.display(description="keys")
    def keys_shown(self, row: DestinationFilter | FilterVersion) -> SafeString:
        return pretty(row.fields)


class FilterAdmin(ContentShown, ReadOnlyAdmin):
    """A filter with its versions."""

    list_display = (
        *("name", "destination", "source_shown", "workspace", "action", "position", "is_enabled", "version"),
    )
    list_select_related = ("destination", "workspace", "source")
    list_filter = ("action", "is_enabled")
    search_fields = ("destination__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the destination or of its workspace."
    ordering = ("workspace__slug", "destination__slug", "position", "pk")
    fields = (
        *("workspace", "destination", "source_shown", "name", "condition_shown", "in_words", *ACTED),
        *("position", "is_enabled", "version", "created_at", "versions"),
    )
    acts = (
        noted(
            "enable",
            "Switch on",
            CHANGE,
            "It acts on whatever is sent from now on, also on what waits already.",
            lambda row, actor: services.set_filter_enabled(row, True, actor=actor),
            "filter.switched",
        ),
        noted(
            "disable",
            "Switch off",
            CHANGE,
            "What it holds back goes out from now on. What it has filtered already stays filtered; a replay sends it.",
            lambda row, actor: services.set_filter_enabled(row, False, actor=actor),
            "filter.switched",
        ),
        noted(
            "move_up",
            "Move up",
            CHANGE,
            "Of the filters with its action it is asked one place earlier.",
            lambda row, actor: services.move_filter(row, -1, actor=actor),
            "filter.moved",
            limit=1,
        ),
        noted(
            "move_down",
            "Move down",
            CHANGE,
            "Of the filters with its action it is asked one place later.",
            lambda row, actor: services.move_filter(row, 1, actor=actor),
            "filter.moved",
            limit=1,
        ),
    )

    def describe(self, row: DestinationFilter) -> str:
        return f"{row.name} ({row.action}, destination {row.destination.slug})"

    def links(self, row: DestinationFilter) -> Sequence[tuple[str, str]]:
        return [("Change", reverse("admin:filter_edit", args=[row.pk]))]

    @admin.display(description="versions")
    def versions(self, row: DestinationFilter) -> SafeString:
        return listed(versions_of(FilterVersion, "filter", row))


@admin.register(FilterVersion, site=site)
class FilterVersionAdmin(ContentShown, VersionAdmin):
    of = "filter"
    list_display = ("name", "version", "filter", "workspace", "action", "created_at", "created_by")
    list_select_related = ("filter", "workspace", "created_by", "source")
    fields = (
        *("workspace", "filter", "version", "source_shown", "name", "condition_shown", "in_words", *ACTED),
        *("created_at", "created_by", "changes", "to_present"),
    )
    acts = (
        noted(
            "restore",
            "Restore",
            CHANGE,
            "The filter becomes what it was in this version. That is a new version; none is lost.",
            lambda row, actor: services.restore_filter(row.filter, row.version, actor=actor),
            "filter.version_chosen",
            limit=1,
        ),
    )

    def content(self, row: DestinationFilter | FilterVersion) -> dict[str, Any]:
        """With the source in a form that a page can show."""
        content = content_of(row, CONTENT)
        source_id = content.pop("source_id")
        return {**content, "source": str(source_id) if source_id else "all"}


@admin.register(SourceToggle, site=site)
class SourceToggleAdmin(ReadOnlyAdmin):
    list_display = ("call", "event_shown", "source", "destination", "workspace", "kept_back", "is_enabled")
    list_select_related = ("source", "destination", "workspace")
    list_filter = ("is_enabled", "call")
    search_fields = ("destination__slug__exact", "source__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the destination, of the source or of the workspace."
    ordering = ("workspace__slug", "destination__slug", "source__slug", "call", "event_name")
    fields = (
        *("workspace", "source", "destination", "call", "event_in_full", "paths_shown"),
        *("is_enabled", "created_at"),
    )
    acts = (
        noted(
            "enable",
            "Put in force",
            CHANGE_TOGGLE,
            "What it names does not go to the destination from now on, also of what waits already.",
            lambda row, actor: services.set_toggle_enabled(row, True, actor=actor),
            "toggle.switched",
        ),
        noted(
            "disable",
            "Let through",
            CHANGE_TOGGLE,
            "What it names goes to the destination again, from now on.",
            lambda row, actor: services.set_toggle_enabled(row, False, actor=actor),
            "toggle.switched",
        ),
    )

    event_shown = text_column("event_name", "event")
    event_in_full = text_column("event_name", "event", 200)

    def describe(self, row: SourceToggle) -> str:
        return f"{row} from {row.source.slug} to {row.destination.slug}"

    def links(self, row: SourceToggle) -> Sequence[tuple[str, str]]:
        return [("Change", reverse("admin:toggle_edit", args=[row.pk]))]

    @admin.display(description="kept back")
    def kept_back(self, row: SourceToggle) -> str:
        return "the whole event" if row.paths is None else f"{len(row.paths)} properties"

    @admin.display(description="properties")
    def paths_shown(self, row: SourceToggle) -> SafeString:
        return pretty(row.paths)
