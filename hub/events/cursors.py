"""Where a reader stands in the log, and the one safe way to read on from there.

A sequence value is taken before its transaction commits, so rows become visible out of order: a reader at
`seq > last` walks past rows that appear later. So a position is `(epoch, xid, seq)`, rows are read in that order, and
only below the horizon, the oldest transaction still open: nothing can appear there any more. xids start lower again
after a logical restore into a new cluster; then the epoch is raised, and a reader finishes the old one first.
Nobody else may compare positions.

A pipeline too busy for one reader is read in shards: each reads the events of its share of the users and steps over
the others. In the same way a reader that is told whose events it is to give out steps over those of other sources.
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
# How many rows are looked at for one read, most of which may be for other shards or of other sources.
MOST_SCANNED = 20_000
NO_END = 2**63 - 1

READ = """
SELECT e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name, e.user_key,
       e.message_id, e.body
FROM event_log e
WHERE e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s AND e.seq >= %(floor)s
  AND (e.xid, e.seq) > (%(xid)s::text::xid8, %(seq)s)
  AND (e.xid, e.seq) <= (%(until_xid)s::text::xid8, %(until_seq)s)
  AND (%(is_past)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
  AND (%(shards)s::int = 1 OR (((e.user_key %% %(shards)s::int) + %(shards)s::int) %% %(shards)s::int) = %(shard)s::int)
  AND (%(sources)s::uuid[] IS NULL OR e.source_id = ANY(%(sources)s::uuid[]))
ORDER BY e.xid, e.seq
LIMIT %(limit)s
"""
# Where so many rows end, whosever they are: by the index alone, and below the horizon, so that nothing appears before.
PAGE_END = """
SELECT p.xid::text::bigint, p.seq, count(*) OVER ()
FROM (SELECT e.xid, e.seq FROM event_log e
      WHERE e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s AND e.seq >= %(floor)s
        AND (e.xid, e.seq) > (%(xid)s::text::xid8, %(seq)s)
        AND (e.xid, e.seq) <= (%(until_xid)s::text::xid8, %(until_seq)s)
        AND (%(is_past)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
      ORDER BY e.xid, e.seq LIMIT %(page)s) p
ORDER BY p.xid DESC, p.seq DESC LIMIT 1
"""
READ_ROWS = """
SELECT e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name, e.user_key,
       e.message_id, e.body
FROM event_log e WHERE e.seq = ANY(%(seqs)s) AND e.workspace_id = %(workspace)s
"""
# The newest of all that a reader could have seen by now.
LATEST = """
SELECT e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name, e.user_key,
       e.message_id, e.body
FROM event_log e, log_epoch l
WHERE l.id = 1 AND e.workspace_id = %(workspace)s
  AND (e.epoch < l.epoch OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.epoch DESC, e.xid DESC, e.seq DESC
LIMIT %(limit)s
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
    """Reads one workspace's events onward from a position, all of them or one shard's.

    `floor` is a sequence number below which no unread row can be; it only saves looking into old partitions. With
    `until` nothing is read behind that place, and the reader ends there. With `sources` only their events are given
    out; without, those of all. After a read the position is behind all that was looked at, which may be further than
    the last row that was given out.
    """

    workspace_id: UUID
    position: Position
    floor: int = 0
    shard: int = 0
    shard_count: int = 1
    until: Position | None = None
    is_at_end: bool = False
    sources: list[UUID] | None = None

    @property
    def is_over(self) -> bool:
        """Whether a bounded reader has come to its end."""
        return self.until is not None and self.position >= self.until

    def read(self, connection: Connection[Row], limit: int) -> list[LogRow]:
        """Return up to `limit` rows after the position, in order, and stand behind the last that was looked at.

        1. Rows of the position's epoch, below the horizon when the epoch is the current one.
        2. At the end of a past epoch, go to the start of the next and read there.
        3. A bounded reader that has found nothing more stands at its end.
        """
        current, _ = horizon(connection)
        last = current if self.until is None else min(current, self.until.epoch)
        while not self.is_over:
            rows = self._read_epoch(connection, limit, is_past=self.position.epoch < current)
            if self.is_at_end and self.until is not None and self.until.epoch == self.position.epoch:
                self.position = self.until
            if rows or not self.is_at_end or self.position.epoch >= last:
                return rows
            self.position = Position(self.position.epoch + 1, 0, 0)
        self.is_at_end = True
        return []

    def _read_epoch(self, connection: Connection[Row], limit: int, is_past: bool) -> list[LogRow]:
        epoch, xid, seq = self.position
        end = end_in(epoch, self.until)
        values: dict[str, object] = {
            "workspace": self.workspace_id,
            "epoch": epoch,
            "floor": self.floor,
            "xid": xid,
            "seq": seq,
            "until_xid": end.xid,
            "until_seq": end.seq,
            "is_past": is_past,
            "limit": limit,
            "shard": self.shard,
            "shards": self.shard_count,
            "sources": self.sources,
        }
        if self.shard_count > 1 or self.sources is not None:
            return self._read_some(connection, values, limit)
        rows = [as_row(row) for row in connection.execute(READ, values).fetchall()]
        self.is_at_end = len(rows) < limit
        if rows:
            self.position = Position(epoch, rows[-1].xid, rows[-1].seq)
        return rows

    def _read_some(self, connection: Connection[Row], values: dict[str, object], limit: int) -> list[LogRow]:
        """Find where a page of everybody's rows ends, then read those up to there that are this reader's."""
        epoch = self.position.epoch
        page = MOST_SCANNED if self.sources is not None else min(limit * self.shard_count, MOST_SCANNED)
        end = connection.execute(PAGE_END, values | {"page": page}).fetchone()
        if end is None:
            self.is_at_end = True
            return []
        xid, seq, scanned = (int(str(each)) for each in end)
        found = connection.execute(READ, values | {"until_xid": xid, "until_seq": seq})
        rows = [as_row(row) for row in found.fetchall()]
        is_cut = len(rows) == limit
        self.is_at_end = scanned < page and not is_cut
        self.position = Position(epoch, rows[-1].xid, rows[-1].seq) if is_cut else Position(epoch, xid, seq)
        return rows


def end_in(epoch: int, until: Position | None) -> Position:
    """Where a reader that goes no further than `until` ends within this epoch, which is not behind it."""
    return until if until is not None and until.epoch == epoch else Position(epoch, NO_END, NO_END)


def shard_of(user_key: int, shard_count: int) -> int:
    """The shard that reads this user's events. SQL's remainder of a negative number is negative, so it adds once."""
    return user_key % shard_count


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


def latest(connection: Connection[Row], workspace_id: UUID, limit: int) -> list[LogRow]:
    """The newest events of a workspace below the horizon, newest first."""
    found = connection.execute(LATEST, {"workspace": workspace_id, "limit": limit})
    return [as_row(row) for row in found.fetchall()]


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
