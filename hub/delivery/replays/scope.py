"""What one replay is about: whose events, of when, by which filter, and whether only those that failed somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connectors.base import ALL_CALLS
from hub.events.cursors import LogRow
from hub.expressions.filters import compile_filter, read_fql
from hub.lib.postgres import PgConnection

Matches = Callable[[dict[str, object]], bool]
ALL, FAILED, DEAD, CHOSEN = "all", "failed", "dead", "chosen"
READ = """
SELECT y.workspace_id, y.destination_id, y.source_ids, y.since, y.until, y.trigger, y.only, y.failed_at_id, y.seqs,
       y.per_second, y.created_at
FROM delivery_replay y WHERE y.id = %s
"""
# Which events are named, for the kinds that do not take whatever is in range. What failed after the replay was made is
# not in it, or it would meet what it has caused itself. What is discarded while it runs stays in it: people were told
# how many it sends. What is retried meanwhile is dead no more, and comes by itself.
LETTERS = """
    SELECT x.xid, x.seq FROM delivery_dead x
    WHERE x.destination_id = %(failed_at)s AND x.discarded_at IS NULL AND {first} <= coalesce(%(made_at)s, now())
    UNION ALL
    SELECT x.xid, x.seq FROM delivery_dead x
    WHERE x.destination_id = %(failed_at)s AND x.discarded_at > %(made_at)s AND {first} <= %(made_at)s
"""
ROWS = """
    SELECT r.xid, r.seq FROM delivery_retry r
    WHERE r.pipeline_id IN (SELECT o.id FROM delivery_pipeline o WHERE o.destination_id = %(failed_at)s)
      AND r.first_at <= coalesce(%(made_at)s, now())
"""
NAMED = {
    DEAD: LETTERS.format(first="x.at"),
    FAILED: f"{LETTERS.format(first='x.first_at')} UNION ALL {ROWS}",
    CHOSEN: "SELECT c.xid::text::bigint AS xid, c.seq FROM event_log c WHERE c.seq = ANY(%(seqs)s::bigint[])",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """A replay's events. Times are of acceptance, the end excluded; `made_at` is None until it is started."""

    workspace_id: UUID
    destination_id: UUID
    source_ids: frozenset[UUID]
    since: datetime
    until: datetime
    trigger: str = ""
    only: str = ALL
    failed_at_id: UUID | None = None
    seqs: tuple[int, ...] | None = None
    per_second: float | None = None
    made_at: datetime | None = None

    def holds(self, row: LogRow) -> bool:
        """Whether the event is of one of the sources and of the time; the filter has yet to see it."""
        return row.source_id in self.source_ids and self.since <= row.received_at < self.until

    def values(self) -> dict[str, object]:
        """What the statements about a scope's events ask for."""
        return {
            "workspace": self.workspace_id,
            "sources": sorted(self.source_ids),
            "since": self.since,
            "until": self.until,
            "failed_at": self.failed_at_id,
            "seqs": list(self.seqs or ()),
            "made_at": self.made_at,
        }


def read(connection: PgConnection, replay_id: UUID) -> Scope:
    """The scope that a replay was started with; it never changes."""
    found = connection.execute(READ, [replay_id]).fetchall()[0]
    workspace_id, destination_id, sources, since, until, trigger, only, failed_at, seqs, per_second, made_at = found
    return Scope(
        workspace_id,  # type: ignore[arg-type]
        destination_id,  # type: ignore[arg-type]
        frozenset(map(UUID, sources)),  # type: ignore[call-overload]
        since,  # type: ignore[arg-type]
        until,  # type: ignore[arg-type]
        str(trigger),
        str(only),
        failed_at,  # type: ignore[arg-type]
        None if seqs is None else tuple(seqs),  # type: ignore[arg-type]
        per_second,  # type: ignore[arg-type]
        made_at,  # type: ignore[arg-type]
    )


def compile_trigger(text: str) -> Matches | None:
    """The filter as a function; None when it takes every event. Raises ExpressionError."""
    if not text.strip() or text == ALL_CALLS:
        return None
    return compile_filter(read_fql(text))
