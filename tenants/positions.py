"""Where the log stands at this moment, for changes that take effect at a position of the log.

A reader walks the log below the horizon, the oldest transaction still open. A transaction that changes a subscription
holds the horizon at or below its own id until it commits, so whatever readers have passed by then is older than that
id; and whatever they read afterwards, they judge by the change. So a change that takes effect at the transaction's own
id, or later, leaves no event that was judged one way and is counted the other. Anything earlier is exact only while
nobody reads: for a destination that is made in this very transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

# The id is drawn in a statement of its own: the snapshot of a statement is older than what the statement does.
DRAW_ID = "SELECT pg_current_xact_id()::text::bigint, coalesce((SELECT epoch FROM log_epoch), 1)"
# What is folded meanwhile could not know of a boundary that reaches back: hub.events.counts takes this lock for itself.
BOUNDARIES = "hashtext('headwater.boundaries')"
HOLD_OFF_FOLDS = f"SELECT pg_advisory_xact_lock_shared({BOUNDARIES})"
LOOK = """
    SELECT pg_snapshot_xmin(snapshot)::text::bigint, pg_snapshot_xmax(snapshot)::text::bigint
    FROM pg_current_snapshot() AS snapshot
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A moment in the log: the epoch, the id of this transaction, and the bounds of what is in flight."""

    epoch: int
    xid: int
    xmin: int
    xmax: int

    @property
    def first_in_flight(self) -> int:
        """Where something begins that has no reader yet: events that are being written right now are included."""
        return min(self.xmin, self.xid)

    @property
    def start(self) -> int:
        """Where something begins whose destination may be read this very moment."""
        return self.xid

    @property
    def end(self) -> int:
        """Where something ends: past everything that was being written at that moment."""
        return max(self.xmax, self.xid)


def begin_first_epoch(**_: object) -> None:
    """See to it that the one row of epochs is there, after migrations and after a test emptied all tables."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO log_epoch (id, epoch) VALUES (1, 1) ON CONFLICT DO NOTHING")


def current_position() -> Position:
    """Take the position for a change; call it inside the transaction that makes the change."""
    with connection.cursor() as cursor:
        cursor.execute(DRAW_ID)
        xid, epoch = cursor.fetchone()
        cursor.execute(HOLD_OFF_FOLDS)
        cursor.execute(LOOK)
        xmin, xmax = cursor.fetchone()
    return Position(epoch=epoch, xid=xid, xmin=xmin, xmax=xmax)
