"""How far pipelines are behind: from the count rows beyond their cursors, never from the log itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# An estimate from above: a count row that the cursor stands in counts whole.
WAITING = """
SELECT p.id, coalesce(sum(c.accepted), 0), min(c.at)
FROM delivery_pipeline p
JOIN tenants_connection k ON k.workspace_id = p.workspace_id AND k.destination_id = p.destination_id AND k.is_enabled
JOIN event_count c ON c.workspace_id = p.workspace_id AND c.source_id = k.source_id AND c.epoch = p.cursor_epoch
    AND c.xid_to > p.cursor_xid::text::xid8 AND c.accepted > 0
WHERE p.id = ANY(%s)
GROUP BY p.id
"""
RETRYING = "SELECT pipeline_id, count(*) FROM delivery_retry WHERE pipeline_id = ANY(%s) GROUP BY 1"


@dataclass(frozen=True, slots=True)
class Lag:
    """What waits for a pipeline: events beyond its cursor, since when, and rows that will be tried again."""

    waiting: int = 0
    oldest_at: datetime | None = None
    retrying: int = 0


def lag_of(pipeline_ids: Sequence[int]) -> dict[int, Lag]:
    """The lag of these pipelines, with two queries."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [list(pipeline_ids)])
        waiting = {row[0]: (int(row[1]), row[2]) for row in cursor.fetchall()}
        cursor.execute(RETRYING, [list(pipeline_ids)])
        retrying = dict(cursor.fetchall())
    return {key: Lag(*waiting.get(key, (0, None)), retrying.get(key, 0)) for key in pipeline_ids}
