"""How many rows a list has, without ever counting a big table."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.utils.functional import cached_property

EXACT_UP_TO = 10_000


def count_or_estimate(queryset: QuerySet[Any]) -> tuple[int, bool]:
    """The number of rows and whether it is exact: counted up to 10,000, above that what the planner believes."""
    believed = estimate(queryset)
    if believed > EXACT_UP_TO * 2:
        return believed, False
    counted = queryset.order_by()[: EXACT_UP_TO + 1].count()
    return (counted, True) if counted <= EXACT_UP_TO else (max(believed, counted), False)


def estimate(queryset: QuerySet[Any]) -> int:
    """The planner's number of rows; for a partitioned table it is the sum over the partitions."""
    try:
        statement, values = queryset.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        # A condition that nothing can meet, such as being one of no keys, is never sent.
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        plan = cursor.fetchone()[0]
    found = json.loads(plan) if isinstance(plan, str) else plan
    return int(found[0]["Plan"]["Plan Rows"])


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """Pages by an exact count of small tables and an estimate of big ones."""

    @cached_property
    def counted(self) -> tuple[int, bool]:
        return count_or_estimate(self.object_list)  # type: ignore[arg-type]

    @cached_property
    def count(self) -> int:
        return self.counted[0]

    @property
    def is_estimate(self) -> bool:
        return not self.counted[1]
