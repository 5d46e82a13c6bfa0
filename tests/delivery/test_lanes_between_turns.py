"""A lane belongs to one turn: it goes with it, and what it learned is there for the next."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.delivery import leases, loop, services
from hub.delivery.lanes import Lane
from hub.delivery.models import Pipeline
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.lib.net import Answer
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

GOOD, LATE = Answer(200, duration_ms=5.0), Answer(200, duration_ms=2_500.0)


def make_lane(*answers: Answer, learned: Any = None) -> Lane:
    lane = Lane(cast(Any, None), "pipeline", 64, False, learned)
    for answer in answers:
        lane.record(answer)
    return lane


def test_the_next_lane_knows_what_the_last_one_learned() -> None:
    first = make_lane(*[GOOD] * 50)
    second = make_lane(learned=first.learned())
    assert not second.is_slow
    assert second.learned() == first.learned()
    assert make_lane().learned() != first.learned()


@pytest.mark.parametrize(("late", "is_tardy"), [(0, False), (5, False), (6, True), (100, True)])
def test_a_pipeline_is_slow_when_more_than_one_answer_in_twenty_takes_over_two_seconds(
    late: int, is_tardy: bool
) -> None:
    assert make_lane(*[GOOD] * (100 - late), *[LATE] * late).is_tardy() is is_tardy


@pytest.mark.django_db(transaction=True)
class TestTurns:
    """With a real sender."""

    def test_no_lane_is_left_behind(self, source: Source, receiver: Receiver, worker: Worker) -> None:
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        for number in range(3):
            append(source, [message(number)])
            run(hook, worker)
        assert len(receiver.requests) == 3
        assert worker.sender._lanes == {}
        assert receiver.connections == 1

    def test_turns_of_one_pipeline_share_no_lane(self, source: Source, receiver: Receiver, worker: Worker) -> None:
        """A turn whose lease ran out may have calls under way while the next one runs."""
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            pipeline = Pipeline.objects.get(destination_id=hook.pk)
            lanes = []
            for _ in range(2):
                lease = leases.claim(connection, pipeline.pk, worker.name)
                assert lease is not None
                turn = loop.Turn(lease, worker)
                turn.main()
                assert turn.run is not None
                lanes.append(turn.run.lane)
                connection.execute("UPDATE delivery_pipeline SET lease_until = now() - interval '1 s'")
        assert lanes[0] is not lanes[1]
        assert lanes[0].key != lanes[1].key
        for lane in lanes:
            worker.sender.close_lane(lane)

    def test_a_pipeline_found_slow_is_quick_again_when_its_answers_are(
        self, source: Source, receiver: Receiver, worker: Worker
    ) -> None:
        hook = factories.make_destination(source.workspace, url=receiver.url("/delay/2200"), sources=[source])
        append(source, [message(1)])
        assert run(hook, worker).is_slow
        Pipeline.objects.update(next_run_at=None)
        hook.settings = {**hook.settings, "url": receiver.url("/ok")}
        hook.save(update_fields=["settings"])
        append(source, [message(2)])
        assert not run(hook, worker).is_slow
