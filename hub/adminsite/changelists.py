"""Lists that page by key: newest first, "newer" and "older", never an offset and never a count of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.text import capfirst

from hub.adminsite.counting import EstimatingPaginator

if TYPE_CHECKING:
    from hub.adminsite.base import ReadOnlyAdmin

BEFORE, AFTER = "before", "after"


class PreparedChangeList(ChangeList):
    """A list whose model admin may look names up for the whole page at once."""

    model_admin: ReadOnlyAdmin
    is_keyset = False
    is_estimate = False

    @property
    def count_in_words(self) -> str:
        """The number of rows, said to be a guess when it is one."""
        return f"{'about ' if self.is_estimate else ''}{self.result_count:,}"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = capfirst(str(self.opts.verbose_name_plural))

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters, and nothing beside them: whoever could ask about any field would soon know what is masked."""
        found = super().get_filters(request)
        asked = set(found[2]) - {name for name in self.list_filter if isinstance(name, str)}
        if asked:
            raise IncorrectLookupParameters(f"no filter asks for {', '.join(sorted(asked))}")
        return found

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        self.is_estimate = getattr(self.paginator, "is_estimate", False)
        self.model_admin.prepare(request, self.result_list)


class KeysetChangeList(PreparedChangeList):
    """Ordered by primary key downwards; `before` and `after` in the address say where a page begins."""

    is_keyset = True
    newer: str | None = None
    older: str | None = None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[str | Combinable]:
        return ["-pk"]

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        return {}

    def get_results(self, request: HttpRequest) -> None:
        paginator = EstimatingPaginator(self.queryset, self.list_per_page)
        rows = self._page(request)
        self.result_count = paginator.count
        self.is_estimate = paginator.is_estimate
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        self.result_list = rows
        self.can_show_all = self.multi_page = False
        self.paginator: Any = paginator
        self.model_admin.prepare(request, rows)

    def _page(self, request: HttpRequest) -> list[Any]:
        """One page, and links to its neighbours where there are any."""
        size, before, after = self.list_per_page, request.GET.get(BEFORE), request.GET.get(AFTER)
        try:
            if after:
                rows = list(self.queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
                has_more, rows = len(rows) > size, rows[:size][::-1]
                self._link(rows, newer=has_more, older=bool(rows))
            else:
                bounded = self.queryset.filter(pk__lt=before) if before else self.queryset
                rows = list(bounded[: size + 1])
                has_more, rows = len(rows) > size, rows[:size]
                self._link(rows, newer=bool(before and rows), older=has_more)
        except (ValueError, ValidationError) as error:
            raise IncorrectLookupParameters(error) from error
        return rows

    def _link(self, rows: list[Any], *, newer: bool, older: bool) -> None:
        if newer:
            self.newer = self.get_query_string({AFTER: rows[0].pk}, remove=[BEFORE, AFTER])
        if older:
            self.older = self.get_query_string({BEFORE: rows[-1].pk}, remove=[BEFORE, AFTER])
