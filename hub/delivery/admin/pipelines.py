"""Pipelines: where each stands, what holds it, who runs it, and how much waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from hub.adminsite.site import site
from hub.adminsite.text import cell, visible
from hub.delivery.admin.lag import Lag, lag_of
from hub.delivery.admin.words import explain
from hub.delivery.models import Pipeline
from hub.lib import clock
from tenants.admin.named import DestinationFilter, NamedAdmin, WorkspaceFilter
from tenants.models import Destination

STATES = {"running": "▶", "idle": "✓", "held": "⏸", "open": "✕", "ramp": "↗"}


@admin.register(Pipeline, site=site)
class PipelineAdmin(NamedAdmin):
    list_display = (
        "id",
        "workspace_name",
        "destination_name",
        "state",
        "waiting",
        "oldest",
        "retrying",
        "held",
        "last_success_at",
        "failure",
    )
    list_filter = ("circuit", "is_slow", WorkspaceFilter, DestinationFilter)
    list_per_page = 100
    ordering = ("-pk",)
    sortable_by = ("id", "last_success_at")
    fields = (
        *("workspace_name", "destination_name", "shard", "state", "waiting", "oldest", "retrying", "held_until"),
        *("held_reason", "held_in_words", "circuit", "circuit_opened_at", "circuit_probes", "circuit_reopened"),
        *("unauthorized_count", "is_slow", "cursor", "floor_seq", "lease_until", "owner", "fence", "next_run_at"),
        *("last_success_at", "last_failure_at", "failure_in_full", "created_at"),
    )

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        lags = lag_of([row.pk for row in rows])
        for row in rows:
            row.lag = lags[row.pk]

    def links(self, row: Pipeline) -> Sequence[tuple[str, str]]:
        found = Destination.unscoped.filter(pk=row.destination_id).values_list("slug", flat=True).first()
        query = f"?destination={found}"
        return [
            ("Destination", reverse("admin:tenants_destination_change", args=[row.destination_id])),
            ("Dead letters", reverse("admin:delivery_deadletter_changelist") + query),
            ("Retry rows", reverse("admin:delivery_retryrow_changelist") + query),
        ]

    @admin.display(description="state")
    def state(self, row: Pipeline) -> SafeString:
        word = state_of(row)
        return format_html('<span class="state state-{}">{} {}</span>', word, STATES[word], word)

    @admin.display(description="waiting (at most)")
    def waiting(self, row: Any) -> str:
        lag: Lag = row.lag
        return f"{lag.waiting:,}"

    @admin.display(description="oldest waiting")
    def oldest(self, row: Any) -> str:
        lag: Lag = row.lag
        return f"{timesince(lag.oldest_at, clock.now(), depth=1)}" if lag.oldest_at else "–"

    @admin.display(description="retry rows")
    def retrying(self, row: Any) -> str:
        lag: Lag = row.lag
        return f"{lag.retrying:,}"

    @admin.display(description="held")
    def held(self, row: Pipeline) -> str:
        return cell(row.held_reason, 40) if is_held(row) else "–"

    @admin.display(description="meaning")
    def held_in_words(self, row: Pipeline) -> str:
        return explain(row.held_reason) or "–"

    @admin.display(description="cursor")
    def cursor(self, row: Pipeline) -> str:
        return f"epoch {row.cursor_epoch}, transaction {row.cursor_xid}, seq {row.cursor_seq}"

    @admin.display(description="last failure")
    def failure(self, row: Pipeline) -> str:
        return cell(row.last_failure, 60)

    @admin.display(description="last failure")
    def failure_in_full(self, row: Pipeline) -> str:
        return visible(row.last_failure) or "–"


def is_held(row: Pipeline) -> bool:
    return row.held_until is not None and row.held_until > clock.now()


def state_of(row: Pipeline) -> str:
    """One word for how the pipeline stands now."""
    if row.circuit == Pipeline.Circuit.OPEN:
        return "open"
    if is_held(row):
        return "held"
    if row.circuit == Pipeline.Circuit.RAMP:
        return "ramp"
    return "running" if row.lease_until is not None and row.lease_until > clock.now() else "idle"
