"""Events that wait in memory for their turn: as they come back from a commit, as they are loaded, as a user's chain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from hub.delivery.outcomes import ChunkOutcome, RetryDraft
from hub.delivery.parts import Delivery, RetryRef
from hub.delivery.remote import RemoteJob
from hub.lib import clock


class Waiting(NamedTuple):
    """An event that waits in memory, and from when it may be tried (monotonic seconds)."""

    delivery: Delivery
    due: float


@dataclass(slots=True)
class UserChain:
    """A user's events in memory, in log order. `out` are those that were taken from its head and are not over."""

    waiting: deque[Waiting] = field(default_factory=deque)
    out: set[int] = field(default_factory=set)
    changed_in: int = 0  # the last portion in which something of it ended


@dataclass(slots=True)
class Loaded:
    """What the table has of some users: their events in order, and whose rows were too many to take at once."""

    chains: dict[int, list[Waiting]]
    partial: int | None = None


def returned(outcome: ChunkOutcome) -> list[Waiting]:
    """The failed and parked events of a committed outcome, with their rows, each due as its rows are."""
    drafts: dict[int, list[RetryDraft]] = {}
    for draft in outcome.retries:
        drafts.setdefault(draft.row.seq, []).append(draft)
    now, at = monotonic(), clock.now()
    return [
        Waiting(again(delivery, rows, at), now + max(draft.delay for draft in rows))
        for delivery in outcome.held
        if (rows := drafts.get(delivery.row.seq))
    ]


def again(delivery: Delivery, rows: Iterable[RetryDraft], at: datetime) -> Delivery:
    """The event as it stands in its rows."""
    known = {ref.retry_id: ref.first_at for ref in delivery.refs}
    refs = [
        RetryRef(
            draft.retry_id,
            draft.mapping_id,
            draft.attempts,
            known.get(draft.retry_id, at),
            has_dead=delivery.has_dead,
            batch_key=draft.batch_key,
            job=_stored(draft.job, at),
        )
        for draft in rows
        if draft.retry_id is not None
    ]
    return Delivery(delivery.row, refs)


def _stored(job: RemoteJob | None, at: datetime) -> RemoteJob | None:
    """A job as it stands in its row."""
    if job is None or job.wait_seconds is None:
        return job
    return replace(job, until=at + timedelta(seconds=job.wait_seconds), wait_seconds=None)
