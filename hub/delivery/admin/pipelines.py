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
from hub.delivery.admin.words import explain
from hub.delivery.lag import Backlog, backlog_of, in_words
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
        "part",
        "state",
        "waiting",
        "oldest",
        "to_drain",
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
        *("workspace_name", "destination_name", "kind", "part", "state", "waiting", "oldest", "to_drain"),
        *("backlog_told_at", "retrying", "held_until"),
        *("held_reason", "held_in_words", "circuit", "circuit_opened_at", "circuit_probes", "circuit_reopened"),
        *("circuit_told_at", "unauthorized_count", "streak_reason", "streak_since", "streak_count"),
        *("learned_items", "learned_bytes", "learned_at", "learned_rate", "learned_rate_at", "rate_before"),
        *("is_slow", "cursor", "floor_seq", "lease_until", "owner", "fence", "next_run_at"),
        *("last_success_at", "last_failure_at", "failure_in_full", "created_at"),
    )

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        lags = backlog_of([row.pk for row in rows])
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

    @admin.display(description="shard")
    def part(self, row: Pipeline) -> str:
        """Which share of the users it reads, and whether it is on its way to the place where shards are dealt anew."""
        if row.kind == Pipeline.Kind.REPLAY:
            return "replay"
        place = f"{row.shard + 1} of {row.shard_count}" if row.shard_count > 1 else "–"
        return f"{place}, until {row.until_xid}" if row.until_xid is not None else place

    @admin.display(description="state")
    def state(self, row: Pipeline) -> SafeString:
        word = state_of(row)
        return format_html('<span class="state state-{}">{} {}</span>', word, STATES[word], word)

    @admin.display(description="waiting (about)")
    def waiting(self, row: Any) -> str:
        lag: Backlog = row.lag
        return f"{lag.waiting:,}"

    @admin.display(description="oldest waiting")
    def oldest(self, row: Any) -> str:
        lag: Backlog = row.lag
        return f"{timesince(lag.since, clock.now(), depth=1)}" if lag.since else "–"

    @admin.display(description="time to drain")
    def to_drain(self, row: Any) -> str:
        lag: Backlog = row.lag
        return in_words(lag.seconds_to_drain) if lag.waiting else "–"

    @admin.display(description="retry rows")
    def retrying(self, row: Any) -> str:
        lag: Backlog = row.lag
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
