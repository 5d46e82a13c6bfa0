"""Failures for tests of repair: dead letters that a real turn has made, with the books that go with them."""

from __future__ import annotations

import json
from typing import Any

from hub.delivery.models import DeadLetter
from hub.delivery.repair import acts
from hub.delivery.repair.selection import Selection
from hub.delivery.worker import Worker
from hub.jobs import runner
from hub.jobs.models import Job
from hub.lib import postgres
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

MANY = 45


def connect(source: Source, receiver: Receiver, **options: Any) -> Destination:
    """A destination that refuses its first events and takes all others, each user's event being of its own."""
    url = receiver.script("/strict", [422] * options.pop("refused", 0))
    return factories.make_destination(
        source.workspace, options.pop("slug", "hook"), url=url, sources=[source], **options
    )


def fail(source: Source, receiver: Receiver, worker: Worker, count: int, **options: Any) -> Destination:
    """A destination at which `count` events have ended as dead letters."""
    hook = connect(source, receiver, refused=count, **options)
    append(source, [message(n, user=f"u{n}") for n in range(count)])
    run(hook, worker)
    assert DeadLetter.objects.filter(destination_id=hook.pk).count() == count
    receiver.requests.clear()
    return hook


def everything(hook: Destination, **narrowing: Any) -> Selection:
    return Selection(hook.workspace_id, hook.pk, **narrowing)


def run_to_its_end(job: Job, hook: Destination, worker: Worker) -> Job:
    """Turns of the job and of the pipeline by turns, as workers would take them."""
    for _ in range(200):
        with postgres.connect() as connection:
            connection.execute("UPDATE jobs_job SET next_run_at = now() WHERE id = %s", [job.pk])
        runner.run(job.pk, turn_seconds=0.0)
        run(hook, worker)
        job.refresh_from_db()
        if not job.is_active:
            return job
    raise AssertionError(f"the job is still {job.state}: {job.note}")


def numbers(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["properties"]["n"] for request in receiver.requests]


def repair(hook: Destination, verb: acts.Verb = acts.RETRY, **narrowing: Any) -> acts.Done:
    return acts.act(verb, [everything(hook, **narrowing)], TESTER, "tests")
