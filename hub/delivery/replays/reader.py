"""Reading what a replay is about: the piece of the log between its cursor and its end, without what it leaves out.

Everything in range is read as by any other pipeline, and what is of another source or another time is left out. When
only events that failed somewhere are wanted, their rows are followed in the log's order instead: a handful among
millions is found without reading the millions.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from hub.delivery.leases import Lease
from hub.delivery.replays import scope as scopes
from hub.delivery.replays.scope import NAMED, Scope
from hub.events.cursors import LogReader, LogRow, Position, as_row, end_in
from hub.lib.postgres import PgConnection

# A page of named events by place. Numbers of an older epoch may stand among them: their events are not of this epoch.
PAGE = """
WITH named AS ({named}), page AS (
    SELECT DISTINCT n.xid, n.seq FROM named n
    WHERE (n.xid, n.seq) > (%(xid)s, %(seq)s) AND (n.xid, n.seq) <= (%(until_xid)s, %(until_seq)s)
    ORDER BY n.xid, n.seq LIMIT %(limit)s
)
SELECT g.xid, g.seq, e.seq, e.xid::text::bigint, e.source_id::text, e.received_at, e.flags, e.type, e.event_name,
       e.user_key, e.message_id, e.body
FROM page g LEFT JOIN event_log e ON e.seq = g.seq AND e.workspace_id = %(workspace)s AND e.epoch = %(epoch)s
    AND e.xid::text::bigint = g.xid AND (%(is_past)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY g.xid, g.seq
"""
PAGES = {only: PAGE.format(named=named) for only, named in NAMED.items()}


@dataclass(slots=True)
class ReplayReader(LogReader):
    """A reader of one replay's events."""

    replay_id: UUID | None = None
    scope: Scope | None = None

    def _read_epoch(self, connection: PgConnection, limit: int, is_past: bool) -> list[LogRow]:
        if self.scope is None and self.replay_id is not None:
            self.scope = scopes.read(connection, self.replay_id)
        scope = self.scope
        if scope is None:
            raise ValueError("a reader of nothing")
        if scope.only == scopes.ALL:
            rows = LogReader._read_epoch(self, connection, limit, is_past)
        else:
            rows = self._read_named(connection, scope, limit, is_past)
        return [row for row in rows if scope.holds(row)]

    def _read_named(self, connection: PgConnection, scope: Scope, limit: int, is_past: bool) -> list[LogRow]:
        epoch, xid, seq = self.position
        end = end_in(epoch, self.until)
        values = {
            **scope.values(),
            "epoch": epoch,
            "xid": xid,
            "seq": seq,
            "until_xid": end.xid,
            "until_seq": end.seq,
            "is_past": is_past,
            "limit": limit,
        }
        found = connection.execute(PAGES[scope.only], values).fetchall()
        self.is_at_end = len(found) < limit
        if found:
            self.position = Position(epoch, int(str(found[-1][0])), int(str(found[-1][1])))
        return [as_row(row[2:]) for row in found if row[2] is not None]


def reader_of(lease: Lease) -> LogReader:
    """The reader of what this pipeline is to send."""
    if lease.kind != "replay":
        return LogReader(lease.workspace_id, lease.position, lease.floor, lease.shard, lease.shard_count, lease.until)
    return ReplayReader(lease.workspace_id, lease.position, lease.floor, until=lease.until, replay_id=lease.replay_id)


def preview_reader(scope: Scope, start: Position, end: Position, floor: int) -> ReplayReader:
    """The same for a replay that has not been started."""
    return ReplayReader(scope.workspace_id, start, floor, until=end, scope=scope)
