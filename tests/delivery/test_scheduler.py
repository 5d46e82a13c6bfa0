"""The scheduler: who is told, in which order, and what it finds without a hint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from hub.delivery import leases, loop, scheduler, services, sharding
from hub.delivery.chores import Chore, Housekeeping
from hub.delivery.models import Pipeline, WorkerBeat
from hub.delivery.scheduler import Found, Scheduler, Slots, choose, take_turns
from hub.delivery.worker import Worker
from hub.lib import clock, postgres
from hub.schedule import CHORES
from tenants import services as tenants
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, let_time_pass, make_worker, message, run
from tests.factories import TESTER
from tests.receivers import Receiver

ACME, GLOBEX, INITECH = UUID(int=1), UUID(int=2), UUID(int=3)


def found(pipeline_id: int, workspace_id: UUID, *, is_slow: bool = False) -> Found:
    return Found(pipeline_id, workspace_id, is_slow, has_expired=False)


def many(count: int, workspace_id: UUID, start: int = 0, *, is_slow: bool = False) -> list[Found]:
    return [found(start + number, workspace_id, is_slow=is_slow) for number in range(count)]


def test_workspaces_take_turns_however_many_pipelines_one_has() -> None:
    waiting = [*many(4, ACME), found(10, GLOBEX), found(11, GLOBEX)]
    assert [item.pipeline_id for item in take_turns(waiting)] == [0, 10, 1, 11, 2, 3]


def test_no_more_is_told_than_twice_the_free_slots() -> None:
    assert len(choose(many(500, ACME), Slots(50, {ACME: 30}), must_share=False)) == 40
    assert len(choose(many(500, ACME), Slots(50, {ACME: 50}), must_share=False)) == 2


def test_a_workspace_gets_a_quarter_of_the_slots_while_others_wait_and_all_of_them_otherwise() -> None:
    waiting = many(100, ACME) + many(3, GLOBEX, 1_000)
    slots = Slots(40, {ACME: 4})
    chosen = choose(waiting, slots, must_share=slots.must_share(waiting))
    assert sum(item.workspace_id == ACME for item in chosen) == 6
    assert sum(item.workspace_id == GLOBEX for item in chosen) == 3
    alone = Slots(40, {ACME: 4})
    assert not alone.must_share(many(100, ACME))
    assert len(choose(many(100, ACME), alone, must_share=False)) == 72


def test_sharing_begins_when_more_wait_than_can_run_and_not_before() -> None:
    assert not Slots(50, {ACME: 10}).must_share([found(1, GLOBEX)])
    assert Slots(50, {ACME: 50}).must_share([found(1, GLOBEX)])
    assert Slots(4, {}).must_share([*many(4, ACME), found(9, INITECH)])


def test_a_workspace_may_always_have_two_slots() -> None:
    waiting = many(3, ACME) + many(3, GLOBEX, 10)
    chosen = choose(waiting, Slots(4, {}), must_share=True)
    assert [item.workspace_id for item in chosen] == [ACME, GLOBEX, ACME, GLOBEX]


def test_slow_pipelines_get_three_fifths_of_the_slots_and_quick_ones_the_rest() -> None:
    waiting = many(60, ACME, is_slow=True) + many(5, GLOBEX, 100)
    chosen = choose(waiting, Slots(50, {INITECH: 30}, taken_slowly=30), must_share=False)
    assert {item.workspace_id for item in chosen} == {GLOBEX}
    chosen = choose(waiting, Slots(50, {INITECH: 20}, taken_slowly=20), must_share=False)
    assert sum(item.is_slow for item in chosen) == 20


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

    def test_nobody_is_woken_for_events_of_sources_that_are_not_its_own(
        self, source: Source, receiver: Receiver
    ) -> None:
        worker = make_worker()
        hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
        alone = factories.make_destination(source.workspace, "alone", url=receiver.url("/ok"))
        other = factories.make_source(source.workspace, "other")
        elsewhere = factories.make_destination(source.workspace, "else", url=receiver.url("/ok"), sources=[other])
        mine, *strangers = (run(each, worker).pk for each in (hook, alone, elsewhere))
        brain = Scheduler()
        self.find(brain)
        append(source, [message(1)])
        assert self.find(brain) == {mine}
        assert [key for key, _ in services.idle_pipelines(source.workspace_id, 10)] == [mine]
        tenants.connect(source, alone, actor=TESTER)
        append(source, [message(2)])
        assert self.find(brain) == {mine, strangers[0]}
        worker.sender.shutdown(0.0)

    def test_what_waits_at_a_connection_that_is_cut_is_still_found(self, source: Source, receiver: Receiver) -> None:
        worker = make_worker()
        hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
        pipeline = run(hook, worker)
        brain = Scheduler()
        self.find(brain)
        append(source, [message(1)])
        tenants.disconnect(source, hook, actor=TESTER)
        assert self.find(brain) == {pipeline.pk}
        assert [key for key, _ in services.idle_pipelines(source.workspace_id, 10)] == [pipeline.pk]
        worker.sender.shutdown(0.0)

    def test_a_destination_that_is_off_is_woken_for_what_waits_and_then_no_more(
        self, source: Source, receiver: Receiver
    ) -> None:
        worker = make_worker()
        hook = factories.make_destination(source.workspace, "hook", url=receiver.url("/ok"), sources=[source])
        pipeline = run(hook, worker)
        brain = Scheduler()
        self.find(brain)
        append(source, [message(1)])
        tenants.set_destination_enabled(hook, False, actor=TESTER)
        assert self.find(brain) == {pipeline.pk}
        append(source, [message(2)])
        run(hook, worker)
        append(source, [message(3)])
        assert self.find(brain) == set()
        assert services.idle_pipelines(source.workspace_id, 10) == []
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

    def test_after_a_long_time_without_a_scheduler_old_events_are_found_too(
        self, source: Source, receiver: Receiver
    ) -> None:
        hook = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        worker = make_worker()
        pipeline = run(hook, worker)
        append(source, [message(1)])
        with postgres.connect() as connection:
            connection.execute("UPDATE event_count SET at = now() - interval '3 days'")
            connection.execute("UPDATE delivery_pipeline SET next_run_at = NULL")
        assert pipeline.pk in self.find(Scheduler())
        worker.sender.shutdown(0.0)

    def test_whoever_was_told_longest_ago_comes_first(self, source: Source) -> None:
        for _ in range(3):
            factories.make_destination(source.workspace, url="http://127.0.0.1:1/x", sources=[source])
        now = clock.now()
        WorkerBeat.objects.create(name="one", slots=1, started_at=now, beat_at=now, taken_at=now)
        brain = Scheduler()
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            keys = list(Pipeline.objects.order_by("pk").values_list("pk", flat=True))
            brain.told = {keys[0]: 97.0, keys[1]: 95.0}
            brain._tell(connection, brain._find(connection, 100.0), 100.0)
        told = [key for key, at in brain.told.items() if at == 100.0]
        assert sorted(told) == keys[1:]

    def test_the_workers_hear_that_they_must_share(self, source: Source) -> None:
        for _ in range(3):
            stranger = factories.make_source(factories.make_workspace(), "app")
            factories.make_destination(stranger.workspace, url="http://127.0.0.1:1/x", sources=[stranger])
        now = clock.now()
        WorkerBeat.objects.create(name="one", slots=1, started_at=now, beat_at=now, taken_at=now)
        brain = Scheduler()
        with postgres.connect() as connection:
            brain.tick(connection)
            states = [(brain.is_crowded, WorkerBeat.objects.get().must_share)]
            connection.execute("UPDATE delivery_pipeline SET next_run_at = NULL")
            brain.tick(connection)
            states.append((brain.is_crowded, WorkerBeat.objects.get().must_share))
        assert states == [(True, True), (False, False)]


@pytest.mark.django_db(transaction=True)
class TestSlots:
    """What a worker lets run."""

    def test_a_hint_that_finds_no_slot_is_dropped_and_makes_the_turns_short(self) -> None:
        worker = make_worker()
        worker.slots = 1
        assert worker.enter()
        assert not worker.is_crowded()
        assert not worker.enter()
        assert worker.is_crowded()
        worker.leave()
        assert worker.enter()

    def test_hanging_pipelines_leave_slots_to_the_quick_ones(self, source: Source, receiver: Receiver) -> None:
        """Ten slots, of which the hanging ones hold six at most; a pipeline that has succeeded once finds one."""
        worker = make_worker()
        worker.slots = 10
        quick = factories.make_destination(source.workspace, url=receiver.url("/ok"), sources=[source])
        append(source, [message(0)])
        run(quick, worker)
        hanging = [
            factories.make_destination(source.workspace, url=receiver.url("/hang"), sources=[source]) for _ in range(15)
        ]
        append(source, [message(1)])
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
        keys = list(Pipeline.objects.exclude(destination_id=quick.pk).values_list("pk", flat=True))
        assert len(keys) == len(hanging)
        threads = [threading.Thread(target=loop.run_turn, args=(key, worker)) for key in keys]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: sum(thread.is_alive() for thread in threads) == 6)
            before = len([path for path in receiver.paths() if path == "/ok"])
            run(quick, worker)
            assert len([path for path in receiver.paths() if path == "/ok"]) == before + 1
        finally:
            worker.is_stopping = True
            for thread in threads:
                thread.join(30)
        assert not Pipeline.objects.filter(lease_until__isnull=False).exists()
        worker.sender.shutdown(0.0)

    def test_a_workspace_over_its_share_lets_go_at_once_when_it_must(self, source: Source, worker: Worker) -> None:
        worker.slots = 4
        hooks = [
            factories.make_destination(source.workspace, url="http://127.0.0.1:1/x", sources=[source]) for _ in range(3)
        ]
        now = clock.now()
        WorkerBeat.objects.create(name=worker.name, slots=4, started_at=now, beat_at=now, taken_at=now, must_share=True)
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            connection.execute("UPDATE delivery_pipeline SET last_success_at = now()")
            claimed = [scheduler_lease(connection, pipeline, worker) for pipeline in Pipeline.objects.order_by("pk")]
        assert len(hooks) == 3
        assert claimed == [True, True, False]


def scheduler_lease(connection: postgres.PgConnection, pipeline: Pipeline, worker: Worker) -> bool:
    lease = leases.claim(connection, pipeline.pk, worker.name)
    assert lease is not None
    return worker.admit(lease)


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it has not come to this")


@pytest.mark.django_db(transaction=True)
class TestChores:
    """What is done every so often."""

    def test_a_failing_chore_stops_nothing(self) -> None:
        done: list[str] = []

        def fail(_: object) -> None:
            raise ValueError("broken")

        house = Housekeeping((Chore("bad", 60, "", fail), Chore("good", 60, "", lambda _: done.append("good"))))
        with postgres.connect() as connection:
            house.do_due(connection, 100.0)
            house.do_due(connection, 101.0)
            assert done == ["good"]
            house.do_due(connection, 161.0)
        assert done == ["good", "good"]

    def test_a_long_chore_keeps_no_pipeline_waiting(self, source: Source) -> None:
        """While a chore is at work the scheduler makes a pipeline."""
        is_at_work, may_end, stop = threading.Event(), threading.Event(), threading.Event()

        def work(_: object) -> None:
            is_at_work.set()
            may_end.wait(60)

        running = threading.Thread(
            target=scheduler.run_forever, args=(stop, lambda: None, [Chore("long", 60, "", work)])
        )
        running.start()
        try:
            assert is_at_work.wait(30)
            factories.make_destination(source.workspace, url="http://127.0.0.1:1/x", sources=[source])
            wait_until(lambda: Pipeline.objects.exists())
            assert not may_end.is_set()
        finally:
            stop.set()
            may_end.set()
            running.join(30)
            for thread in threading.enumerate():
                if thread.name == "chores":
                    thread.join(30)


def test_every_chore_has_a_sentence_and_a_name_of_its_own() -> None:
    assert len({chore.name for chore in CHORES}) == len(CHORES)
    assert all(chore.why.endswith(".") for chore in CHORES)
    assert scheduler.TICK_SECONDS <= 1.0


@pytest.mark.django_db(transaction=True)
class TestSpreading:
    """Shards of one destination over the processes."""

    def test_a_process_passes_a_shard_on_while_another_could_take_it_and_runs_what_comes_back(
        self, source: Source, worker: Worker
    ) -> None:
        factories.make_destination(source.workspace, url="http://127.0.0.1:1/x", sources=[source], shards=2)
        now = clock.now()
        for name in (worker.name, "other"):
            WorkerBeat.objects.create(name=name, slots=50, started_at=now, beat_at=now, taken_at=now)
        with postgres.connect() as connection:
            services.ensure_pipelines(connection)
            sharding.deal_anew(connection)
            first, second = (
                leases.claim(connection, each.pk, worker.name) for each in Pipeline.objects.order_by("shard")
            )
        assert first is not None
        assert second is not None
        assert not worker.passes_on(first)
        assert worker.admit(first)
        assert worker.passes_on(second)
        assert not worker.passes_on(second)
        worker.dismiss(first)
        assert not worker.passes_on(second)
