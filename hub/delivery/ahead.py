"""What a turn has read of the log and not yet handed out: enough to keep the sender busy, never more than a page.

A place without an event stands behind rows that were read over, of other shards or sources or outside a replay's scope:
the cursor may go there. Where most of what is read belongs to other destinations, the turn has the log itself leave out
what their sources sent: one that is off, or one of many in its workspace, passes millions of events at little cost.
"""

from __future__ import annotations

import time
from collections import deque

from hub.delivery.config import Config
from hub.delivery.leases import Lease
from hub.delivery.parts import Delivery
from hub.delivery.replays.reader import reader_of
from hub.events import cursors
from hub.events.cursors import LogRow, Position
from hub.lib import clock
from hub.lib.postgres import PgConnection
from hub.routing import decide

FIRST_READ_EVENTS = 30
READ_EVENTS = 1_000
READ_EVENTS_BUSY = 300
READ_BYTES = 1_000_000
READ_BELOW = 200
LOOK_AGAIN_SECONDS = 0.02
LOOK_BESIDE_SECONDS = 0.25
GATHER_SECONDS = 0.1
ABOVE_HORIZON = """
SELECT EXISTS (SELECT FROM event_log e WHERE e.workspace_id = %s AND e.epoch = %s
               AND (e.xid, e.seq) > (%s::text::xid8, %s) AND e.seq >= %s)
"""


class ReadAhead:
    """A pipeline's events between the reader's place and what has been handed out. Used by the task thread alone."""

    def __init__(self, lease: Lease) -> None:
        self.reader = reader_of(lease)
        self.is_at_end = False
        self._workspace_id = lease.workspace_id
        self._rows: deque[tuple[LogRow | None, Position]] = deque()
        self._limit = FIRST_READ_EVENTS
        self._look_at = 0.0
        self._patience, self._full = 0.0, 1
        self._is_live, self._is_sparse = lease.kind == "live", False

    @property
    def has_rows(self) -> bool:
        """Whether something that was read waits to be handed out, and not for others to share its call."""
        return bool(self._rows) and not self.is_gathering

    @property
    def is_gathering(self) -> bool:
        """Whether what there is would not fill a call, and is young enough to wait for more. Clocks that differ wait
        less, never longer.
        """
        if not self._patience or not self.is_at_end or self.reader.is_over or len(self._rows) >= self._full:
            return False
        first = next((row for row, _ in self._rows if row is not None), None)
        return first is not None and 0 <= (clock.now() - first.received_at).total_seconds() < self._patience

    @property
    def has_more(self) -> bool:
        """Whether something waits here, or perhaps in the log."""
        return bool(self._rows) or not self.is_at_end

    @property
    def is_behind(self) -> bool:
        """Whether events wait behind those that were handed out, here or in the log, and not for others to come."""
        return self.has_more and not self.is_gathering

    @property
    def is_low(self) -> bool:
        """Whether it is time to read on."""
        return len(self._rows) < READ_BELOW and not self.is_at_end

    def raise_floor(self, connection: PgConnection, lease: Lease) -> None:
        """Look no further back than where the cursor's partition makes it useful."""
        lease.floor = max(lease.floor, cursors.floor_of(connection, lease.position.seq))
        self.reader.floor = lease.floor

    def read(self, connection: PgConnection, config: Config, *, is_crowded: bool) -> None:
        """Read on, then look whether the subscription changed: what was read is judged by it."""
        before = self.reader.position
        rows = self._read_on(connection, config)
        place = self.reader.position
        # Waiting holds a slot, which is worth more to others when there are few.
        self._patience, self._full = 0.0 if is_crowded else config.patience_seconds, config.most_items
        self._rows.extend((row, Position(place.epoch, row.xid, row.seq)) for row in rows)
        if place != (self._rows[-1][1] if rows else before):
            self._rows.append((None, place))
        self.is_at_end = self.reader.is_at_end
        if rows:
            average = sum(len(row.body) for row in rows) // len(rows) or 1
            most = READ_EVENTS_BUSY if is_crowded else READ_EVENTS
            self._limit = max(10, min(most, READ_BYTES // average))

    def _read_on(self, connection: PgConnection, config: Config) -> list[LogRow]:
        """The next rows. If sources have joined meanwhile, those that were left out may be theirs: read once more."""
        before, reader = self.reader.position, self.reader
        known = decide.sources_after(config.plan, before[:2])
        reader.sources = list(known) if self._is_sparse else None
        rows = reader.read(connection, self._limit)
        config.refresh(connection)
        if reader.sources is not None and not decide.sources_after(config.plan, before[:2]) <= known:
            reader.position, reader.sources = before, None
            rows = reader.read(connection, self._limit)
            config.refresh(connection)
        wanted = decide.sources_after(config.plan, reader.position[:2])
        own_count = sum(row.source_id in wanted for row in rows)
        # As soon as a page is full of its own again, looking for the page's end is work for nothing.
        is_sparse = own_count * 2 < len(rows) if reader.sources is None else len(rows) < self._limit
        self._is_sparse = self._is_live and is_sparse
        return rows

    def take(self, plan: decide.Plan, size: int) -> tuple[list[Delivery], Position | None]:
        """The next events that are this destination's, at most so many, and the place behind them; others are passed.

        No place when there is nothing. One epoch at a time.
        """
        if self.is_gathering:
            return [], None
        deliveries: list[Delivery] = []
        position: Position | None = None
        accepted, is_eligible = None, False
        while self._rows and len(deliveries) < size:
            if position is not None and self._rows[0][1].epoch != position.epoch:
                break
            row, position = self._rows.popleft()
            if row is None:
                continue
            if accepted != (row.xid, row.source_id):  # events of one request share both
                accepted = (row.xid, row.source_id)
                is_eligible = decide.is_eligible(plan, row.source_id, (position.epoch, row.xid))
            if is_eligible:
                deliveries.append(Delivery(row))
        return deliveries, position

    def is_drained(self, connection: PgConnection) -> bool:
        """Whether there is nothing left to read; rows above the horizon are waited for, a moment at a time."""
        if self.is_gathering:
            time.sleep(GATHER_SECONDS)
            self.is_at_end = False
        if self.has_more:
            return False
        if self.reader.is_over:
            return True
        epoch, xid, seq = self.reader.position
        row = connection.execute(ABOVE_HORIZON, [self._workspace_id, epoch, xid, seq, self.reader.floor]).fetchone()
        if not row or not row[0]:
            return True
        time.sleep(LOOK_AGAIN_SECONDS)
        self.is_at_end = False
        return False

    def look_beside(self) -> None:
        """Fresh events do not wait for retries that are a few seconds off: look for some now and then."""
        if self.is_at_end and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_BESIDE_SECONDS
            self.is_at_end = self.reader.is_over
