"""Messages that were refused: a sample for each source and minute, kept for seven days."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.adminsite.filters import TextFilter, TimeRange
from hub.adminsite.site import site
from hub.adminsite.text import MASK, block, cell
from hub.events.admin.events import is_revealed
from hub.events.models import Rejected
from tenants.admin.named import NamedLogAdmin, SourceFilter, WorkspaceFilter
from tenants.admin.payloads import PayloadAdmin


class CodeFilter(TextFilter):
    title = "code"
    parameter = "code"
    placeholder = "payload_too_large"


@admin.register(Rejected, site=site)
class RejectedAdmin(NamedLogAdmin, PayloadAdmin):
    list_display = ("id", "at", "workspace_name", "source_name", "code", "type_shown", "event_shown", "message_shown")
    list_filter = (TimeRange, WorkspaceFilter, SourceFilter, CodeFilter)
    fields = (
        *("id", "at", "workspace_name", "source_name", "code", "type_shown", "event_shown", "message_shown"),
        "sample_shown",
    )

    @admin.display(description="type")
    def type_shown(self, row: Rejected) -> str:
        return cell(row.message_type)

    @admin.display(description="event")
    def event_shown(self, row: Rejected) -> str:
        return cell(row.event_name)

    @admin.display(description="message id")
    def message_shown(self, row: Rejected) -> str:
        return cell(row.message_id, 40)

    @admin.display(description="sample")
    def sample_shown(self, row: Rejected) -> SafeString | str:
        return block(row.sample) if is_revealed(row) else MASK
