from __future__ import annotations

import os

import pytest

from hub.delivery import crew, leases
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres, workers
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message
from tests.delivery.logged import run as deliver
from tests.lib.test_workers import dead_pid
from tests.receivers import Receiver


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("owner", "is_ended"),
    [
        (f"{workers.machine()}:{dead_pid()}", True),
        (f"{workers.machine()}:{os.getpid()}", False),
        (f"elsewhere-00000000:{dead_pid()}", False),
    ],
    ids=["dead here", "alive here", "on another machine"],
)
def test_only_leases_of_workers_that_died_here_are_ended(
    source: Source, receiver: Receiver, worker: Worker, owner: str, is_ended: bool
) -> None:
    hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
    append(source, [message(1)])
    deliver(hook, worker)
    pipeline = Pipeline.objects.get(destination_id=hook.pk)
    with postgres.connect() as connection:
        assert leases.claim(connection, pipeline.pk, owner) is not None
        assert crew.end_leases_of_dead(connection) == int(is_ended)
        found = leases.claim(connection, pipeline.pk, worker.name)
    assert (found is not None and found.has_expired) == is_ended
