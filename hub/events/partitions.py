"""Partitions of the log and of the tables that share its bounds: made ahead, sealed when full, dropped when old.

Made stand-alone with a CHECK and then attached, because `CREATE … PARTITION OF` would lock every reader out. The
default partition, our net, forbids DETACH CONCURRENTLY; so detaching asks for its brief lock with a time-out of a fifth
of a second and tries again at the next round: maintenance never queues readers behind itself for longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from psycopg import Connection, errors, sql

from hub.lib import clock
from hub.lib.postgres import Row
from hub.observability import log, metrics

AHEAD = 7
DEDUPE_DAYS_AHEAD = 8
LOCK_TIMEOUT = "2s"
DETACH_TIMEOUT = "200ms"
COUNTING_TIMEOUT = "10min"
# Whoever drew a number below the end did so before this moment, and has a transaction number below this one.
CLOSE = """
UPDATE event_partition p SET closed_epoch = l.epoch, closed_xid = pg_snapshot_xmax(pg_current_snapshot())
FROM log_epoch l
WHERE l.id = 1 AND p.closed_xid IS NULL AND p.dropped_at IS NULL
  AND p.seq_until <= (SELECT last_value FROM event_log_seq)
"""
SEALABLE = """
SELECT p.number, p.seq_from, p.seq_until FROM event_partition p, log_epoch l
WHERE l.id = 1 AND p.sealed_at IS NULL AND p.dropped_at IS NULL
  AND (p.closed_epoch < l.epoch OR p.closed_epoch = l.epoch AND p.closed_xid <= pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY p.number
"""
SEAL = """
WITH content AS (
    SELECT workspace_id, source_id, (received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n,
           min(received_at) AS low, max(received_at) AS high
    FROM {child} GROUP BY 1, 2, 3
), kept AS (
    INSERT INTO event_sealed (number, workspace_id, source_id, day, row_count)
    SELECT {number}, workspace_id, source_id, day, n FROM content
)
UPDATE event_partition SET sealed_at = now(), row_count = f.n, first_received_at = f.low,
    last_received_at = coalesce(f.high, now())
FROM (SELECT coalesce(sum(n), 0) AS n, min(low) AS low, max(high) AS high FROM content) f
WHERE number = {number}
"""
TRIMMABLE = """
SELECT number, seq_from, seq_until FROM event_partition
WHERE sealed_at IS NOT NULL AND dropped_at IS NULL AND trimmed_at IS NULL
  AND last_received_at < now() - make_interval(hours => %s)
ORDER BY number
"""
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A partition's number and its range of sequence numbers, upper end excluded."""

    number: int
    seq_from: int
    seq_until: int


def make_ahead(connection: Connection[Row]) -> int:
    """Make sure that the log has seven partitions in advance, and dedupe its days. Returns how many were made.

    Several processes may call this at once: an advisory lock lets one work, the others find nothing to do.
    """
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('headwater.partitions'))")
        made = sum(_make_days(connection, clock.now().date()))
        for _ in range(AHEAD + 1):
            if _partitions_ahead(connection) > AHEAD:
                break
            _register_next(connection)
            made += 1
        for bounds in _live(connection):
            for table in settings.SEQ_PARTITIONED_TABLES:
                _make(connection, table, bounds)
    return made


def _partitions_ahead(connection: Connection[Row]) -> int:
    """How many partitions begin at or after the next sequence number, the one being filled included."""
    row = connection.execute(
        "SELECT count(*) FROM event_partition p, event_log_seq s WHERE p.seq_until > s.last_value"
    ).fetchone()
    return int(str(row[0])) if row else 0


def _register_next(connection: Connection[Row]) -> None:
    connection.execute(
        "INSERT INTO event_partition (number, seq_from, seq_until) "
        "SELECT coalesce(max(number), 0) + 1, coalesce(max(seq_until), 0), coalesce(max(seq_until), 0) + %s "
        "FROM event_partition",
        [settings.LOG_PARTITION_ROWS],
    )


def _live(connection: Connection[Row]) -> list[Bounds]:
    rows = connection.execute(
        "SELECT number, seq_from, seq_until FROM event_partition WHERE dropped_at IS NULL ORDER BY number"
    ).fetchall()
    return [Bounds(*(int(str(value)) for value in row)) for row in rows]


def child_name(table: str, bounds: Bounds) -> str:
    """The name of a table's partition with these bounds."""
    return f"{table}_p{bounds.number}"


def _make(connection: Connection[Row], table: str, bounds: Bounds) -> None:
    """Make and attach one partition, unless the parent is missing (its migration comes later) or it exists."""
    name = child_name(table, bounds)
    found = connection.execute("SELECT to_regclass(%s) IS NULL, to_regclass(%s) IS NULL", [table, name]).fetchone()
    if found is None or found[0] or not found[1]:
        return
    values: dict[str, sql.Composable] = {
        "child": sql.Identifier(name),
        "parent": sql.Identifier(table),
        "low": sql.Literal(bounds.seq_from),
        "high": sql.Literal(bounds.seq_until),
    }
    connection.execute(
        sql.SQL(
            "CREATE TABLE {child} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY, "
            "CHECK (seq >= {low} AND seq < {high}))"
        ).format(**values)
    )
    _empty_net(connection, table, values)
    connection.execute(
        sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ({low}) TO ({high})").format(**values)
    )


def _empty_net(connection: Connection[Row], table: str, values: dict[str, sql.Composable]) -> None:
    """Move rows of a new partition's range out of the net, where they would forbid attaching it."""
    places = values | {"net": sql.Identifier(f"{table}_default")}
    in_range = sql.SQL("seq >= {low} AND seq < {high}").format(**places)
    look = sql.SQL("SELECT EXISTS (SELECT FROM {net} WHERE ").format(**places) + in_range + sql.SQL(")")
    if connection.execute(look).fetchone() != (True,):
        return
    connection.execute(sql.SQL("LOCK TABLE {net} IN ACCESS EXCLUSIVE MODE").format(**places))
    take = sql.SQL("WITH moved AS (DELETE FROM {net} WHERE ").format(**places) + in_range
    put = sql.SQL(" RETURNING *) INSERT INTO {child} OVERRIDING SYSTEM VALUE SELECT * FROM moved").format(**places)
    moved = connection.execute(take + put).rowcount
    logger.warning("partition_default_emptied", table=table, rows=moved)


def _make_days(connection: Connection[Row], today: date) -> list[bool]:
    return [_make_day(connection, today + timedelta(days=offset)) for offset in range(-1, DEDUPE_DAYS_AHEAD)]


def _make_day(connection: Connection[Row], day: date) -> bool:
    name = f"event_dedupe_{day:%Y%m%d}"
    found = connection.execute("SELECT to_regclass(%s) IS NULL", [name]).fetchone()
    if found is None or not found[0]:
        return False
    connection.execute(
        sql.SQL("CREATE TABLE {child} PARTITION OF event_dedupe FOR VALUES FROM ({low}) TO ({high})").format(
            child=sql.Identifier(name),
            low=sql.Literal(day.isoformat()),
            high=sql.Literal((day + timedelta(days=1)).isoformat()),
        )
    )
    return True


def drop_old_days(connection: Connection[Row], longest_window_hours: int) -> list[str]:
    """Drop the dedupe days that no window reaches any more."""
    keep_from = (clock.now() - timedelta(hours=longest_window_hours, days=1)).date()
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'event_dedupe'::regclass AND c.relname ~ '^event_dedupe_[0-9]{8}$' ORDER BY 1"
    ).fetchall()
    names = [str(row[0]) for row in rows if str(row[0])[-8:] < f"{keep_from:%Y%m%d}"]
    return [name for name in names if _detach_and_drop(connection, "event_dedupe", name)]


