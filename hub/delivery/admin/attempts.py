"""Attempts with request and answer, and batches: what each commit decided."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from connectors.http import Outcome
from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import block, pretty
from hub.delivery.admin.columns import EventAdmin, LeanListAdmin
from hub.delivery.admin.exchanges import exchange_block
from hub.delivery.listing import unpack
from hub.delivery.models import Attempt, Batch
from hub.events.admin.events import is_revealed
from hub.events.admin.ranges import DecidedRange
from tenants.admin.named import DestinationFilter, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin

BATCH_SHOWN = 200


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
        "is_retry",
        "seq_min",
        "seq",
    )
    list_filter = (DecidedRange, WorkspaceFilter, DestinationFilter)
    fields = (
        *("id", "at", "workspace_name", "destination_name", "pipeline_id", "fence", "is_retry", "event_count"),
        *("delivered", "filtered", "failed", "seq_min", "seq", "versions", "ended"),
    )
    deferred = ("mappings", "seqs", "outcomes", "reasons", "statuses", "durations")

    @admin.display(description="rules in force")
    def versions(self, row: Batch) -> SafeString:
        return pretty(row.mappings)

    @admin.display(description="events that ended (the last 200)")
    def ended(self, row: Batch) -> SafeString:
        lines = [
            f"{one.seq}  {one.status}  {one.status_code or ''}  {one.reason}  {one.duration_ms} ms"
            for one in islice(unpack(row), BATCH_SHOWN)
        ]
        return block("\n".join(lines) or "none")
