"""What a filter would do, counted over the latest events; nothing is sent, and no event is shown."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import orjson

from hub.delivery import config as configs
from hub.events import cursors
from hub.lib import postgres
from hub.routing.compiling import FilterRow, compile_check
from tenants.models import DestinationFilter

LATEST = 1_000


@dataclass(frozen=True, slots=True)
class Preview:
    """Of the latest events of the workspace: how many are about this filter, and what becomes of them."""

    looked_at: int
    of_destination: int
    matched: int
    stopped: int
    changed: int
    problem: str = ""


def preview(filter: DestinationFilter) -> Preview:
    """Ask the filter, switched on or not, about the latest events that its destination may get."""
    with postgres.pool().connection() as connection:
        rows = cursors.latest(connection, filter.workspace_id, LATEST)
        subscription = configs.read_subscription(connection, filter.workspace_id, filter.destination_id)
    sources = {source_id for _, source_id, is_on, *_ in subscription if is_on and source_id is not None}
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
        problem=check.problem,
    )


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
