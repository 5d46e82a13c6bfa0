"""Kinds of jobs for tests: they write numbers into a table, and may fail or wait as the job's arguments say."""

from __future__ import annotations

from typing import ClassVar

import psycopg

from hub.jobs.errors import StepFailed
from hub.jobs.kinds import JobState, Progress
from hub.lib.postgres import PgConnection

MAKE = "CREATE TABLE IF NOT EXISTS test_tally (number int)"
STEP = 10


class Counting:
    """Writes the numbers below `total`, ten in a step. `stumbles_at` names a place where `error` is raised."""

    title = "Count"
    told: ClassVar[list[int]] = []

    def step(self, job: JobState, connection: PgConnection) -> Progress:
        place = int(job.cursor.get("place", 0))
        numbers = range(place, min(place + STEP, job.total or 0))
        connection.cursor().executemany("INSERT INTO test_tally VALUES (%s)", [(number,) for number in numbers])
        if job.arguments.get("stumbles_at") == place:
            raise ERRORS[job.arguments["error"]]
        return Progress(
            cursor={"place": place + len(numbers)},
            done=len(numbers),
            changed=len(numbers),
            is_over=not numbers,
            wait_seconds=job.arguments.get("wait_seconds", 0.0),
            note=job.arguments.get("note", ""),
            after=lambda: self.told.append(place),
        )


ERRORS = {
    "deadlock": psycopg.errors.DeadlockDetected("deadlock detected"),
    "bug": ZeroDivisionError("by zero"),
    "refusal": StepFailed("There is nothing to count with."),
}
