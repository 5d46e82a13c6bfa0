"""What a turn of a pipeline does about its token: have one before it begins and while it runs, renew a refused one.

In the task thread; no transaction is open, and no attempt of an event's is spent. Who has to act decides what follows:
the owner, and the destination is paused at once; the vendor, and the pipeline waits and probes as after any other
outage; another worker, and it is looked at again in a second.
"""

from __future__ import annotations

from connectors.http import Outcome
from hub.delivery import faults
from hub.delivery.config import Config
from hub.delivery.grants import errors, tokens
from hub.delivery.grants.errors import NoToken
from hub.delivery.leases import Lease
from hub.delivery.run import RENEWAL, Fault, Memory, Run
from hub.lib import postgres
from hub.observability import log

LOOK_AGAIN_SECONDS = 1.0
HOLD = """
UPDATE delivery_pipeline SET held_until = now() + make_interval(secs => %s), held_reason = %s
WHERE id = %s AND fence = %s
"""
logger = log.get(__name__)


def has_token(lease: Lease, config: Config, memory: Memory) -> bool:
    """Whether requests can be signed; if not, the pipeline has been held or the destination paused."""
    if config.need is None:
        return True
    try:
        tokens.ensure(config)
    except NoToken as error:
        _hold(lease, error, memory)
        return False
    return True


def renews(lease: Lease, run: Run) -> bool:
    """After a turn that a refused token has ended: whether there is another, with which to go on at once."""
    if run.fault is None or run.fault.kind != RENEWAL:
        return False
    try:
        tokens.renew(run.config)
    except NoToken as error:
        _hold(lease, error, run.memory)
        return False
    logger.info("refused_token_renewed", pipeline=lease.pipeline_id)
    return True


def _hold(lease: Lease, error: NoToken, memory: Memory) -> None:
    logger.warning("no_token", pipeline=lease.pipeline_id, reason=error.reason, outcome=error.outcome.value)
    if error.outcome is Outcome.UNAUTHORIZED:
        faults.stop_or_pause(lease, Fault(error.outcome.value, error.reason, str(error)))
        return
    with postgres.pool().connection() as connection:
        if error.reason == errors.PENDING:
            values = [LOOK_AGAIN_SECONDS, f"{error.outcome.value}: {error.reason}", lease.pipeline_id, lease.fence]
            connection.execute(HOLD, values)
        else:
            faults.apply(connection, lease, Fault("circuit", error.reason, str(error), error.retry_after_s), memory)
