"""Versions of mappings and filters on pages: the list of them, and what tells two of them apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from hub.adminsite.text import cell, clip
from tenants.differences import Difference, differences

SHOWN = 100
TABLE = (
    '<div class="results"><table><thead><tr><th scope="col">Place</th><th scope="col">Change</th>'
    '<th scope="col">Before</th><th scope="col">After</th></tr></thead><tbody>{}</tbody></table></div>'
)
ROW = '<tr><th scope="row"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>'
ITEM = '<li><a href="{}">Version {}</a>, {}{}</li>'


def listed(versions: Iterable[Any]) -> SafeString:
    """The versions as links, each with when and by whom it was made."""
    lines = [(_address(one), one.version, one.created_at.isoformat(" ", "seconds"), _author(one)) for one in versions]
    return format_html("<ul>{}</ul>", format_html_join("", ITEM, lines)) if lines else SafeString("–")


def compared(before: Mapping[str, Any] | None, after: Mapping[str, Any], when_same: str) -> SafeString:
    """The differences of two contents as a table; without an earlier one there is nothing to compare."""
    if before is None:
        return SafeString("This is the first version.")
    found = differences(before, after)
    if not found:
        return SafeString(when_same)
    rows = format_html_join("", ROW, [_row(one) for one in found[:SHOWN]])
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
