"""The scheduler: who is told, in which order, and what it finds without a hint."""

from __future__ import annotations

from uuid import UUID

import pytest

from hub.delivery import scheduler, services
from hub.delivery.scheduler import Chore, Found, Scheduler, take_turns
from hub.lib import postgres
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, let_time_pass, make_worker, message, run
from tests.receivers import Receiver

ACME, GLOBEX = UUID(int=1), UUID(int=2)


def found(pipeline_id: int, workspace_id: UUID) -> Found:
    return Found(pipeline_id, workspace_id, is_slow=False, has_expired=False)


def test_workspaces_take_turns_however_many_pipelines_one_has() -> None:
    many = [found(n, ACME) for n in range(4)] + [found(10, GLOBEX), found(11, GLOBEX)]
    assert [item.pipeline_id for item in take_turns(many)] == [0, 10, 1, 11, 2, 3]


@pytest.mark.django_db(transaction=True)
class TestFinding:
    """Against the real tables."""

    def find(self, brain: Scheduler, now: float = 0.0) -> set[int]:
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            return {item.pipeline_id for item in brain._find(connection, now)}

    def test_a_new_event_is_found_by_its_count_row(self, source: Source, receiver: Receiver) -> None:
        worker = make_worker()
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        pipeline = run(hook, worker)
        brain = Scheduler()
        self.find(brain)
        assert pipeline.pk not in self.find(brain)
        append(source, [message(1)])
        assert pipeline.pk in self.find(brain)
        run(hook, worker)
        assert pipeline.pk not in self.find(brain)
        worker.sender.shutdown(0.0)

    def test_a_retry_that_is_due_is_found(self, source: Source, receiver: Receiver) -> None:
        worker = make_worker()
        hook = factories.make_destination(source.workspace, url=receiver.script("/f", [500]), sources=[source])
        append(source, [message(1)])
        pipeline = run(hook, worker)
        brain = Scheduler()
        self.find(brain)
        assert pipeline.pk not in self.find(brain)
        let_time_pass(hook)
        with postgres.connect() as connection:
            connection.execute("UPDATE delivery_pipeline SET next_run_at = now() WHERE id = %s", [pipeline.pk])
        assert pipeline.pk in self.find(brain)
        worker.sender.shutdown(0.0)

    def test_a_lease_that_ran_out_is_found(self, source: Source, receiver: Receiver) -> None:
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        worker = make_worker()
        pipeline = run(hook, worker)
        with postgres.connect() as connection:
            connection.execute(
                "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s', next_run_at = now() WHERE id = %s",
                [pipeline.pk],
            )
        assert pipeline.pk in self.find(Scheduler())
        worker.sender.shutdown(0.0)

    def test_a_paused_destination_is_left_alone(self, source: Source, receiver: Receiver) -> None:
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        worker = make_worker()
        pipeline = run(hook, worker)
        services.pause(hook, "a break", factories.TESTER)
        append(source, [message(1)])
        assert pipeline.pk not in self.find(Scheduler())
        services.resume(hook, factories.TESTER)
        assert pipeline.pk in self.find(Scheduler())
        worker.sender.shutdown(0.0)

    def test_a_failing_chore_stops_nothing(self, source: Source) -> None:
        done: list[str] = []

        def fail(_: object) -> None:
            raise ValueError("broken")

        brain = Scheduler(chores=(Chore("bad", 60, "", fail), Chore("good", 60, "", lambda _: done.append("good"))))
        with postgres.connect() as connection:
            brain._do_chores(connection, 100.0)
            brain._do_chores(connection, 101.0)
        assert done == ["good"]


def test_every_chore_has_a_sentence_and_a_name_of_its_own() -> None:
    from hub.schedule import CHORES

    assert len({chore.name for chore in CHORES}) == len(CHORES)
    assert all(chore.why.endswith(".") for chore in CHORES)
    assert scheduler.TICK_SECONDS <= 1.0
