"""What a destination's fault means for its pipeline: wait, probe, pause or stop. The backlog stays where it is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from time import monotonic

from psycopg import Connection

from connectors.http import Outcome
from hub.delivery import breaker, learning, retry
from hub.delivery.leases import Lease
from hub.delivery.outcomes import storable
from hub.delivery.run import Fault, Memory, Run
from hub.lib.postgres import Row
from hub.observability import log, metrics
from tenants import services as tenants
from tenants.auditing import Actor
from tenants.models import Destination

UNAUTHORIZED_BEFORE_PAUSE = 3
UNAUTHORIZED_WITHIN_SECONDS = 600
TELL_AFTER_SECONDS = 3_600.0
STOP_AFTER_SECONDS = 5 * 86_400.0
logger = log.get(__name__)
DELIVERY = Actor(label="delivery")

# Refusals of the credentials only count together when they come within ten minutes.
HOLD = """
UPDATE delivery_pipeline SET held_until = now() + make_interval(secs => %(seconds)s), held_reason = %(reason)s,
    circuit = %(circuit)s::text, circuit_probes = 0, circuit_reopened = %(reopened)s,
    unauthorized_count = CASE WHEN NOT %(is_unauthorized)s THEN 0
        WHEN unauthorized_since > now() - make_interval(secs => %(within)s) THEN unauthorized_count + 1 ELSE 1 END,
    unauthorized_since = CASE WHEN NOT %(is_unauthorized)s THEN NULL
        WHEN unauthorized_since > now() - make_interval(secs => %(within)s) THEN unauthorized_since ELSE now() END,
    circuit_opened_at = CASE WHEN %(circuit)s::text <> 'closed' THEN coalesce(circuit_opened_at, now()) END,
    last_failure_at = now(), last_failure = %(message)s
WHERE id = %(id)s AND fence = %(fence)s
RETURNING unauthorized_count, coalesce(extract(epoch FROM now() - circuit_opened_at), 0), circuit_told_at IS NOT NULL
"""
# The limit that was hit is the destination's, so its other shards wait too; in order, as they may do the same.
HOLD_SIBLINGS = """
WITH others AS (
    SELECT id FROM delivery_pipeline WHERE destination_id = %(destination)s AND kind = 'live' ORDER BY id FOR UPDATE
)
UPDATE delivery_pipeline p SET held_until = greatest(p.held_until, now() + make_interval(secs => %(seconds)s)),
    held_reason = %(reason)s
FROM others o WHERE p.id = o.id AND p.id <> %(id)s
"""
TOLD = "UPDATE delivery_pipeline SET circuit_told_at = now() WHERE id = %s"
STEP = """
UPDATE delivery_pipeline p SET circuit_probes = %(probes)s, circuit = %(circuit)s::text, unauthorized_count = 0,
    unauthorized_since = NULL, held_until = NULL, held_reason = '',
    circuit_reopened = CASE WHEN %(circuit)s::text = 'closed' THEN 0 ELSE p.circuit_reopened END,
    circuit_opened_at = CASE WHEN %(circuit)s::text = 'closed' THEN NULL ELSE p.circuit_opened_at END,
    circuit_told_at = CASE WHEN %(circuit)s::text = 'closed' THEN NULL ELSE p.circuit_told_at END
