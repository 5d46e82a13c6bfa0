"""What a destination's fault means for its pipeline: wait, probe, pause or stop. The backlog stays where it is."""

from __future__ import annotations

import random
from dataclasses import dataclass

from psycopg import Connection

from connectors.http import Outcome
from hub.delivery import breaker, retry
from hub.delivery.leases import Lease
from hub.delivery.outcomes import storable
from hub.delivery.run import Fault, Memory
from hub.lib.postgres import Row
from hub.observability import log
from tenants import services as tenants
from tenants.auditing import Actor
from tenants.models import Destination

UNAUTHORIZED_BEFORE_PAUSE = 3
logger = log.get(__name__)
DELIVERY = Actor(label="delivery")

HOLD = """
UPDATE delivery_pipeline SET held_until = now() + make_interval(secs => %(seconds)s), held_reason = %(reason)s,
    circuit = %(circuit)s::text, circuit_probes = 0, circuit_reopened = %(reopened)s,
    unauthorized_count = %(unauthorized)s,
    circuit_opened_at = CASE WHEN %(circuit)s::text = 'open' THEN coalesce(circuit_opened_at, now()) END,
    last_failure_at = now(), last_failure = %(message)s
WHERE id = %(id)s AND fence = %(fence)s
"""
PROBED = """
UPDATE delivery_pipeline SET circuit_probes = %(probes)s, circuit = %(circuit)s::text, unauthorized_count = 0,
    circuit_reopened = CASE WHEN %(circuit)s::text = 'closed' THEN 0 ELSE circuit_reopened END,
    circuit_opened_at = CASE WHEN %(circuit)s::text = 'closed' THEN NULL ELSE circuit_opened_at END,
    held_until = NULL, held_reason = ''
WHERE id = %(id)s AND fence = %(fence)s
"""


@dataclass(slots=True)
class Hold:
    """For how long a pipeline is left alone, and how its circuit stands meanwhile."""

    seconds: float
    circuit: str
    reopened: int = 0
    unauthorized: int = 0


def apply(connection: Connection[Row], lease: Lease, fault: Fault, memory: Memory) -> None:
    """Hold the pipeline; pause or stop the destination when waiting alone cannot mend it."""
    hold = _hold(lease, fault, memory)
    values = {
        "id": lease.pipeline_id,
        "fence": lease.fence,
        "seconds": hold.seconds,
        "circuit": hold.circuit,
        "reopened": hold.reopened,
        "unauthorized": hold.unauthorized,
        "reason": storable(f"{fault.kind}: {fault.reason}"),
        "message": storable(fault.message or fault.reason, 300),
    }
    connection.execute(HOLD, values)
    logger.warning(
        "pipeline_held", pipeline=lease.pipeline_id, kind=fault.kind, reason=fault.reason, seconds=round(hold.seconds)
    )
    if fault.kind == Outcome.DISABLED or hold.unauthorized >= UNAUTHORIZED_BEFORE_PAUSE:
        stop_or_pause(lease, fault)


def _hold(lease: Lease, fault: Fault, memory: Memory) -> Hold:
    if fault.kind == Outcome.THROTTLED:
        memory.pauses += 1
        wait = retry.pause(pause_count=memory.pauses, chance=random.random, retry_after_s=fault.retry_after_s)
        return Hold(wait, lease.circuit, lease.circuit_reopened)
    if fault.kind == Outcome.UNAUTHORIZED:
        return Hold(
            breaker.probe_delay(lease.unauthorized_count, _jitter()),
            "open",
            lease.circuit_reopened,
            lease.unauthorized_count + 1,
        )
    reopened = lease.circuit_reopened + 1 if lease.circuit == "open" else 0
    delay = max(breaker.probe_delay(reopened, _jitter()), fault.retry_after_s or 0.0)
    return Hold(min(delay, retry.LONGEST_DESTINATION_WAIT_SECONDS), "open", reopened)


def stop_or_pause(lease: Lease, fault: Fault) -> None:
    """Refused credentials pause, a receiver that is gone stops; either way the owner acts and the backlog waits."""
    destination = Destination.objects.for_workspace(lease.workspace_id).get(pk=lease.destination_id)
    reason = storable(f"{fault.reason}: {fault.message}", 500)
    if fault.kind == Outcome.DISABLED:
        tenants.stop_destination(destination, reason, actor=DELIVERY)
    else:
        tenants.pause_destination(destination, reason, actor=DELIVERY)


def note_good_probe(connection: Connection[Row], lease: Lease) -> None:
    """A probe arrived; the third in a row closes the circuit, and the lane grows from two calls again."""
    lease.circuit_probes += 1
    if lease.circuit_probes >= breaker.PROBES_TO_CLOSE:
        lease.circuit = "closed"
    values = {"id": lease.pipeline_id, "fence": lease.fence, "probes": lease.circuit_probes, "circuit": lease.circuit}
    connection.execute(PROBED, values)


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads probes, guards nothing
