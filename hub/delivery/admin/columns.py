"""What the lists of delivery have in common: the event with its trace, the reason in words, wide columns left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.text import cell
from hub.delivery.admin.words import explain
from hub.delivery.models import Pipeline
from hub.events.admin.events import trace_address
from hub.events.admin.search import find_seqs
from tenants.admin.named import NamedLogAdmin

MOST_OWNERS = 10_000


class LeanListAdmin(NamedLogAdmin):
    """A model with wide columns, which its list does not read."""

    deferred: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        match = request.resolver_match
        is_list = match is not None and "object_id" not in match.kwargs
        found: QuerySet[Any] = super().get_queryset(request)
        return found.defer(*self.deferred) if is_list and self.deferred else found


class EventAdmin(LeanListAdmin):
    """Rows about one event each. The search finds them by an index that begins with `owner`."""

    owner = "destination_id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        column = "pk" if self.owner == "pipeline_id" else self.owner
        owners = list(Pipeline.objects.values_list(column, flat=True)[:MOST_OWNERS])
        return queryset.filter(**{f"{self.owner}__in": owners}, seq__in=find_seqs(text)), False

    def links(self, row: Any) -> Sequence[tuple[str, str]]:
        return [("Trace of its event", trace_address(row.seq))]

    @admin.display(description="event")
    def event(self, row: Any) -> SafeString:
        return format_html('<a href="{}">{}</a>', trace_address(row.seq), row.seq)

    @admin.display(description="reason")
    def reason_shown(self, row: Any) -> str:
        return cell(row.reason, 40)

    @admin.display(description="meaning")
    def reason_in_words(self, row: Any) -> str:
        return explain(row.reason) or "–"
