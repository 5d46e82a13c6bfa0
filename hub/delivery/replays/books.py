"""A replay's own books, written by the same statement as its outcomes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hub.routing.decide import NOT_CHOSEN

if TYPE_CHECKING:
    from hub.delivery.outcomes import ChunkOutcome

REPLAYED = """, replayed AS (
    UPDATE delivery_replay y SET seen = y.seen + %(y_seen)s, delivered = y.delivered + %(y_delivered)s,
        filtered = y.filtered + %(y_filtered)s, dead = y.dead + %(y_dead)s
    FROM mine WHERE y.id = mine.replay_id
)"""


def values_of(outcome: ChunkOutcome) -> dict[str, object]:
    """What an outcome adds. What the filter leaves out is not in them, even if it waited for its turn in a row."""
    meant = [item for item in outcome.decided if item.reason != NOT_CHOSEN]
    fresh_count = 0 if outcome.is_retry else len(outcome.decided) - outcome.retried
    tally = Counter(item.status.name for item in meant)
    return {
        "y_seen": fresh_count - (len(outcome.decided) - len(meant)),
        "y_delivered": tally["DELIVERED"],
        "y_filtered": tally["FILTERED"],
        "y_dead": tally["DEAD"],
    }
