"""The leases of this machine's workers that died.

A lease of a dead worker runs out by itself. On the same machine nobody needs to wait for that: a process that is gone
makes no call any more, so whoever starts next may end its leases at once.
"""

from __future__ import annotations

from psycopg import Connection

from hub.lib import workers
from hub.lib.postgres import Row
from hub.observability import log

OWNERS = """
SELECT DISTINCT owner FROM delivery_pipeline WHERE lease_until > now() AND starts_with(owner, %s)
"""
END = """
UPDATE delivery_pipeline SET lease_until = now(), next_run_at = now() WHERE owner = ANY(%s) AND lease_until > now()
"""
logger = log.get(__name__)


def end_leases_of_dead(connection: Connection[Row]) -> int:
    """End the leases of workers of this machine that are gone; how many there were."""
    prefix = f"{workers.machine()}:"
    owners = [str(row[0]) for row in connection.execute(OWNERS, [prefix]).fetchall()]
    dead = [owner for owner in owners if workers.is_gone(owner.removeprefix(prefix))]
    if not dead:
        return 0
    count = connection.execute(END, [dead]).rowcount
    logger.warning("leases_of_dead_ended", workers=dead, count=count)
    return count
