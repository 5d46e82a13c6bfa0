"""What failed: rows that will be tried again, and dead letters; with the acts that help them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.adminsite.base import text_column
from hub.adminsite.filters import ChoiceFilter, TextFilter, TimeRange
from hub.adminsite.site import site
from hub.adminsite.text import cell, pseudonym, visible, without_contacts
from hub.delivery.admin.columns import EventAdmin
from hub.delivery.admin.repairing import DISCARD, RETRY, RETRY_NOW, act_of
from hub.delivery.admin.replaying import REPLAY_TO
from hub.delivery.models import DeadLetter, Pipeline, RetryRow
from hub.events.admin.events import is_revealed
from hub.events.admin.search import HELP
from tenants.admin.named import DestinationFilter, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin


class ReasonFilter(TextFilter):
    title = "reason"
    parameter = "reason"
    placeholder = "timeout"


class SignatureFilter(TextFilter):
    title = "signature"
    parameter = "signature"
    placeholder = "422 unprocessable"


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


class FailureAdmin(EventAdmin):
    """What retry rows and dead letters have in common."""

    search_fields = ("seq",)
    search_help_text = HELP

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("pipeline")

    def describe(self, row: Any) -> str:
        return f"event {row.seq} to {self.destination_name(row)}: {row.reason or 'no reason'}, {row.attempts} tries"

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
    acts = (act_of(RETRY_NOW),)
    owner = "pipeline_id"

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
    list_filter = (TimeRange, WorkspaceFilter, DestinationFilter, SeenToFilter, ReasonFilter, SignatureFilter)
    fields = (
        *("id", "at", "workspace_name", "source_name", "destination_name", "mapping_name", "event", "message_id_shown"),
        *("person", "day", "reason_shown", "reason_in_words", "status_code", "signature_shown", "message_in_full"),
        *("attempts", "first_at", "discarded_at"),
    )
    acts = (act_of(RETRY), act_of(DISCARD), REPLAY_TO)

    message_id_shown = text_column("message_id", "message id", 255)
    signature_shown = text_column("signature", "signature", 200)

    @admin.display(description="message")
    def message_shown(self, row: DeadLetter) -> str:
        return cell(without_contacts(row.message))

    @admin.display(description="message")
    def message_in_full(self, row: DeadLetter) -> str:
        return visible(row.message if is_revealed(row) else without_contacts(row.message)) or "–"
