"""A commit that must not be given up lightly: the receiver has these events already."""

from __future__ import annotations

import time

from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from hub.delivery import outcomes
from hub.delivery.leases import Lease
from hub.delivery.outcomes import ChunkOutcome
from hub.lib import postgres

COMMIT_TRIES_SECONDS = 20.0
QUERY_CANCELED = "57014"


def commit_surely(lease: Lease, outcome: ChunkOutcome, mappings: dict[str, object], worker: str) -> bool:
    """Commit, and try again for a while what the server certainly rolled back.

    An error that leaves the fate of the commit open is raised: only the lease's end makes a second try safe.
    """
    give_up_at = time.monotonic() + COMMIT_TRIES_SECONDS
    while True:
        try:
            with postgres.pool().connection() as connection:
                return outcomes.commit(connection, lease, outcome, mappings, worker)
        except OperationalError as error:
            if not is_rolled_back(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)


def is_rolled_back(error: OperationalError) -> bool:
    """Whether nothing was committed for certain: no connection was had, a deadlock, a lock or statement time-out."""
    state = error.sqlstate or ""
    return isinstance(error, PoolTimeout) or state[:2] in {"40", "55"} or state == QUERY_CANCELED
