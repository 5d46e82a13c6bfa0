"""A workspace, a kind of job that counts, and the table that it counts into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.jobs import services
from hub.jobs.models import Job
from hub.lib import postgres
from tenants.models import Workspace
from tests import factories
from tests.factories import TESTER
from tests.jobs import counting


@pytest.fixture
def counted(settings: Any, transactional_db: None) -> Iterator[Workspace]:
    """A workspace whose jobs count; everything is committed, as other connections must see it."""
    settings.JOB_KINDS = {"tests.count": "tests.jobs.counting.Counting"}
    counting.Counting.told.clear()
    with postgres.connect() as connection:
        connection.execute(counting.MAKE)
        connection.execute("TRUNCATE test_tally")
    yield factories.make_workspace()
    with postgres.connect() as connection:
        connection.execute("DROP TABLE test_tally")
    postgres.close_pools()


def start(workspace: Workspace, total: int = 35, **arguments: Any) -> Job:
    return services.start("tests.count", workspace, arguments, TESTER, "tests", total)


def tally() -> list[int]:
    with postgres.connect() as connection:
        rows = connection.execute("SELECT number FROM test_tally ORDER BY number").fetchall()
    return [int(str(row[0])) for row in rows]


def let_lease_run_out(job: Job) -> None:
    """As if the worker that had it was killed a while ago."""
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE jobs_job SET lease_until = now() - interval '1 s', next_run_at = now() WHERE id = %s", [job.pk]
        )


def let_it_be_due(job: Job) -> None:
    with postgres.connect() as connection:
        connection.execute("UPDATE jobs_job SET next_run_at = now() WHERE id = %s", [job.pk])
