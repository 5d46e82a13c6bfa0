"""What a filter would do: to the latest events exactly, and to those of a whole day by count.

Nothing is sent, and no event is shown. The day is counted by the database, which says nothing where it cannot say the
same as the filter, or not in time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson

from hub.delivery import config as configs
from hub.events import counting, cursors
from hub.expressions import fql
from hub.expressions.errors import ExpressionError
from hub.expressions.filter_sql import to_sql
from hub.lib import postgres
from hub.routing.compiling import FilterRow, compile_check
from tenants.models import DestinationFilter

LATEST = 1_000
SPAN = timedelta(days=1)
LONGEST_COUNT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Day:
    """The last day's events that the destination may get, and how many of them meet the condition.

    `reason` says why nothing was counted: what SQL cannot say the same way, or that it would have taken too long.
    """

    of_destination: int = 0
    matched: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Of the latest events of the workspace: how many are about this filter, and what becomes of them."""

    looked_at: int
    of_destination: int
    matched: int
    stopped: int
    changed: int
    day: Day
    problem: str = ""


def preview(filter: DestinationFilter) -> Preview:
    """Ask the filter, switched on or not, about the latest events that its destination may get."""
    with postgres.pool().connection() as connection:
        rows = cursors.latest(connection, filter.workspace_id, LATEST)
        subscription = configs.read_subscription(connection, filter.workspace_id, filter.destination_id)
    sources = {source_id for _, source_id, is_on, *_ in subscription if is_on and isinstance(source_id, UUID)}
    if filter.source_id is not None:
        sources &= {filter.source_id}
    messages = [orjson.loads(row.body) for row in rows if row.source_id in sources and row.body]
    check = compile_check(row_of(filter))
    matching = [message for message in messages if check.matches is None or check.matches(message)]
    after = [(message, check.act(message)) for message in matching]
    return Preview(
        looked_at=len(rows),
        of_destination=len(messages),
        matched=len(matching),
        stopped=sum(new is None for _, new in after),
        changed=sum(new is not None and new is not old for old, new in after),
        day=day_of(filter, sources),
        problem=check.problem,
    )


def day_of(filter: DestinationFilter, source_ids: Collection[UUID]) -> Day:
    """Count a whole day in the database."""
    try:
        sql = to_sql(fql.parse(filter.condition), counting.ROW)
    except ExpressionError as error:
        return Day(reason=str(error))
    with postgres.pool().connection() as connection:
        found = counting.count(
            connection,
            filter.workspace_id,
            source_ids,
            SPAN,
            sql.condition,
            sql.parameters,
            seconds=LONGEST_COUNT_SECONDS,
        )
    return Day(*found) if found else Day(reason="There are too many events to count them while you wait.")


def row_of(filter: DestinationFilter) -> FilterRow:
    """The filter as routing takes it."""
    source_id: UUID | None = filter.source_id
    return FilterRow(
        filter_id=filter.pk,
        name=filter.name,
        source_id=source_id,
        condition=filter.condition,
        action=filter.action,
        percent=filter.percent,
        path=filter.path,
        fields=filter.fields,
    )
