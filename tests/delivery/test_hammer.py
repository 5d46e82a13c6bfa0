"""The books at every moment: whatever happens at once, no look ever shows a difference."""

from __future__ import annotations

import pytest

from hub.delivery.worker import Worker
from hub.lib import postgres
from tenants.models import Source
from tests import factories
from tests.delivery.hammer import FLAKY, Hammer
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def hammer(source: Source, receiver: Receiver, worker: Worker, seed: int) -> Hammer:
    for number in range(3):
        url = receiver.script(f"/flaky/{number}", FLAKY)
        factories.make_destination(
            source.workspace, url=url, sources=[source], ordering=("none", "per_user")[number % 2]
        )
    return Hammer(source.workspace, receiver, worker, seed)


def test_no_look_at_the_books_ever_shows_a_difference(source: Source, receiver: Receiver, worker: Worker) -> None:
    made = hammer(source, receiver, worker, seed=1)
    made.run(12, lambda done: done.looks > 20 and done.switches > 50 and done.folded > 50)
    assert made.problems == []
    assert made.written > 500


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_no_look_ever_shows_a_difference_for_minutes(
    source: Source, receiver: Receiver, worker: Worker, seed: int
) -> None:
    made = hammer(source, receiver, worker, seed)
    made.run(90, lambda done: done.looks > 300 and done.switches > 500 and done.folded > 500)
    assert made.problems == []
    postgres.close_pools()
