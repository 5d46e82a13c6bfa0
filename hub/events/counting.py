"""How many events of the log meet a condition, counted by the database, so that none of them has to leave it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg import Connection

from hub.lib.postgres import Row

# The condition is SQL over the log's row, by the name `e`; what a person wrote in it is in the parameters alone.
COUNT = """
SELECT count(*), count(*) FILTER (WHERE {condition})
FROM event_log e, log_epoch l
WHERE l.id = 1 AND e.workspace_id = %(workspace)s AND e.source_id = ANY (%(sources)s)
  AND e.received_at > now() - %(span)s AND e.body <> ''
  AND (e.epoch < l.epoch OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
"""
ROW = "e"


def count(
    connection: Connection[Row],
    workspace_id: UUID,
    source_ids: Collection[UUID],
    span: timedelta,
    condition: str,
    parameters: Mapping[str, object],
    *,
    seconds: float,
) -> tuple[int, int] | None:
    """Of these sources' events in the span until now: how many there are, and how many meet the condition.

    Erased events are left out. None when the database needs longer than `seconds`.
    """
    values = {"workspace": workspace_id, "sources": list(source_ids), "span": span, **parameters}
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
            row = connection.execute(COUNT.format(condition=condition), values).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return (int(str(row[0])), int(str(row[1]))) if row else (0, 0)
