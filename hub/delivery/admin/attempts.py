"""Attempts with request and answer, and batches: what each commit decided."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from connectors.http import Outcome
from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import block, clip, pretty
from hub.delivery.admin.columns import EventAdmin, LeanListAdmin
from hub.delivery.admin.deliveries import ICONS
from hub.delivery.admin.exchanges import exchange_block
from hub.delivery.listing import DECIDED, unpack
from hub.delivery.models import Attempt, Batch
from hub.events.admin.events import is_revealed, trace_address
from hub.events.admin.ranges import DecidedRange
from tenants.admin.named import DestinationFilter, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin

BATCH_SHOWN = 200
ENDED = (
    '<div class="results"><table><thead><tr><th scope="col">Event</th><th scope="col">Outcome</th>'
    '<th scope="col" class="number">Code</th><th scope="col">Reason</th><th scope="col" class="number">Took</th>'
    "</tr></thead><tbody>{}</tbody></table></div>"
)
ENDED_ROW = (
    '<tr><th scope="row"><a href="{}">{}</a></th><td><span class="state state-{}">{} {}</span></td>'
    '<td class="number">{}</td><td>{}</td><td class="number">{}</td></tr>'
)


class OutcomeFilter(ChoiceFilter):
    title = "outcome"
    parameter = "outcome"
    options = tuple((outcome.value, outcome.value) for outcome in Outcome)


class CodeClassFilter(ChoiceFilter):
    title = "HTTP status"
    parameter = "code"
    options = (("0", "no answer"), ("2", "2xx"), ("3", "3xx"), ("4", "4xx"), ("5", "5xx"))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value.isdigit() or len(value) != 1:
            return queryset.none()
        low = int(value) * 100
        return queryset.filter(status_code__gte=low, status_code__lt=low + 100)


@admin.register(Attempt, site=site)
class AttemptAdmin(EventAdmin, PayloadAdmin):
    list_display = (
        "id",
        "at",
        "workspace_name",
        "destination_name",
        "event",
        "attempt",
        "outcome",
        "status_code",
        "reason_shown",
        "duration_ms",
    )
    list_filter = (DecidedRange, WorkspaceFilter, DestinationFilter, OutcomeFilter, CodeClassFilter)
    search_fields = ("delivery_id",)
    search_help_text = "Exact delivery id (msg_…), exact message id or user id, or the event's number in the log."
    fields = (
        *("id", "at", "workspace_name", "destination_name", "mapping_name", "event", "delivery_id", "message_shown"),
        *("attempt", "outcome", "reason_shown", "reason_in_words", "status_code", "duration_ms", "worker"),
        *("request_shown", "response_shown"),
    )
    deferred = ("request", "response")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if text.startswith("msg_"):
            return queryset.filter(delivery_id=text), False
        return super().get_search_results(request, queryset, text)

    @admin.display(description="message id")
    def message_shown(self, row: Attempt) -> SafeString:
        return block(row.message_id)

    @admin.display(description="we sent")
    def request_shown(self, row: Attempt) -> SafeString:
        return exchange_block(row.request, is_open=is_revealed(row))

    @admin.display(description="they answered")
    def response_shown(self, row: Attempt) -> SafeString:
        return exchange_block(row.response, is_open=is_revealed(row))


@admin.register(Batch, site=site)
class BatchAdmin(LeanListAdmin):
    list_display = (
        "id",
        "at",
        "workspace_name",
        "destination_name",
        "event_count",
        "delivered",
        "filtered",
        "failed",
        "kind",
        "seq_min",
        "seq",
    )
    list_filter = (DecidedRange, WorkspaceFilter, DestinationFilter)
    fields = (
        *("id", "at", "workspace_name", "destination_name", "pipeline", "fence", "kind", "event_count"),
        *("delivered", "filtered", "failed", "seq_min", "seq", "versions", "ended"),
    )
    deferred = ("mappings", "seqs", "outcomes", "reasons", "statuses", "durations")
    when_empty = "Nothing has been sent or filtered yet."

    def describe(self, row: Batch) -> str:
        return f"{row.delivered:,} delivered, {row.filtered:,} filtered, {row.failed:,} failed"

    @admin.display(description="kind")
    def kind(self, row: Batch) -> str:
        return "retries" if row.is_retry else "new events"

    @admin.display(description="pipeline")
    def pipeline(self, row: Batch) -> SafeString:
        address = reverse("admin:delivery_pipeline_change", args=[row.pipeline_id])
        return format_html('<a href="{}">{}</a>', address, row.pipeline_id)

    @admin.display(description="rules in force")
    def versions(self, row: Batch) -> SafeString:
        return pretty(row.mappings)

    @admin.display(description="what became of its events (the last 200)")
    def ended(self, row: Batch) -> SafeString:
        lines = [
            (trace_address(one.seq), one.seq, one.status, ICONS[one.status], one.status,
             one.status_code or "–", clip(one.reason, 60) or "–", f"{one.duration_ms} ms")
            for one in islice(unpack(row, words=DECIDED), BATCH_SHOWN)
        ]  # fmt: skip
        return format_html(ENDED, format_html_join("", ENDED_ROW, lines)) if lines else SafeString("none")
