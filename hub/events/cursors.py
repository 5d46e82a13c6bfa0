"""Where a reader stands in the log, and the one safe way to read on from there.

A sequence value is taken before its transaction commits, so rows become visible out of order: a reader at
`seq > last` walks past rows that appear later. So a position is `(epoch, xid, seq)`, rows are read in that order, and
only below the horizon, the oldest transaction still open: nothing can appear there any more. xids start lower again
after a logical restore into a new cluster; then the epoch is raised, and a reader finishes the old one first.
Nobody else may compare positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection

from hub.lib.postgres import Row

MOST_SOURCES_KEPT = 10_000

READ = """
SELECT e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name, e.user_key,
       e.message_id, e.body
FROM event_log e
WHERE e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s AND e.seq >= %(floor)s
  AND (e.xid, e.seq) > (%(xid)s::text::xid8, %(seq)s)
  AND (%(is_past)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.xid, e.seq
LIMIT %(limit)s
"""
READ_ROWS = """
SELECT e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name, e.user_key,
       e.message_id, e.body
FROM event_log e WHERE e.seq = ANY(%(seqs)s) AND e.workspace_id = %(workspace)s
"""
FLOOR = """
SELECT coalesce((SELECT p.seq_from FROM event_partition p WHERE p.seq_from <= %(seq)s
                 ORDER BY p.seq_from DESC OFFSET 1 LIMIT 1), 0)
"""
HORIZON = """
SELECT l.epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM log_epoch l WHERE l.id = 1
"""


class Position(NamedTuple):
    """A place in the log; positions of one epoch compare as tuples."""

    epoch: int
    xid: int
    seq: int


class LogRow(NamedTuple):
    """One event as a reader gets it; `body` is the message's JSON text."""

    seq: int
    xid: int
    source_id: UUID
    received_at: datetime
    flags: int
    type: str
    event_name: str | None
    user_key: int
    message_id: str
    body: str


@dataclass(slots=True)
class LogReader:
    """Reads one workspace's events onward from a position.

    `floor` is a sequence number below which no unread row can be; it only saves looking into old partitions.
    """

    workspace_id: UUID
    position: Position
    floor: int = 0

    def read(self, connection: Connection[Row], limit: int) -> list[LogRow]:
        """Return up to `limit` rows after the position, in order, and stand behind the last of them.

        1. Rows of the position's epoch, below the horizon when the epoch is the current one.
        2. At the end of a past epoch, go to the start of the next and read there.
        """
        epoch, _ = horizon(connection)
        while True:
            rows = self._read_epoch(connection, limit, is_past=self.position.epoch < epoch)
            if rows or self.position.epoch >= epoch:
                break
            self.position = Position(self.position.epoch + 1, 0, 0)
        if rows:
            self.position = Position(self.position.epoch, rows[-1].xid, rows[-1].seq)
        return rows

    def _read_epoch(self, connection: Connection[Row], limit: int, is_past: bool) -> list[LogRow]:
        epoch, xid, seq = self.position
        found = connection.execute(
            READ,
            {
                "workspace": self.workspace_id,
                "epoch": epoch,
                "floor": self.floor,
                "xid": xid,
                "seq": seq,
                "is_past": is_past,
                "limit": limit,
            },
        )
        return [as_row(row) for row in found.fetchall()]


def horizon(connection: Connection[Row]) -> tuple[int, int]:
    """The current epoch and the xid below which no row can appear any more."""
    epoch, xid = connection.execute(HORIZON).fetchall()[0]  # one row from the first migration on
    return int(str(epoch)), int(str(xid))


def floor_of(connection: Connection[Row], seq: int) -> int:
    """Where to begin looking for rows after a position with this seq: the start of the partition before its own.

    Safe while no transaction outlives one partition's worth of sequence values, which the time-outs see to.
    """
    row = connection.execute(FLOOR, {"seq": seq}).fetchone()
    return int(str(row[0])) if row else 0


def read_rows(connection: Connection[Row], workspace_id: UUID, seqs: Sequence[int]) -> dict[int, LogRow]:
    """The events with these sequence numbers, by number; those that retention took are absent."""
    found = connection.execute(READ_ROWS, {"seqs": list(seqs), "workspace": workspace_id})
    return {row.seq: row for row in map(as_row, found.fetchall())}


class _Sources(dict[str, UUID]):
    """Source ids by their text: there are few, and making one costs more than the rest of a row."""

    def __missing__(self, text: str) -> UUID:
        if len(self) > MOST_SOURCES_KEPT:
            self.clear()
        found = self[text] = UUID(text)
        return found


_sources = _Sources()


def as_row(row: Row) -> LogRow:
    """A fetched row, its source id still a text."""
    seq, xid, source, *rest = row
    return LogRow(seq, xid, _sources[source], *rest)  # type: ignore[arg-type,index]
