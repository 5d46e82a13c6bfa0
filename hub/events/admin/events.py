"""Events of the log: what was accepted, masked until somebody who may asks to see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.adminsite.filters import ChoiceFilter, TextFilter
from hub.adminsite.site import site
from hub.adminsite.text import MASK, block, cell, masked, pretty, pseudonym, visible
from hub.events.admin.ranges import ReceivedRange
from hub.events.admin.search import HELP, find_seqs
from hub.events.models import Event
from hub.events.spec import CallType
from tenants.admin.named import NamedLogAdmin, SourceFilter, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin

FLAGS = (
    (Event.HAS_INTEGRATIONS, "names destinations itself"),
    (Event.CLEANED, "text or numbers were repaired"),
    (Event.CLIENT_SIDE, "sent by a browser or an app"),
    (Event.NO_MESSAGE_ID, "came without a message id"),
)


class TypeFilter(ChoiceFilter):
    title = "type"
    parameter = "type"
    options = tuple((str(call), str(call)) for call in CallType)


class EventNameFilter(TextFilter):
    title = "event name"
    parameter = "event_name"
    placeholder = "Order Completed"


@admin.register(Event, site=site)
class EventAdmin(NamedLogAdmin, PayloadAdmin):
    list_display = (
        "seq",
        "received_at",
        "workspace_name",
        "source_name",
        "type",
        "event_shown",
        "person",
        "message_shown",
        "trace_link",
    )
    list_filter = (ReceivedRange, WorkspaceFilter, SourceFilter, TypeFilter, EventNameFilter)
    search_fields = ("seq",)
    search_help_text = HELP
    fields = (
        *("seq", "workspace_name", "source_name", "received_at", "type", "event_in_full", "message_in_full", "person"),
        *("user_shown", "anonymous_shown", "flags_in_words", "epoch", "xid", "body_shown"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        match = request.resolver_match
        is_list = match is not None and "object_id" not in match.kwargs
        return super().get_queryset(request).defer("body") if is_list else super().get_queryset(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        text = search_term.strip()
        return (queryset.filter(seq__in=find_seqs(text)) if text else queryset), False

    def links(self, row: Event) -> Sequence[tuple[str, str]]:
        return [("Trace of this event", trace_address(row.seq))]

    @admin.display(description="event")
    def event_shown(self, row: Event) -> str:
        return cell(row.event_name)

    @admin.display(description="message id")
    def message_shown(self, row: Event) -> str:
        return cell(row.message_id, 40)

    @admin.display(description="event name")
    def event_in_full(self, row: Event) -> SafeString | str:
        return block(row.event_name) if row.event_name is not None else "–"

    @admin.display(description="message id")
    def message_in_full(self, row: Event) -> SafeString:
        return block(row.message_id)

    @admin.display(description="person")
    def person(self, row: Event) -> str:
        return pseudonym(row.user_key)

    @admin.display(description="user id")
    def user_shown(self, row: Event) -> str:
        return _private(row, row.user_id)

    @admin.display(description="anonymous id")
    def anonymous_shown(self, row: Event) -> str:
        return _private(row, row.anonymous_id)

    @admin.display(description="remarks")
    def flags_in_words(self, row: Event) -> str:
        return ", ".join(words for flag, words in FLAGS if row.flags & flag) or "–"

    @admin.display(description="body")
    def body_shown(self, row: Event) -> SafeString:
        body = json.loads(row.body) if row.body else None
        return pretty(body if is_revealed(row) else masked(body))

    @admin.display(description="trace")
    def trace_link(self, row: Event) -> SafeString:
        return format_html('<a href="{}">Trace</a>', trace_address(row.seq))


def trace_address(seq: int) -> str:
    """Where everything that happened to an event is told; the page is delivery's."""
    return reverse("admin:events_event_trace", args=[seq])


def is_revealed(row: Any) -> bool:
    return bool(getattr(row, "is_revealed", False))


def _private(row: Event, value: str | None) -> str:
    if value is None:
        return "–"
    return visible(value) if is_revealed(row) else MASK
