from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hub.delivery import crew, leases
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message
from tests.delivery.logged import run as deliver
from tests.receivers import Receiver


def dead_pid() -> int:
    """The id of a process that has ended and been noticed."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_process_that_runs_is_not_gone_and_one_that_ended_is() -> None:
    assert not crew.is_gone(str(os.getpid()))
    assert crew.is_gone(str(dead_pid()))


def test_a_process_that_only_waits_to_be_noticed_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert crew.is_gone(str(ended.pid))


@pytest.mark.parametrize("text", ["", "x", "1 2"])
def test_what_is_no_process_id_is_nobody_who_died(text: str) -> None:
    assert not crew.is_gone(text)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("owner", "is_ended"),
    [
        (f"{crew.machine()}:{dead_pid()}", True),
        (f"{crew.machine()}:{os.getpid()}", False),
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