def seal_full(connection: Connection[Row]) -> list[Bounds]:
    """Seal partitions that the sequence has left and no open transaction can still write to; note their content."""
    connection.execute(CLOSE)
    rows = connection.execute(SEALABLE).fetchall()
    sealed = [Bounds(*(int(str(value)) for value in row)) for row in rows]
    for bounds in sealed:
        _seal(connection, bounds)
    return sealed


def _seal(connection: Connection[Row], bounds: Bounds) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(COUNTING_TIMEOUT))
        child = sql.Identifier(child_name("event_log", bounds))
        connection.execute(sql.SQL(SEAL).format(child=child, number=sql.Literal(bounds.number)))
    logger.info("partition_sealed", number=bounds.number)


def close_early(connection: Connection[Row]) -> bool:
    """Close a partition that a day has left less than half full, by moving the sequence to the next one's start.

    Else a small installation could never drop one. Numbers are skipped, never given twice.
    """
    row = connection.execute(
        "SELECT p.seq_from, p.seq_until, s.last_value FROM event_partition p, event_log_seq s "
        "WHERE p.seq_from <= s.last_value AND s.last_value < p.seq_until AND s.is_called "
        "AND EXISTS (SELECT FROM event_log e WHERE e.seq >= p.seq_from AND e.seq < p.seq_until "
        "            AND e.received_at < now() - interval '1 day')"
    ).fetchone()
    if row is None:
        return False
    low, high, last = (int(str(value)) for value in row)
    if last - low >= (high - low) // 2:
        return False
    connection.execute("SELECT setval('event_log_seq', greatest(%s, nextval('event_log_seq')), false)", [high])
    logger.info("partition_closed_early", seq=high)
    return True


