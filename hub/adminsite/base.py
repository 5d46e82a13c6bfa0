"""Bases of every model's admin: nothing is added, changed or deleted here, also not by address; acts may be run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from hub.adminsite import reveal
from hub.adminsite.acts import Act, confirm
from hub.adminsite.changelists import KeysetChangeList, PreparedChangeList
from hub.adminsite.counting import EstimatingPaginator
from hub.adminsite.text import cell, clip

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


SELECT_ALL = SafeString('<input type="checkbox" id="action-toggle" aria-label="Select all rows">')


class ReadOnlyAdmin(Base):
    """A model to look at. `acts` are its verbs; `prepare` sees the rows of a page before they are shown."""

    acts: tuple[Act, ...] = ()
    when_empty = ""  # what the list says while it has never had a row
    actions = None
    list_per_page = 50
    list_max_show_all = 100
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = EstimatingPaginator
    change_form_template: ClassVar[str | None] = "admin/readonly_detail.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def prepare(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Add to the rows of a page, with one query for all of them, what their columns need."""
        for row in rows:
            row.is_revealed = reveal.is_revealed(request, reveal.key_of(row))

    @admin.display(description=SELECT_ALL)
    def action_checkbox(self, obj: Any) -> SafeString:
        """The box that selects a row, named by its key: the row's own text may be anything."""
        attrs = {"class": "action-select", "aria-label": f"Select {self.opts.verbose_name} {obj.pk}"}
        box = forms.CheckboxInput(attrs, lambda value: False)
        return box.render(helpers.ACTION_CHECKBOX_NAME, str(obj.pk))

    def describe(self, row: Any) -> str:
        """The row in a line, for the sample of an act."""
        return str(row)

    def links(self, row: Any) -> Sequence[tuple[str, str]]:
        """Where else one can go from a row: text and address."""
        return ()

    def allowed_acts(self, request: HttpRequest) -> list[Act]:
        return [act for act in self.acts if act.is_allowed(request)]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {act.name: (partial(confirm, act), act.name, act.label) for act in self.allowed_acts(request)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PreparedChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.prepare(request, [row])
        return row

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        if row is not None:
            context["title"] = f"{capfirst(self.opts.verbose_name)} {clip(str(row.pk), 40)}"
            told = clip(self.describe(row), 100)
            context["subtitle"] = told if told.lower() != context["title"].lower() else ""
            context["acts"] = self.allowed_acts(request)
            context["row_links"] = self.links(row)
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """There is no history of its own: the audit trail has it."""
        return self.changeform_view(request, object_id, "", {**(extra_context or {}), "show_save": False})


def text_column(name: str, label: str = "", length: int = 60) -> Any:
    """A column for a field that may hold anything: clipped, isolated, with what deceives the eye spelt out."""

    @admin.display(description=label or name.replace("_", " "))
    def shown(_admin: ReadOnlyAdmin, row: Any) -> str:
        return cell(getattr(row, name), length)

    return shown


class LogAdmin(ReadOnlyAdmin):
    """A table that grows with the traffic: newest first by key, paged by key, sorted by nothing else."""

    sortable_by = ()
    list_per_page = 100

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList
