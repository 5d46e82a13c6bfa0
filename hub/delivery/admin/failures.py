"""What failed: rows that will be tried again, and dead letters; with the acts that help them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.acts import Act
from hub.adminsite.base import text_column
from hub.adminsite.filters import ChoiceFilter, TextFilter, TimeRange
from hub.adminsite.site import site
from hub.adminsite.text import cell, pseudonym, visible, without_contacts
from hub.delivery import services
from hub.delivery.admin.words import explain
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.events.admin.events import is_revealed, trace_address
from hub.events.admin.search import HELP, find_seqs
from tenants.admin.acting import actor_of
from tenants.admin.named import DestinationFilter, NamedLogAdmin, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin


def _retry_now(request: HttpRequest, rows: Sequence[RetryRow], reason: str) -> str:
    done = services.retry_now(rows, actor_of(request), reason)
    parked = done.asked - done.changed
    return f"{done.changed:,} of {done.asked:,} are due now." + (
        f" {parked:,} wait for an earlier event of the same user, or for the receiver." if parked else ""
    )


def _revive(request: HttpRequest, rows: Sequence[DeadLetter], reason: str) -> str:
    done = services.revive(rows, actor_of(request), reason)
    return f"{done.changed:,} of {done.asked:,} wait again and are tried at once."


def _discard(request: HttpRequest, rows: Sequence[DeadLetter], reason: str) -> str:
    done = services.discard(rows, actor_of(request), reason)
    return f"{done.changed:,} of {done.asked:,} marked as seen to."


class ReasonFilter(TextFilter):
    title = "reason"
    parameter = "reason"
    placeholder = "timeout"


class PipelinesDestinationFilter(DestinationFilter):
    """By the destination's pipelines, which is what the table has an index for."""

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        found = self.target._default_manager.filter(slug=value).values_list("pk", flat=True)[:1000]
        pipelines = Pipeline.objects.filter(destination_id__in=list(found)).values_list("pk", flat=True)
        return queryset.filter(pipeline_id__in=list(pipelines))


class FirstRange(TimeRange):
    title = "first try"
    column = "first_at"


class StateFilter(ChoiceFilter):
    title = "state"
    parameter = "state"
    options = tuple((str(value), str(label).lower()) for value, label in RetryRow.State.choices)


class SeenToFilter(ChoiceFilter):
    title = "seen to"
    parameter = "seen_to"
    options = (("no", "no"), ("yes", "yes, discarded"))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(discarded_at__isnull=value == "no")


class FailureAdmin(NamedLogAdmin):
    """What retry rows and dead letters have in common."""

    search_fields = ("seq",)
    search_help_text = HELP

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("pipeline")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        return (self.about_events(queryset, find_seqs(text)) if text else queryset), False

    def about_events(self, queryset: QuerySet[Any], seqs: list[int]) -> QuerySet[Any]:
        """The rows about these events, by an index that the table has."""
        pipelines = list(Pipeline.objects.values_list("pk", flat=True)[:10_000])
        return queryset.filter(pipeline_id__in=pipelines, seq__in=seqs)

    def describe(self, row: Any) -> str:
        return f"event {row.seq} to {self.destination_name(row)}: {row.reason or 'no reason'}, {row.attempts} tries"

    def links(self, row: Any) -> Sequence[tuple[str, str]]:
        return [("Trace of its event", trace_address(row.seq))]

    @admin.display(description="event")
    def event(self, row: Any) -> SafeString:
        return trace_link(row.seq)

    @admin.display(description="reason")
    def reason_shown(self, row: Any) -> str:
        return cell(row.reason, 40)

    @admin.display(description="meaning")
    def reason_in_words(self, row: Any) -> str:
        return explain(row.reason) or "–"

    @admin.display(description="person")
    def person(self, row: Any) -> str:
        return pseudonym(row.user_key)


@admin.register(RetryRow, site=site)
class RetryRowAdmin(FailureAdmin):
    list_display = (
        "id",
        "workspace_name",
        "destination_name",
        "event",
        "state",
        "attempts",
        "reason_shown",
        "status_code",
        "first_at",
        "next_run_at",
    )
    list_filter = (FirstRange, WorkspaceFilter, PipelinesDestinationFilter, StateFilter, ReasonFilter)
    fields = (
        *("id", "workspace_name", "source_name", "destination_name", "mapping_name", "event", "person", "day"),
        *(
            "state",
            "attempts",
            "reason_shown",
            "reason_in_words",
            "status_code",
            "first_at",
            "next_run_at",
            "job_shown",
        ),
    )
    acts = (
        Act(
            "retry_now",
            "Retry now",
            "delivery.change_retryrow",
            "They are tried at once instead of at their time. The receiver may get many requests at the same moment.",
            _retry_now,
        ),
    )

    job_shown = text_column("job_id", "job id", 200)


@admin.register(DeadLetter, site=site)
class DeadLetterAdmin(FailureAdmin, PayloadAdmin):
    list_display = (
        "id",
        "at",
        "workspace_name",
        "destination_name",
        "event",
        "reason_shown",
        "status_code",
        "message_shown",
        "attempts",
        "discarded_at",
    )
    list_filter = (TimeRange, WorkspaceFilter, DestinationFilter, SeenToFilter, ReasonFilter)
    fields = (
        *("id", "at", "workspace_name", "source_name", "destination_name", "mapping_name", "event", "message_id_shown"),
        *("person", "day", "reason_shown", "reason_in_words", "status_code", "message_in_full", "attempts"),
        *("first_at", "discarded_at"),
    )
    acts = (
        Act(
            "revive",
            "Retry",
            "delivery.change_deadletter",
            "They go back to waiting, are tried at once and for the destination's full time again.",
            _revive,
        ),
        Act(
            "discard",
            "Discard",
            "delivery.change_deadletter",
            "They are marked as seen to and are not tried again. They stay dead in the books.",
            _discard,
        ),
    )

    message_id_shown = text_column("message_id", "message id", 255)

    def about_events(self, queryset: QuerySet[Any], seqs: list[int]) -> QuerySet[Any]:
        destinations = list(Pipeline.objects.values_list("destination_id", flat=True)[:10_000])
        return queryset.filter(destination_id__in=destinations, seq__in=seqs)

    @admin.display(description="message")
    def message_shown(self, row: DeadLetter) -> str:
        return cell(without_contacts(row.message))

    @admin.display(description="message")
    def message_in_full(self, row: DeadLetter) -> str:
        return visible(row.message if is_revealed(row) else without_contacts(row.message)) or "–"


def trace_link(seq: int) -> SafeString:
    """The event's number, leading to its trace."""
    return format_html('<a href="{}">{}</a>', trace_address(seq), seq)
