"""Finding events again in a receiver's answer about a job that names them by what is in them.

What was sent is not kept, so each event's payload is worked out once more, from the log and by the mapping as it is
now. An event that can no longer be made out shares the fate of those whom the answer does not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson

from connectors.base import Named
from connectors.errors import PayloadError
from connectors.http import ItemOutcome
from hub.delivery.config import Config
from hub.delivery.parts import Part
from hub.expressions.errors import ExpressionError
from hub.observability import log
from hub.routing import decide

logger = log.get(__name__)


def apply(config: Config, parts: Sequence[Part], told: Named) -> list[ItemOutcome]:
    """One outcome for each part, in their order."""
    return [replace(told.outcomes.get(mark_of(config, part)) or told.rest, index=place_in_job(part)) for part in parts]


def place_in_job(part: Part) -> int:
    """The event's place in the job."""
    return part.ref.job.index if part.ref is not None and part.ref.job is not None else 0


def mark_of(config: Config, part: Part) -> str:
    """What the receiver calls this event; nothing where that cannot be said any more."""
    job, row = part.rule.action.job, part.delivery.row
    if job is None or job.naming is None or not row.body:
        return ""
    try:
        message = orjson.loads(row.body)
        decision = decide.decide(config.plan, message, row.source_id)
        payload = part.rule.transform(message if decision.changed is None else decision.changed)
        return job.naming.mark(payload)
    except (ExpressionError, PayloadError):  # the mapping has changed since, and makes nothing of it any more
        return ""
    except Exception:
        logger.exception("job_mark_failed", mapping=str(part.rule.mapping_id))
        return ""
