"""Partitions of the log: which is being filled, which wait, which are sealed, how big they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from hub.adminsite.base import LogAdmin
from hub.adminsite.site import site
from hub.events.models import Partition
from hub.events.partitions import Bounds, child_name

SIZES = """
SELECT c.relname, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint
FROM pg_class c WHERE c.relname = ANY(%s) AND c.relkind = 'r'
"""


@admin.register(Partition, site=site)
class PartitionAdmin(LogAdmin):
    list_display = (
        "number",
        "state",
        "seq_from",
        "seq_until",
        "rows",
        "size",
        "first_received_at",
        "last_received_at",
        "sealed_at",
        "dropped_at",
    )
    list_filter = (("sealed_at", admin.EmptyFieldListFilter), ("dropped_at", admin.EmptyFieldListFilter))
    fields = list_display

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        names = {row.number: child_name("event_log", Bounds(row.number, row.seq_from, row.seq_until)) for row in rows}
        with connection.cursor() as cursor:
            cursor.execute(SIZES, [list(names.values())])
            sizes = {name: (size, count) for name, size, count in cursor.fetchall()}
            cursor.execute("SELECT last_value FROM event_log_seq")
            position = cursor.fetchone()[0]
        for row in rows:
            row.measured = sizes.get(names[row.number])
            row.is_current = row.seq_from <= position < row.seq_until

    @admin.display(description="state")
    def state(self, row: Any) -> str:
        if row.dropped_at:
            return "dropped"
        if row.sealed_at:
            return "sealed"
        return "being filled" if row.is_current else "waiting"

    @admin.display(description="rows")
    def rows(self, row: Any) -> str:
        if row.row_count is not None:
            return f"{row.row_count:,}"
        return f"about {row.measured[1]:,}" if row.measured else "–"

    @admin.display(description="size")
    def size(self, row: Any) -> str:
        return filesizeformat(row.measured[0]) if row.measured else "–"
