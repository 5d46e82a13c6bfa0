"""How quickly pipelines work at the moment: what they have committed in the last seconds, read from their batch rows.

A turn says how quick it was only when it is over, and the turns before an outage had other loads. What was committed
just now, with the pauses in between, is how long the rest takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.db import connection

# Without commits for so long there was nothing to do, or nothing could be done: what lies before tells nothing.
PAUSE_SECONDS = 3.0
# A receiver that is back gets one call at a time, then two, then four.
FIRST_SECONDS = 2.0
LOOK_BACK_SECONDS = 10.0
LEAST_SECONDS = 2.0
# Of all pipelines together, by number, which has an index: at 250 commits a second these are 20 seconds.
LATEST = """
SELECT b.pipeline_id, extract(epoch FROM clock_timestamp() - b.at)::float8, b.event_count
FROM delivery_batch b
WHERE b.id > (SELECT coalesce(max(m.id), 0) - 5000 FROM delivery_batch m) AND b.pipeline_id = ANY(%s)
  AND NOT b.is_retry AND b.at > now() - make_interval(secs => %s)
ORDER BY b.at DESC
"""


@dataclass(frozen=True, slots=True)
class Commit:
    """So long ago so many events were decided."""

    age: float
    events: int


@dataclass(frozen=True, slots=True)
class Outflow:
    """Events a second, since so many seconds ago."""

    per_second: float
    seconds: float


def latest(pipeline_ids: Sequence[int]) -> dict[int, Outflow]:
    """What these pipelines send now, for those that have been at it for some seconds."""
    commits: defaultdict[int, list[Commit]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(LATEST, [list(pipeline_ids), LOOK_BACK_SECONDS + FIRST_SECONDS + PAUSE_SECONDS])
        for pipeline_id, age, events in cursor.fetchall():
            commits[pipeline_id].append(Commit(age, events))
    measured = {pipeline_id: measure(found) for pipeline_id, found in commits.items()}
    return {pipeline_id: outflow for pipeline_id, outflow in measured.items() if outflow is not None}


def measure(commits: Sequence[Commit]) -> Outflow | None:
    """The rate of the last commits, the newest first; None when they are too few, or none came of late.

    1. What lies before a pause is left out, and the first seconds after it. 2. From one commit to the last, what came
    after the one took just that time.
    """
    if not commits or commits[0].age > PAUSE_SECONDS:
        return None
    pauses = (place for place, (new, old) in enumerate(pairwise(commits), 1) if old.age - new.age > PAUSE_SECONDS)
    length = next(pauses, len(commits))
    since = min(LOOK_BACK_SECONDS, commits[length - 1].age - FIRST_SECONDS)
    series = [commit for commit in commits[:length] if commit.age <= since]
    seconds = series[-1].age - series[0].age if series else 0.0
    if seconds < LEAST_SECONDS:
        return None
    return Outflow(sum(commit.events for commit in series[:-1]) / seconds, series[-1].age)
