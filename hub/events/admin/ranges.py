"""A range of time as a range of sequence numbers, through the catalogue of partitions.

Only whole partitions are left out, so the range never cuts off an event; the time column itself does the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Max, Min, Q, QuerySet

from hub.adminsite.filters import TimeRange
from hub.events.models import Partition


def seq_bounds(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    """The lowest seq and the first seq past the range, None where nothing can be left out."""
    live = Partition.objects.filter(dropped_at=None)
    low = high = None
    if since:
        found = live.filter(Q(last_received_at=None) | Q(last_received_at__gte=since))
        low = found.aggregate(bound=Min("seq_from"))["bound"]
    if until:
        found = live.filter(Q(first_received_at=None, sealed_at=None) | Q(first_received_at__lt=until))
        high = found.aggregate(bound=Max("seq_until"))["bound"]
    return low, high


class ReceivedRange(TimeRange):
    """When an event was received."""

    column = "received_at"

    def narrow(self, queryset: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
        low, high = seq_bounds(since, until)
        if low is not None:
            queryset = queryset.filter(seq__gte=low)
        return queryset if high is None else queryset.filter(seq__lt=high)


class DecidedRange(TimeRange):
    """When something was done about an event, which is never before it was received."""

    def narrow(self, queryset: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
        _, high = seq_bounds(None, until)
        return queryset if high is None else queryset.filter(seq__lt=high)