FROM (SELECT circuit_told_at FROM delivery_pipeline WHERE id = %(id)s) before
WHERE p.id = %(id)s AND p.fence = %(fence)s
RETURNING before.circuit_told_at IS NOT NULL
"""


@dataclass(slots=True)
class Hold:
    """For how long a pipeline is left alone, and how its circuit stands meanwhile."""

    seconds: float
    circuit: str
    reopened: int = 0


def apply(connection: Connection[Row], lease: Lease, fault: Fault, memory: Memory) -> None:
    """Hold the pipeline; tell the owner, pause or stop the destination when waiting alone cannot mend it."""
    hold = _hold(lease, fault, memory)
    values = {
        "id": lease.pipeline_id,
        "fence": lease.fence,
        "destination": lease.destination_id,
        "seconds": hold.seconds,
        "circuit": hold.circuit,
        "reopened": hold.reopened,
        "is_unauthorized": fault.kind == Outcome.UNAUTHORIZED,
        "within": UNAUTHORIZED_WITHIN_SECONDS,
        "reason": storable(f"{fault.kind}: {fault.reason}"),
        "message": storable(fault.message or fault.reason, 300),
    }
    row = connection.execute(HOLD, values).fetchone()
    logger.warning(
        "pipeline_held", pipeline=lease.pipeline_id, kind=fault.kind, reason=fault.reason, seconds=round(hold.seconds)
    )
    if hold.circuit != lease.circuit:
        metrics.circuit_changes.labels(hold.circuit).inc()
    if row is None:
        return
    if fault.kind == Outcome.THROTTLED:
        connection.execute(HOLD_SIBLINGS, values)
    refused_count, open_seconds, is_told = int(str(row[0])), float(str(row[1])), bool(row[2])
    if fault.kind == Outcome.DISABLED or refused_count >= UNAUTHORIZED_BEFORE_PAUSE:
        stop_or_pause(lease, fault)
    elif open_seconds > STOP_AFTER_SECONDS:
        message = f"Nothing could be delivered for five days. {fault.message}"
        stop_or_pause(lease, Fault(Outcome.DISABLED.value, fault.reason, message))
    elif open_seconds > TELL_AFTER_SECONDS and not is_told:
        _tell(connection, lease, fault, open_seconds)


def _hold(lease: Lease, fault: Fault, memory: Memory) -> Hold:
    if fault.kind == Outcome.THROTTLED:
        memory.pauses += 1
        wait = retry.pause(pause_count=memory.pauses, chance=random.random, retry_after_s=fault.retry_after_s)
        return Hold(wait, lease.circuit, lease.circuit_reopened)
    # Three good probes are an answer: what fails after them is counted anew, or some bad luck would last for minutes.
    reopened = lease.circuit_reopened + 1 if lease.circuit == "open" else 0
    delay = max(breaker.probe_delay(reopened, _jitter()), fault.retry_after_s or 0.0)
    return Hold(min(delay, retry.LONGEST_DESTINATION_WAIT_SECONDS), "open", reopened)


def stop_or_pause(lease: Lease, fault: Fault) -> None:
    """Refused credentials pause, a receiver that is gone stops; either way the owner acts and the backlog waits."""
    destination = _destination(lease)
    reason = storable(f"{fault.reason}: {fault.message}", 500)
    if fault.kind == Outcome.DISABLED:
        tenants.stop_destination(destination, reason, actor=DELIVERY)
    else:
        tenants.pause_destination(destination, reason, actor=DELIVERY)


def learn(connection: Connection[Row], lease: Lease, run: Run) -> None:
    """Keep what this turn's answers taught, for all shards and for whoever runs the pipeline next."""
    if run.memory.streak != run.lessons.streak:
        learning.keep_streak(connection, lease, run.memory.streak)
    lessons, destination_id = run.lessons, lease.destination_id
    if run.has_learned_batch:
        learning.learn_batch(connection, destination_id, lessons.items or 1, lessons.bytes or 0)
        logger.warning("batch_limit_learned", destination=str(destination_id), items=lessons.items, bytes=lessons.bytes)
    if run.fault is not None and run.fault.kind == Outcome.THROTTLED:
        _learn_rate(connection, lease, run)


def _learn_rate(connection: Connection[Row], lease: Lease, run: Run) -> None:
    """Slow down. A refusal after a handful of calls is not about how fast they came: then only the pause is kept."""
    limit, window = run.config.calls_per_second, run.memory.window
    rate = run.lessons.slowed(limit)
    ceiling = limit if limit is not None or rate is None else run.lessons.rate_before
    seen = window.calls_a_second(monotonic())
    if rate is not None or window.calls >= breaker.MIN_CALLS:
        learning.learn_rate(connection, lease.destination_id, rate, ceiling, seen)
        slowed_from = round(rate or seen, 3)
        logger.warning("rate_limit_learned", destination=str(lease.destination_id), slowed_from=slowed_from)


def note_good_probe(connection: Connection[Row], lease: Lease) -> None:
    """A probe arrived; after the third in a row calls flow again, one at a time at first."""
    probes = lease.circuit_probes + 1
    if probes >= breaker.PROBES_TO_CLOSE:
        step(connection, lease, "ramp", 0)
    else:
        step(connection, lease, "open", probes)


def step(connection: Connection[Row], lease: Lease, circuit: str, probes: int) -> None:
    """Write down how far a circuit has come on its way to being closed; in a ramp, `probes` are its doublings."""
    if circuit != lease.circuit:
        metrics.circuit_changes.labels(circuit).inc()
    lease.circuit, lease.circuit_probes = circuit, probes
    values = {"id": lease.pipeline_id, "fence": lease.fence, "probes": probes, "circuit": circuit}
    row = connection.execute(STEP, values).fetchone()
    if circuit == "closed" and row is not None and row[0]:
        logger.info("circuit_closed", pipeline=lease.pipeline_id)
        tenants.note_recovery(_destination(lease), actor=DELIVERY)


def _tell(connection: Connection[Row], lease: Lease, fault: Fault, open_seconds: float) -> None:
    """Tell the owner once that nothing has been delivered for long; the destination stays active and is probed."""
    connection.execute(TOLD, [lease.pipeline_id])
    logger.error(
        "circuit_open_for_long", pipeline=lease.pipeline_id, reason=fault.reason, open_seconds=round(open_seconds)
    )
    tenants.note_trouble(_destination(lease), storable(f"{fault.reason}: {fault.message}", 500), actor=DELIVERY)


def _destination(lease: Lease) -> Destination:
    return Destination.objects.for_workspace(lease.workspace_id).get(pk=lease.destination_id)


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads probes, guards nothing
