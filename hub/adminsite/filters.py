"""Filters that ask an index: a text for a known value, and a time range in place of a date hierarchy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin import ListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.adminsite.changelists import AFTER, BEFORE
from hub.lib import clock

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
AGO = re.compile(r"^(\d{1,4})([mhd])$")
PRESETS = (("10m", "10 minutes"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))


def parse_moment(text: str) -> datetime:
    """`24h` ago, or an instant in ISO form, UTC when no zone is given."""
    if ago := AGO.match(text):
        return clock.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ParameterFilter(ListFilter):
    """A filter that takes its named parameters out of the address."""

    parameters: tuple[str, ...] = ()

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            value = params.pop(name, None)
            text = value[-1] if isinstance(value, list) else value
            if text:
                self.used_parameters[name] = str(text).strip()

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def _others(self, changelist: ChangeList) -> list[tuple[str, str]]:
        """Hidden fields that keep the other filters when this one is submitted."""
        gone = {*self.parameters, BEFORE, AFTER}
        params: dict[str, list[str]] = changelist.filter_params
        return [(name, value) for name, values in params.items() if name not in gone for value in values]


class TextFilter(ParameterFilter):
    """One exact value, typed or chosen among suggestions."""

    template = "admin/text_filter.html"
    parameter = ""
    placeholder = ""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        self.parameters = (self.parameter,)
        super().__init__(request, params, model, model_admin)

    def suggestions(self) -> Sequence[str]:
        return ()

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {
            "name": self.parameter,
            "value": self.used_parameters.get(self.parameter, ""),
            "placeholder": self.placeholder,
            "others": self._others(changelist),
            "suggestions": self.suggestions(),
            "clear": changelist.get_query_string(remove=[self.parameter, BEFORE, AFTER]),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.used_parameters.get(self.parameter)
        return self.narrow(queryset, str(value)) if value else queryset

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter: value})


class ChoiceFilter(ParameterFilter):
    """A few fixed values as links."""

    template = "admin/filter.html"
    parameter = ""
    options: tuple[tuple[str, str], ...] = ()

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        self.parameters = (self.parameter,)
        super().__init__(request, params, model, model_admin)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        chosen = self.used_parameters.get(self.parameter, "")
        for value, label in (("", "All"), *self.options):
            address = changelist.get_query_string(
                {self.parameter: value or None}, remove=[self.parameter, BEFORE, AFTER]
            )
            yield {"selected": value == chosen, "query_string": address, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.used_parameters.get(self.parameter)
        return self.narrow(queryset, str(value)) if value else queryset

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter: value})


class TimeRange(ParameterFilter):
    """From a moment until another, on the column `column`."""

    title = "time"
    template = "admin/time_filter.html"
    parameters = ("since", "until")
    column = "at"

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        chosen = self.used_parameters.get("since", "")
        remove = ["since", "until", BEFORE, AFTER]
        presets = [
            {"selected": chosen == value, "display": label, "query_string": changelist.get_query_string(new, remove)}
            for value, label, new in (("", "Any time", {}), *((v, f"Last {t}", {"since": v}) for v, t in PRESETS))
        ]
        until = self.used_parameters.get("until", "")
        yield {"presets": presets, "since": chosen, "until": until, "others": self._others(changelist)}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            since, until = (self._moment(name) for name in self.parameters)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(error) from error
        if since:
            queryset = queryset.filter(**{f"{self.column}__gte": since})
        if until:
            queryset = queryset.filter(**{f"{self.column}__lt": until})
        return self.narrow(queryset, since, until)

    def narrow(self, queryset: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
        """Bound the key as well, where the table's key is known to grow with time."""
        return queryset

    def _moment(self, name: str) -> datetime | None:
        text = self.used_parameters.get(name)
        return parse_moment(str(text)) if text else None
