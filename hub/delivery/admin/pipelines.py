"""Pipelines: where each stands, what holds it, who runs it, and how much waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import cell, visible
from hub.delivery.admin.words import explain
from hub.delivery.lag import Backlog, backlog_of, in_words
from hub.delivery.models import Pipeline
from hub.lib import clock
from tenants.admin.named import DestinationFilter, NamedAdmin, WorkspaceFilter
from tenants.models import Destination
from tenants.models.destination import Status

STATES = {"running": "▶", "idle": "✓", "held": "‖", "paused": "‖", "open": "✕", "ramp": "↗"}


class CircuitFilter(ChoiceFilter):
    title = "circuit"
    parameter = "circuit"
    options = tuple((str(value), str(value)) for value in Pipeline.Circuit.values)


class SlowFilter(ChoiceFilter):
    title = "queue"
    parameter = "queue"
    options = (("fast", "deliver_fast"), ("slow", "deliver_slow"))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(is_slow=value == "slow")


@admin.register(Pipeline, site=site)
class PipelineAdmin(NamedAdmin):
    list_display = (
        "id",
        "workspace_name",
        "destination_name",
        "part",
        "state",
        "held",
        "waiting",
        "oldest",
        "to_drain",
        "retrying",
        "lease",
        "last_success",
        "remarks",
    )
    list_filter = (CircuitFilter, SlowFilter, WorkspaceFilter, DestinationFilter)
    list_per_page = 100
    ordering = ("-pk",)
    sortable_by = ("id",)
    fields = (
        *("workspace_name", "destination_name", "kind", "part", "state", "waiting", "oldest", "to_drain"),
        *("pace", "backlog_told_at", "retrying", "order_breaks", "remarks", "held_until"),
        *("held_reason", "held_in_words", "circuit", "circuit_opened_at", "circuit_probes", "circuit_reopened"),
        *("circuit_told_at", "unauthorized_count", "streak_reason", "streak_since", "streak_count"),
        *("learned_items", "learned_bytes", "learned_at", "learned_rate", "learned_rate_at", "rate_before"),
        *("queue", "cursor", "floor_seq", "lease", "lease_until", "fence", "next_run_at", "crash_count"),
        *("last_success_at", "last_failure_at", "failure_in_full", "created_at"),
    )

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        lags = backlog_of([row.pk for row in rows])
        destinations = Destination.unscoped.in_bulk({row.destination_id for row in rows})
        for row in rows:
            row.lag = lags[row.pk]
            row.destination = destinations.get(row.destination_id)

    def describe(self, row: Any) -> str:
        lag: Backlog = row.lag
        return f"{self.destination_name(row)}, {state_of(row)}, about {lag.waiting:,} waiting"

    def links(self, row: Pipeline) -> Sequence[tuple[str, str]]:
        found = Destination.unscoped.filter(pk=row.destination_id).select_related("workspace").first()
        query = f"?destination={found.slug}&workspace={found.workspace.slug}" if found else ""
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

    @admin.display(description="waiting")
    def waiting(self, row: Any) -> str:
        lag: Backlog = row.lag
        return f"about {lag.waiting:,}" if lag.waiting else "0"

    @admin.display(description="oldest")
    def oldest(self, row: Any) -> str:
        lag: Backlog = row.lag
        return _ago(lag.since)

    @admin.display(description="drains in")
    def to_drain(self, row: Any) -> str:
        lag: Backlog = row.lag
        return in_words(lag.seconds_to_drain) if lag.waiting else "–"

    @admin.display(description="retries")
    def retrying(self, row: Any) -> str:
        lag: Backlog = row.lag
        return f"{lag.retrying:,}"

    @admin.display(description="held by")
    def held(self, row: Pipeline) -> SafeString | str:
        """Why it is not called, and for how long still."""
        if why := why_still(row):
            return cell(why, 45)
        if row.held_until is None or not is_held(row):
            return "–"
        left = in_words((row.held_until - clock.now()).total_seconds())
        return format_html('{}<br><span class="quiet">for {}</span>', cell(row.held_reason, 40), left)

    @admin.display(description="meaning")
    def held_in_words(self, row: Pipeline) -> str:
        return explain(row.held_reason) or "–"

    @admin.display(description="cursor")
    def cursor(self, row: Pipeline) -> str:
        return f"epoch {row.cursor_epoch}, transaction {row.cursor_xid}, seq {row.cursor_seq}"

    @admin.display(description="lease")
    def lease(self, row: Pipeline) -> SafeString | str:
        """Who runs it, and how long its lease still holds."""
        if row.lease_until is None:
            return "–"
        left = (row.lease_until - clock.now()).total_seconds()
        words = f"for {in_words(left)}" if left > 0 else f"ran out {in_words(-left)} ago"
        return format_html('{}<br><span class="quiet">{}</span>', cell(row.owner, 40), words)

    @admin.display(description="last success")
    def last_success(self, row: Pipeline) -> str:
        return f"{_ago(row.last_success_at)} ago" if row.last_success_at else "never"

    @admin.display(description="pace")
    def pace(self, row: Pipeline) -> str:
        if row.drain_rate:
            return f"{row.drain_rate:,.1f} events a second"
        return f"perhaps {row.busy_rate:,.1f} events a second: it never had much to do" if row.busy_rate else "–"

    @admin.display(description="queue")
    def queue(self, row: Pipeline) -> str:
        return "deliver_slow" if row.is_slow else "deliver_fast"

    @admin.display(description="remarks")
    def remarks(self, row: Pipeline) -> str:
        """What the receiver's refusals have taught, and whether order was ever broken."""
        found = [
            f"{row.learned_items:,} events a batch" if row.learned_items else "",
            f"{row.learned_bytes:,} bytes a batch" if row.learned_bytes else "",
            f"{row.learned_rate:,.1f} calls a second" if row.learned_rate else "",
            f"order broken {row.order_breaks:,} times" if row.order_breaks else "",
            f"{row.crash_count} workers died in it" if row.crash_count else "",
        ]
        return ", ".join(filter(None, found)) or "–"

    @admin.display(description="last failure")
    def failure_in_full(self, row: Pipeline) -> str:
        return visible(row.last_failure) or "–"


def _ago(at: datetime | None) -> str:
    return in_words(max(0.0, (clock.now() - at).total_seconds())) if at else "–"


def why_still(row: Any) -> str:
    """Why nobody takes it up though its time may have come: the destination is not in use, or a replay goes first."""
    destination: Destination | None = getattr(row, "destination", None)
    if destination is None or destination.deleted_at is not None:
        return "destination deleted"
    if not destination.is_enabled:
        return "destination disabled"
    if destination.status != Status.ACTIVE:
        return f"destination {destination.status}: {destination.status_reason}".rstrip(": ")
    return "waits for a replay" if row.held_by_replay else ""


def is_held(row: Pipeline) -> bool:
    return row.held_until is not None and row.held_until > clock.now()


def state_of(row: Pipeline) -> str:
    """One word for how the pipeline stands now."""
    if why_still(row):
        return "paused"
    if row.circuit == Pipeline.Circuit.OPEN:
        return "open"
    if is_held(row):
        return "held"
    if row.circuit == Pipeline.Circuit.RAMP:
        return "ramp"
    return "running" if row.lease_until is not None and row.lease_until > clock.now() else "idle"
