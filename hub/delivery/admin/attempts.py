"""Attempts with request and answer, and batches: what each commit decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from connectors.http import Outcome
from hub.adminsite.filters import ChoiceFilter
from hub.adminsite.site import site
from hub.adminsite.text import block, cell, pretty
from hub.delivery.admin.exchanges import masked_exchange
from hub.delivery.admin.failures import trace_link
from hub.delivery.admin.words import explain
from hub.delivery.listing import unpack
from hub.delivery.models import Attempt, Batch, Pipeline
from hub.events.admin.events import is_revealed, trace_address
from hub.events.admin.ranges import DecidedRange
from hub.events.admin.search import find_seqs
from tenants.admin.named import DestinationFilter, NamedLogAdmin, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin

BATCH_SHOWN = 200
BLOBS = ("mappings", "seqs", "outcomes", "reasons", "statuses", "durations")


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
class AttemptAdmin(NamedLogAdmin, PayloadAdmin):
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        match = request.resolver_match
        is_list = match is not None and "object_id" not in match.kwargs
        found: QuerySet[Attempt] = super().get_queryset(request)
        return found.defer("request", "response") if is_list else found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        if text.startswith("msg_"):
            return queryset.filter(delivery_id=text), False
        destinations = list(Pipeline.objects.values_list("destination_id", flat=True)[:10_000])
        return queryset.filter(destination_id__in=destinations, seq__in=find_seqs(text)), False

    def links(self, row: Attempt) -> Sequence[tuple[str, str]]:
        return [("Trace of its event", trace_address(row.seq))]

    @admin.display(description="event")
    def event(self, row: Attempt) -> SafeString:
        return trace_link(row.seq)

    @admin.display(description="reason")
    def reason_shown(self, row: Attempt) -> str:
        return cell(row.reason, 40)

    @admin.display(description="meaning")
    def reason_in_words(self, row: Attempt) -> str:
        return explain(row.reason) or "–"

    @admin.display(description="message id")
    def message_shown(self, row: Attempt) -> SafeString:
        return block(row.message_id)

    @admin.display(description="we sent")
    def request_shown(self, row: Attempt) -> SafeString:
        return _exchange(row, row.request)

    @admin.display(description="they answered")
    def response_shown(self, row: Attempt) -> SafeString:
        return _exchange(row, row.response)


@admin.register(Batch, site=site)
class BatchAdmin(NamedLogAdmin):
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        match = request.resolver_match
        is_list = match is not None and "object_id" not in match.kwargs
        found: QuerySet[Batch] = super().get_queryset(request)
        return found.defer(*BLOBS) if is_list else found

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


def _exchange(row: Attempt, text: str) -> SafeString:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        # Cut in its middle: still text, and treated as personal as a whole.
        return block(text) if is_revealed(row) else pretty(masked_exchange({"body": text}))
    return pretty(found if is_revealed(row) else masked_exchange(found))
