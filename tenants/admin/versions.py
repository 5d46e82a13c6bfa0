"""Versions of mappings and filters on pages: the list of them, one of them, and what tells two of them apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.text import cell, clip
from tenants.differences import Difference, differences

VERSIONS_SHOWN = 50
DIFFERENCES_SHOWN = 100
TABLE = (
    '<div class="results"><table><thead><tr><th scope="col">Place</th><th scope="col">Change</th>'
    '<th scope="col">Before</th><th scope="col">After</th></tr></thead><tbody>{}</tbody></table></div>'
)
ROW = '<tr><th scope="row"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>'
ITEM = '<li><a href="{}">Version {}</a>, {}{}</li>'


class VersionAdmin(ReadOnlyAdmin):
    """One version, beside the one before it and beside how things stand. `of` is the field that names its owner."""

    search_fields = ("workspace__slug__exact",)
    search_help_text = "Exact slug of a workspace."
    ordering = ("-pk",)
    of = ""

    def content(self, row: Any) -> dict[str, Any]:
        """What is compared, of a version or of its owner."""
        raise NotImplementedError

    @admin.display(description="changed since the version before")
    def changes(self, row: Any) -> SafeString:
        before = versions_of(self.model, self.of, getattr(row, self.of)).filter(version__lt=row.version).first()
        return compared(self.content(before) if before else None, self.content(row), "Nothing.")

    @admin.display(description="from here to the present")
    def to_present(self, row: Any) -> SafeString:
        return compared(self.content(row), self.content(getattr(row, self.of)), f"This is how the {self.of} stands.")


def versions_of(model: Any, of: str, owner: Any) -> QuerySet[Any]:
    """The versions of a mapping or filter, newest first."""
    known: QuerySet[Any] = model.objects.for_workspace(owner.workspace_id)
    return known.filter(**{of: owner}).order_by("-version")


def listed(versions: QuerySet[Any]) -> SafeString:
    """The newest versions as links, each with when and by whom it was made."""
    shown = versions.select_related("created_by")[:VERSIONS_SHOWN]
    lines = [(_address(one), one.version, one.created_at.isoformat(" ", "seconds"), _author(one)) for one in shown]
    return format_html("<ul>{}</ul>", format_html_join("", ITEM, lines)) if lines else SafeString("–")


def compared(before: Mapping[str, Any] | None, after: Mapping[str, Any], when_same: str) -> SafeString:
    """The differences of two contents as a table; without an earlier one there is nothing to compare."""
    if before is None:
        return SafeString("This is the first version.")
    found = differences(before, after)
    if not found:
        return SafeString(when_same)
    rows = format_html_join("", ROW, [_row(one) for one in found[:DIFFERENCES_SHOWN]])
    return format_html(TABLE, rows)


def _row(one: Difference) -> tuple[str, str, str, str]:
    before = _shown(one.before) if one.kind != "added" else "–"
    after = _shown(one.after) if one.kind != "removed" else "–"
    return clip(one.path, 200), one.kind, before, after


def _shown(value: object) -> str:
    return cell(json.dumps(value, ensure_ascii=False, default=str), 300)


def _address(version: Model) -> str:
    return reverse(f"admin:tenants_{version._meta.model_name}_change", args=[version.pk])


def _author(version: Any) -> str:
    return f", by {version.created_by.email}" if version.created_by else ""
