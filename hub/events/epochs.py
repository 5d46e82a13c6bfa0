"""The log's epoch: which run of transaction numbers its rows were written in.

Transaction numbers start lower again in a cluster that was restored from a logical dump; new rows would sort before the
readers' cursors and never be read. So rows and cursors carry an epoch, and nothing starts while a number of the current
epoch lies above what the cluster has reached.
"""

from __future__ import annotations

from psycopg import Connection

from hub.lib.postgres import Row

HIGHEST = """
SELECT greatest(
    (SELECT max(e.xid::text::bigint) FROM event_log e, log_epoch l
     WHERE e.epoch = l.epoch AND e.seq >= coalesce((SELECT max(seq) - 100000 FROM event_log), 0)),
    (SELECT max(c.xid_to::text::bigint) FROM event_count c, log_epoch l WHERE c.epoch = l.epoch),
    (SELECT max(p.cursor_xid) FROM delivery_pipeline p, log_epoch l WHERE p.cursor_epoch = l.epoch),
    (SELECT max(greatest(i.from_xid, i.until_xid)) FROM tenants_subscriptioninterval i, log_epoch l
     WHERE i.from_epoch = l.epoch)),
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
RAISE = "UPDATE log_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch"


class RestoredDatabase(Exception):
    """The database was restored into a cluster whose transaction numbers are lower than those of its log.

    Run `manage.py log_new_epoch` once, while nothing else runs; then start again.
    """


def require_consistent(connection: Connection[Row]) -> None:
    """Raise RestoredDatabase when a number of the current epoch lies in the cluster's future."""
    row = connection.execute(HIGHEST).fetchone()
    if row is not None and row[0] is not None and int(str(row[0])) > int(str(row[1])):
        raise RestoredDatabase(RestoredDatabase.__doc__)


def begin_new(connection: Connection[Row]) -> int:
    """Begin a new epoch; readers finish the old one first. Returns its number."""
    ((epoch,),) = connection.execute(RAISE).fetchall()  # one row from the first migration on
    return int(str(epoch))
