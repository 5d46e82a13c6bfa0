"""Names for ids: log tables hold plain ids, so a page looks the names of all its rows up at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from hub.adminsite.base import LogAdmin, ReadOnlyAdmin
from hub.adminsite.filters import TextFilter
from tenants.models import Destination, Mapping, Source, Workspace

SUGGESTED = 100
COLUMNS: dict[str, type[Model]] = {
    "workspace_id": Workspace,
    "source_id": Source,
    "destination_id": Destination,
    "mapping_id": Mapping,
}
Names = dict[UUID, str]


def names_of(rows: Sequence[Any], columns: Iterable[str] = COLUMNS) -> Names:
    """The names of everything that the rows point at, one query for each kind."""
    names: Names = {}
    for column in columns:
        wanted = {getattr(row, column, None) for row in rows} - {None}
        if wanted:
            names.update(_look_up(COLUMNS[column], wanted))
    return names


def _look_up(model: type[Model], ids: Iterable[Any]) -> Names:
    field = "name" if model is Mapping else "slug"
    return dict(model._default_manager.filter(pk__in=list(ids)).values_list("pk", field))


class NamedAdmin(ReadOnlyAdmin):
    """Rows with ids of workspace, source, destination and mapping, shown by name."""

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        super().prepare(request, rows)
        names = names_of(rows)
        for row in rows:
            row.names = names

    @admin.display(description="workspace")
    def workspace_name(self, row: Any) -> str:
        return _name(row, "workspace_id")

    @admin.display(description="source")
    def source_name(self, row: Any) -> str:
        return _name(row, "source_id")

    @admin.display(description="destination")
    def destination_name(self, row: Any) -> str:
        return _name(row, "destination_id")

    @admin.display(description="mapping")
    def mapping_name(self, row: Any) -> str:
        return _name(row, "mapping_id")


class NamedLogAdmin(NamedAdmin, LogAdmin):
    """The same for tables that grow with the traffic."""


def _name(row: Any, column: str) -> str:
    found = getattr(row, column)
    if found is None:
        return "–"
    names: Names = getattr(row, "names", {})
    return names.get(found) or str(found)


class SlugFilter(TextFilter):
    """Rows of one workspace, source or destination, named by its slug."""

    target: type[Model]
    column = ""
    placeholder = "slug"

    def suggestions(self) -> Sequence[str]:
        slugs = self.target._default_manager.order_by("slug").values_list("slug", flat=True)
        return sorted(set(slugs[:SUGGESTED]))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        found = list(self.target._default_manager.filter(slug=value).values_list("pk", flat=True)[:1000])
        return queryset.filter(**{f"{self.column}__in": found})


class WorkspaceFilter(SlugFilter):
    title = "workspace"
    parameter = "workspace"
    target = Workspace
    column = "workspace_id"


class SourceFilter(SlugFilter):
    title = "source"
    parameter = "source"
    target = Source
    column = "source_id"


class DestinationFilter(SlugFilter):
    title = "destination"
    parameter = "destination"
    target = Destination
    column = "destination_id"