def past_retention(connection: Connection[Row], retention_days: int) -> list[Bounds]:
    """Sealed partitions whose every event is older than the retention, oldest first."""
    rows = connection.execute(
        "SELECT number, seq_from, seq_until FROM event_partition WHERE sealed_at IS NOT NULL AND dropped_at IS NULL "
        "AND last_received_at < now() - make_interval(days => %s) ORDER BY number",
        [retention_days],
    ).fetchall()
    return [Bounds(*(int(str(value)) for value in row)) for row in rows]


def drop(connection: Connection[Row], bounds: Bounds) -> bool:
    """Drop one range from every table that shares the log's bounds, noting what the log lost.

    1. Remember how many rows of each source go, so that the books still agree with the log afterwards.
    2. Detach and drop, table by table; the log last, so that a crash is resumed at the next round.
    """
    name = child_name("event_log", bounds)
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(COUNTING_TIMEOUT))
        connection.execute(
            sql.SQL(
                "INSERT INTO event_dropped (workspace_id, source_id, day, row_count) "
                "SELECT workspace_id, source_id, (received_at AT TIME ZONE 'UTC')::date, count(*) FROM {child} "
                "WHERE NOT EXISTS "
                "(SELECT FROM event_partition WHERE number = {number} AND dropped_at IS NOT NULL) GROUP BY 1, 2, 3 "
                "ON CONFLICT (workspace_id, source_id, day) DO UPDATE "
                "SET row_count = event_dropped.row_count + excluded.row_count"
            ).format(child=sql.Identifier(name), number=sql.Literal(bounds.number))
        )
        connection.execute("DELETE FROM event_sealed WHERE number = %s", [bounds.number])
        connection.execute("UPDATE event_partition SET dropped_at = now() WHERE number = %s", [bounds.number])
    tables: Sequence[str] = settings.SEQ_PARTITIONED_TABLES
    done = [_detach_and_drop(connection, table, child_name(table, bounds)) for table in reversed(tables)]
    logger.info("partition_dropped", number=bounds.number, complete=all(done))
    return all(done)


def drop_leftovers(connection: Connection[Row]) -> None:
    """Finish drops that a crash or a lock time-out left half done."""
    rows = connection.execute(
        "SELECT number, seq_from, seq_until FROM event_partition WHERE dropped_at IS NOT NULL "
        "ORDER BY number DESC LIMIT 50"
    ).fetchall()
    for row in rows:
        bounds = Bounds(*(int(str(value)) for value in row))
        for table in settings.SEQ_PARTITIONED_TABLES:
            _detach_and_drop(connection, table, child_name(table, bounds))


def _detach_and_drop(connection: Connection[Row], parent: str, child: str) -> bool:
    """Detach, then drop. False when a lock could not be had in time; a later round tries again."""
    found = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s))",
        [child, child],
    ).fetchone()
    if found is None or not found[0]:
        return True
    names = {"parent": sql.Identifier(parent), "child": sql.Identifier(child)}
    try:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(DETACH_TIMEOUT))
        if found[1]:
            connection.execute(sql.SQL("ALTER TABLE {parent} DETACH PARTITION {child}").format(**names))
        connection.execute(sql.SQL("DROP TABLE {child}").format(**names))
    except errors.LockNotAvailable:
        return False
    finally:
        connection.execute("RESET lock_timeout")
    return True


def trim(connection: Connection[Row], table: str, kept_hours: int) -> list[int]:
    """Empty a table's partitions of events that are older than this, ahead of the log's; the numbers of those emptied.

    For what is only a record, when room runs out. A partition that is being read is left for the next round.
    """
    rows = connection.execute(TRIMMABLE, [kept_hours]).fetchall()
    done = []
    for bounds in (Bounds(*(int(str(value)) for value in row)) for row in rows):
        name = child_name(table, bounds)
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(DETACH_TIMEOUT))
                connection.execute(sql.SQL("TRUNCATE TABLE {}").format(sql.Identifier(name)))
                connection.execute("UPDATE event_partition SET trimmed_at = now() WHERE number = %s", [bounds.number])
        except errors.LockNotAvailable:
            continue
        done.append(bounds.number)
    return done


def watch_default(connection: Connection[Row]) -> int:
    """Rows that landed in the net because no partition was there for them; an alarm if there is any."""
    total = 0
    for table in settings.SEQ_PARTITIONED_TABLES:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(f"{table}_default"))
        ).fetchone()
        total += int(str(row[0])) if row else 0
    metrics.partition_default_rows.set(total)
    if total:
        logger.error("partition_default_not_empty", rows=total)
    return total
