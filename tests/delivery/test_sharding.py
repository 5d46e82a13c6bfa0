"""Shards: each user's events come from one pipeline, and the number of shards changes without a loss or a break."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum

from hub.delivery import leases, loop, outcomes, services, sharding
from hub.delivery.models import DeadLetter, OutcomeCount, Pipeline, RetryRow
from hub.delivery.outcomes import ChunkOutcome, DeadDraft, RetryDraft
from hub.delivery.trace import trace
from hub.delivery.worker import Worker
from hub.events.cursors import Position, read_rows, shard_of
from hub.lib import clock, postgres
from hub.lib.ids import key8
from tenants import services as tenants
from tenants.models import Destination, Source
from tests import factories
from tests.delivery.logged import append, books, let_time_pass, make_worker, message
from tests.factories import TESTER
from tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
USERS = [f"user-{number}" for number in range(12)]


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


def reshard(hook: Destination, shards: int) -> None:
    tenants.update_destination(hook, shards=shards, actor=TESTER)


def deal() -> int:
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
        return sharding.deal_anew(connection)


def pipelines(hook: Destination) -> list[Pipeline]:
    return list(Pipeline.objects.filter(destination_id=hook.pk).order_by("shard"))


def deal_until(hook: Destination, shards: int) -> None:
    for _ in range(100):
        deal()
        if [(each.shard, each.shard_count) for each in pipelines(hook)] == [(n, shards) for n in range(shards)]:
            return
    raise AssertionError(pipelines(hook))


def run_all(hook: Destination, worker: Worker) -> None:
    for pipeline in pipelines(hook):
        loop.run_turn(pipeline.pk, worker)


def numbers_by_user(receiver: Receiver) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for request in receiver.requests:
        body = json.loads(request.body)
        found[body["userId"]].append(body["properties"]["n"])
    return found


def one_each(start: int = 0) -> list[dict[str, Any]]:
    return [message(start + number, user) for number, user in enumerate(USERS)]


def test_each_event_is_sent_once_by_the_shard_of_its_user(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"), shards=3)
    append(source, one_each() + one_each(100))
    deal_until(hook, 3)
    for number, pipeline in enumerate(pipelines(hook)):
        before = len(receiver.requests)
        loop.run_turn(pipeline.pk, worker)
        sent = [json.loads(request.body)["userId"] for request in receiver.requests[before:]]
        assert {shard_of(key8(user), 3) for user in sent} == {number}
        assert books(hook)["eligible"] == 24
    assert Counter(len(numbers) for numbers in numbers_by_user(receiver).values()) == {2: len(USERS)}
    assert books(hook) == {"eligible": 24, "delivered": 24}


def test_a_shard_that_got_nothing_comes_along_with_its_cursor(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    append(source, [message(n) for n in range(30)])
    deal_until(hook, 2)
    run_all(hook, worker)
    first, second = pipelines(hook)
    assert (first.cursor_xid, first.cursor_seq) == (second.cursor_xid, second.cursor_seq)
    assert books(hook) == {"eligible": 30, "delivered": 30}


def test_one_pipeline_is_split_where_it_stands_though_the_destination_is_paused(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, one_each())
    deal_until(hook, 1)
    run_all(hook, worker)
    append(source, one_each(100))
    services.pause(hook, "a break", TESTER)
    reshard(hook, 4)
    deal_until(hook, 4)
    assert books(hook) == {"eligible": 24, "delivered": 12, "waiting": 12}
    assert len({(each.cursor_xid, each.cursor_seq) for each in pipelines(hook)}) == 1
    services.resume(hook, TESTER)
    run_all(hook, worker)
    assert books(hook) == {"eligible": 24, "delivered": 24}
    assert len(receiver.requests) == 24


def test_shards_at_different_places_meet_before_they_are_dealt(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    deal_until(hook, 2)
    append(source, one_each())
    ahead, behind = pipelines(hook)
    loop.run_turn(ahead.pk, worker)
    append(source, one_each(100))
    reshard(hook, 3)
    assert deal() == 0
    ahead.refresh_from_db()
    assert (ahead.until_xid, ahead.until_seq) == (ahead.cursor_xid, ahead.cursor_seq)
    waiting = books(hook)["waiting"]
    loop.run_turn(ahead.pk, worker)
    assert books(hook)["waiting"] == waiting
    assert deal() == 0
    loop.run_turn(behind.pk, worker)
    assert books(hook) == {"eligible": 24, "delivered": 12, "waiting": 12}
    with postgres.connect() as connection:
        assert leases.claim(connection, ahead.pk, "nobody reads on before the deal") is None
    deal_until(hook, 3)
    run_all(hook, worker)
    assert books(hook) == {"eligible": 24, "delivered": 24}
    assert len(receiver.requests) == 24


def test_shards_behind_the_barrier_of_a_paused_destination_wait_for_it(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    deal_until(hook, 2)
    append(source, one_each())
    loop.run_turn(pipelines(hook)[0].pk, worker)
    services.pause(hook, "a break", TESTER)
    reshard(hook, 1)
    for _ in range(3):
        assert deal() == 0
        run_all(hook, worker)
    assert books(hook)["waiting"] > 0
    services.resume(hook, TESTER)
    run_all(hook, worker)
    deal_until(hook, 1)
    run_all(hook, worker)
    assert books(hook) == {"eligible": 12, "delivered": 12}
    assert len(receiver.requests) == 12


def test_nobody_is_dealt_under_a_lease_and_none_is_given_meanwhile(source: Source) -> None:
    hook = connect(source, "http://127.0.0.1:1/never", shards=2)
    deal_until(hook, 2)
    first, second = pipelines(hook)
    with postgres.connect() as connection:
        lease = leases.claim(connection, first.pk, "one")
        assert lease is not None
        reshard(hook, 3)
        assert deal() == 0
        assert not sharding.step(connection, hook.pk, give_up_at=0.0)
        assert leases.claim(connection, second.pk, "two") is None
        assert Pipeline.objects.filter(destination_id=hook.pk, until_xid__isnull=False).count() == 0
        leases.release(connection, lease, has_more=False, is_slow=False)
    deal_until(hook, 3)


def test_a_turn_that_began_before_the_change_lets_go(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, one_each())
    deal_until(hook, 1)
    with postgres.connect() as connection:
        lease = leases.claim(connection, pipelines(hook)[0].pk, worker.name)
        assert lease is not None
    reshard(hook, 2)
    loop.Turn(lease, worker).main()
    assert receiver.requests == []


def test_a_worker_that_slept_through_its_lease_writes_nothing_behind_the_barrier(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    deal_until(hook, 2)
    append(source, one_each())
    ahead, behind = pipelines(hook)
    loop.run_turn(ahead.pk, worker)
    (seq, *_) = append(source, one_each(100))
    with postgres.connect() as connection:
        lease = leases.claim(connection, ahead.pk, "sleeper")
        assert lease is not None
        connection.execute(
            "UPDATE delivery_pipeline SET lease_until = now() - interval '1 s' WHERE id = %s", [ahead.pk]
        )
        reshard(hook, 3)
        assert deal() == 0
        row = read_rows(connection, source.workspace_id, [seq])[seq]
        outcome = ChunkOutcome(Position(lease.position.epoch, row.xid, row.seq))
        assert not outcomes.commit(connection, lease, outcome, {}, "sleeper")
    loop.run_turn(behind.pk, worker)
    deal_until(hook, 3)


def test_rows_that_wait_and_dead_letters_go_to_the_shard_of_their_user(source: Source) -> None:
    hook = connect(source, "http://127.0.0.1:1/never")
    deal_until(hook, 1)
    seqs = append(source, one_each())
    with postgres.connect() as connection:
        rows = read_rows(connection, source.workspace_id, seqs)
        lease = leases.claim(connection, pipelines(hook)[0].pk, "one")
        assert lease is not None
        last = rows[seqs[-1]]
        outcome = ChunkOutcome(
            Position(lease.position.epoch, last.xid, last.seq),
            retries=[RetryDraft(rows[seq], None, "retry", 0, 3_600.0) for seq in seqs[::2]],
            dead=[DeadDraft(rows[seq], None, "rejected", 400, "", 1, clock.now()) for seq in seqs[1::2]],
        )
        assert outcomes.commit(connection, lease, outcome, {}, "one")
        leases.release(connection, lease, has_more=False, is_slow=False)
    for shards in (5, 2, 1):
        reshard(hook, shards)
        deal_until(hook, shards)
        by_shard = {pipeline.shard: pipeline.pk for pipeline in pipelines(hook)}
        retries = RetryRow.objects.filter(destination_id=hook.pk).values_list("user_key", "pipeline_id")
        letters = DeadLetter.objects.filter(destination_id=hook.pk).values_list("user_key", "pipeline_id")
        assert (len(retries), len(letters)) == (6, 6)
        assert all(by_shard[shard_of(user, shards)] == pipeline for user, pipeline in [*retries, *letters])


def test_rows_are_moved_a_few_at_a_time(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connect(source, "http://127.0.0.1:1/never")
    seqs = append(source, one_each())
    deal_until(hook, 1)
    with postgres.connect() as connection:
        rows = read_rows(connection, source.workspace_id, seqs)
        lease = leases.claim(connection, pipelines(hook)[0].pk, "one")
        assert lease is not None
        retries = [RetryDraft(row, None, "retry", 0, 3_600.0) for row in rows.values()]
        last = rows[max(rows)]
        place = Position(lease.position.epoch, last.xid, last.seq)
        assert outcomes.commit(connection, lease, ChunkOutcome(place, retries=retries), {}, "one")
        leases.release(connection, lease, has_more=False, is_slow=False)
        monkeypatch.setattr(sharding, "BATCH", 2)
        reshard(hook, 16)
        assert not sharding.step(connection, hook.pk, give_up_at=0.0)
        assert {each.shard_count for each in pipelines(hook)} == {1}
        assert leases.claim(connection, pipelines(hook)[0].pk, "two") is None
    deal_until(hook, 16)


def test_a_change_of_mind_before_the_deal_changes_nothing(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    deal_until(hook, 2)
    append(source, one_each())
    loop.run_turn(pipelines(hook)[0].pk, worker)
    reshard(hook, 3)
    deal()
    reshard(hook, 2)
    deal()
    assert all(each.until_xid is None for each in pipelines(hook))
    append(source, one_each(100))
    run_all(hook, worker)
    assert books(hook) == {"eligible": 24, "delivered": 24}


def test_the_trace_asks_the_shard_of_the_user(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"), shards=2)
    deal_until(hook, 2)
    messages = one_each()
    append(source, messages)
    loop.run_turn(pipelines(hook)[0].pk, worker)
    for each in messages:
        found = trace(source.workspace_id, each["messageId"])
        assert found is not None
        expected = "delivered" if shard_of(key8(each["userId"]), 2) == 0 else "waiting"
        assert found["deliveries"][0]["status"] == expected


class Running:
    """Writers, workers and a scheduler at once, and somebody who looks at the books all the time."""

    def __init__(self, source: Source, hook: Destination) -> None:
        self.source, self.hook = source, hook
        self.workers = [make_worker(), make_worker()]
        self.is_over = threading.Event()
        self.is_dealt = threading.Event()
        self.looks: list[int] = []

    def write(self, users: list[str]) -> int:
        """One event of each user after the other, until the last deal; how many each got."""
        number = 0
        while not self.is_dealt.wait(0.01):
            append(self.source, [message(number, user) for user in users])
            number += 1
        return number

    def deliver(self, worker: Worker) -> None:
        while not self.is_over.is_set():
            with postgres.connect() as connection:
                found = connection.execute(
                    "SELECT id FROM delivery_pipeline WHERE destination_id = %s ORDER BY random()", [self.hook.pk]
                ).fetchall()
            let_time_pass(self.hook)
            for row in found:
                loop.run_turn(int(str(row[0])), worker)
            self.is_over.wait(0.01)

    def schedule(self) -> None:
        while not self.is_over.wait(0.05):
            deal()

    def look(self) -> None:
        while not self.is_over.is_set():
            self.looks.append(books(self.hook).get("eligible", 0))


def test_the_number_changes_under_writers_and_workers_and_the_books_balance_at_every_look(
    source: Source, receiver: Receiver
) -> None:
    """Some events fail once, so that rows wait and users are held while all are dealt anew."""
    hook = connect(source, receiver.script("/some", [500 if n % 7 == 3 else 200 for n in range(300)]))
    tenants.update_destination(hook, ordering="per_user", actor=TESTER)
    running = Running(source, hook)
    with ThreadPoolExecutor(6) as threads:
        acts = [threads.submit(closing, running.schedule), threads.submit(closing, running.look)]
        acts += [threads.submit(closing, running.deliver, worker) for worker in running.workers]
        writers = {threads.submit(running.write, users): users for users in (USERS[:6], USERS[6:])}
        try:
            for shards in (3, 1, 4, 2):
                reshard(hook, shards)
                wait_for_set(hook, shards, acts)
            running.is_dealt.set()
            expected = {user: list(range(writer.result(60))) for writer, users in writers.items() for user in users}
            wait_for(lambda: delivered(hook) == sum(map(len, expected.values())), acts)
        finally:
            running.is_dealt.set()
            running.is_over.set()
        [act.result(60) for act in acts]
    for worker in running.workers:
        worker.sender.shutdown(0.0)
    assert len(running.looks) > 3
    assert successes_by_user(receiver) == expected


def delivered(hook: Destination) -> int:
    return OutcomeCount.objects.filter(destination_id=hook.pk).aggregate(total=Sum("delivered"))["total"] or 0


def successes_by_user(receiver: Receiver) -> dict[str, list[int]]:
    """What each user's events were, in the order of their last try: a failed one comes again under the same id."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for request in receiver.requests:
        body = json.loads(request.body)
        found[body["userId"]].pop(request.headers["webhook-id"], None)
        found[body["userId"]][request.headers["webhook-id"]] = body["properties"]["n"]
    return {user: list(numbers.values()) for user, numbers in found.items()}


def closing(act: Callable[..., None], *values: Any) -> None:
    """Do something in a thread, and close the connections that Django opened for it."""
    try:
        act(*values)
    finally:
        connections.close_all()


def wait_for_set(hook: Destination, shards: int, acts: list[Any]) -> None:
    wait_for(lambda: [each.shard_count for each in pipelines(hook)] == [shards] * shards, acts)


def wait_for(condition: Callable[[], bool], acts: list[Any]) -> None:
    """Wait for a condition; what fails in a thread meanwhile fails here."""
    pause = threading.Event()
    for _ in range(3_000):
        if condition():
            return
        for act in acts:
            if act.done():
                act.result()
        pause.wait(0.02)
    raise AssertionError("it has not come to this")
