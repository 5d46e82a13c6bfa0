"""A replay sends a piece of the log once more, and nothing else: with the old ids, and in books of its own."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from connectors.http import RequestSpec
from hub.delivery import leases, prepare
from hub.delivery.listing import Place, Question, read_page
from hub.delivery.models import DeadLetter, Pipeline, Replay, RetryRow
from hub.delivery.replays import progress, services
from hub.delivery.replays.errors import ReplayError
from hub.delivery.worker import Worker
from hub.lib import clock, postgres
from tenants import services as tenants
from tenants.models import AuditEntry, Destination, Source
from tests import factories
from tests.delivery import logged
from tests.delivery.logged import append, books, message
from tests.delivery.replaying import books_of, numbers, pipeline_of, replayed, run_live, seen_before, start, turn
from tests.factories import TESTER
from tests.receivers import Receiver, Reply, Request

pytestmark = pytest.mark.django_db(transaction=True)


def connect(source: Source, url: str, slug: str = "hook", **options: object) -> Destination:
    return factories.make_destination(source.workspace, slug, url=url, sources=[source], **options)


def test_everything_arrives_again_under_its_old_id_and_says_so(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(60)])
    run_live(hook, worker)
    first = {request.headers["webhook-id"] for request in receiver.requests}
    receiver.requests.clear()
    replay = turn(start(hook), worker)
    assert len(replayed(receiver)) == len(receiver.requests) == 60
    assert {request.headers["webhook-id"] for request in receiver.requests} == first
    assert books_of(replay) == {"seen": 60, "delivered": 60}
    assert (replay.state, replay.expected, replay.ended_at is not None) == ("done", 60, True)


def test_the_destinations_books_know_nothing_of_it(source: Source, receiver: Receiver, worker: Worker) -> None:
    url = receiver.script("/strict", [200] * 5 + [422, 500] + [200] * 3)
    hook = connect(source, url)
    append(source, [message(n) for n in range(5)])
    run_live(hook, worker)
    replay = start(hook)
    assert books(hook) == {"eligible": 5, "delivered": 5}
    turn(replay, worker)
    assert books_of(replay) == {"seen": 5, "delivered": 3, "dead": 1, "open": 1}
    assert books(hook) == {"eligible": 5, "delivered": 5}
    assert replay.state == "running"
    logged.let_time_pass(hook)
    turn(replay, worker)
    assert books_of(replay) == {"seen": 5, "delivered": 4, "dead": 1}
    assert (books(hook), replay.state) == ({"eligible": 5, "delivered": 5}, "done")


def test_live_traffic_goes_on_beside_it_without_the_header(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    run_live(hook, worker)
    replay = start(hook)
    append(source, [message(2)])
    run_live(hook, worker)
    assert numbers(receiver.requests) == [1, 2]
    assert replayed(receiver) == []
    turn(replay, worker)
    assert numbers(replayed(receiver)) == [1]
    assert books(hook) == {"eligible": 2, "delivered": 2}


def test_what_is_still_on_its_way_is_not_sent_twice(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    run_live(hook, worker)
    append(source, [message(2)])
    assert seen_before(hook).count == 1
    turn(start(hook), worker)
    run_live(hook, worker)
    assert numbers(receiver.requests) == [1, 1, 2]


def test_to_another_destination_goes_what_it_never_had(source: Source, receiver: Receiver, worker: Worker) -> None:
    append(source, [message(n) for n in range(3)])
    other = connect(source, receiver.url("/ok"), "other")
    run_live(other, worker)
    assert receiver.requests == []
    replay = turn(start(other), worker)
    assert sorted(numbers(replayed(receiver))) == [0, 1, 2]
    assert (books_of(replay), books(other)) == ({"seen": 3, "delivered": 3}, {})


def test_only_the_sources_that_were_named_are_sent(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    stranger = factories.make_source(source.workspace, "unconnected")
    append(source, [message(1)])
    append(stranger, [message(2)])
    run_live(hook, worker)
    receiver.requests.clear()
    replay = turn(start(hook, sources=[stranger]), worker)
    assert (numbers(receiver.requests), books_of(replay)) == ([2], {"seen": 1, "delivered": 1})


def test_a_filter_takes_its_events_and_leaves_no_trace_of_the_others(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(20)])
    run_live(hook, worker)
    receiver.requests.clear()
    look = seen_before(hook, trigger='event = "Event 7" or event = "Event 8"')
    assert (look.count, look.is_exact, [each.event_name for each in look.samples]) == (2, True, ["Event 7", "Event 8"])
    replay = turn(start(hook, trigger='event = "Event 7" or event = "Event 8"'), worker)
    assert sorted(numbers(receiver.requests)) == [7, 8]
    assert (books_of(replay), replay.state) == ({"seen": 2, "delivered": 2}, "done")
    rows = read_page(Question(hook.workspace_id, hook.pk), Place()).rows
    assert [row.status for row in rows if row.replay_id] == ["delivered", "delivered"]


def test_the_integrations_object_and_the_mappings_still_apply(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1, integrations={"All": False}), message(2)])
    run_live(hook, worker)
    receiver.requests.clear()
    replay = turn(start(hook), worker)
    assert (numbers(receiver.requests), books_of(replay)) == ([2], {"seen": 2, "delivered": 1, "filtered": 1})


def test_an_erased_event_is_not_brought_back(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = append(source, [message(1), message(2)])
    run_live(hook, worker)
    receiver.requests.clear()
    replay = start(hook)
    with postgres.connect() as connection:
        connection.execute("UPDATE event_log SET body = '' WHERE seq = %s", [seqs[0]])
    turn(replay, worker)
    assert (numbers(receiver.requests), books_of(replay)) == ([2], {"seen": 2, "delivered": 1, "filtered": 1})


def test_a_range_takes_its_first_moment_and_leaves_its_last(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = append(source, [message(n) for n in range(4)])
    run_live(hook, worker)
    receiver.requests.clear()
    start_of_day = clock.now().replace(microsecond=0) - timedelta(hours=3)
    with postgres.connect() as connection:
        for place, seq in enumerate(seqs):
            at = start_of_day + timedelta(minutes=place)
            connection.execute("UPDATE event_log SET received_at = %s WHERE seq = %s", [at, seq])
    times = {"since": start_of_day + timedelta(minutes=1), "until": start_of_day + timedelta(minutes=3)}
    assert seen_before(hook, **times).count == 2
    turn(start(hook, **times), worker)
    assert sorted(numbers(receiver.requests)) == [1, 2]


def test_an_event_of_another_time_or_source_in_the_midst_of_the_range_is_left_out(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.url("/ok"))
    stranger = factories.make_source(source.workspace, "unconnected")
    seqs = append(source, [message(n) for n in range(3)])
    append(stranger, [message(3)])
    append(source, [message(4)])
    run_live(hook, worker)
    receiver.requests.clear()
    with postgres.connect() as connection:  # a clock that was set back and forth
        connection.execute("UPDATE event_log SET received_at = now() - interval '9 hours' WHERE seq = %s", [seqs[1]])
    look = seen_before(hook, trigger='type = "track"')
    assert (look.count, look.is_exact) == (3, True)
    turn(start(hook), worker)
    assert sorted(numbers(receiver.requests)) == [0, 2, 4]


def test_every_request_of_a_replay_says_so_whatever_the_connector_does() -> None:
    spec = RequestSpec("GET", "https://example.test/")
    called = prepare.make_call(spec, "msg_1", None, clock.now(), is_replay=True)
    assert called.headers.count("replay: true") == 1
    assert "replay: true" not in prepare.make_call(spec, "msg_1", None, clock.now()).headers


def test_a_range_is_one_of_places_not_of_numbers(source: Source, receiver: Receiver, worker: Worker) -> None:
    """The higher number was written by the earlier transaction, and a range that begins there holds the lower one."""
    hook = connect(source, receiver.url("/ok"))
    with postgres.connect() as early, postgres.connect() as late:
        with early.transaction():
            append(source, [message(0)], early)
            with late.transaction():
                lower = append(source, [message(1)], late)
            higher = append(source, [message(2)], early)
        assert lower < higher
    run_live(hook, worker)
    receiver.requests.clear()
    with postgres.connect() as connection:
        connection.execute("UPDATE event_log SET received_at = now() - interval '1 day' WHERE seq < %s", lower)
    replay = turn(start(hook), worker)
    assert sorted(numbers(receiver.requests)) == [1, 2]
    assert books_of(replay) == {"seen": 2, "delivered": 2}


def test_only_dead_ones_are_sent_to_where_they_died(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.script("/strict", [422, 200, 422, 200, 200]))
    append(source, [message(n) for n in range(5)])
    run_live(hook, worker)
    lost = {letter.seq for letter in DeadLetter.objects.filter(destination_id=hook.pk)}
    receiver.requests.clear()
    assert seen_before(hook, only="dead", failed_at=hook).count == 2
    replay = turn(start(hook, only="dead", failed_at=hook), worker)
    assert len(receiver.requests) == len(lost) == 2
    assert (books_of(replay), replay.state) == ({"seen": 2, "delivered": 2}, "done")
    assert books(hook) == {"eligible": 5, "delivered": 3, "dead": 2}


def test_failed_ones_are_dead_or_still_tried_and_may_go_elsewhere(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    hook = connect(source, receiver.rule("/by-number", by_number))
    other = connect(source, receiver.url("/ok"), "other")
    append(source, [message(n, user=f"u{n}") for n in range(4)])
    run_live(hook, worker)
    run_live(other, worker)
    assert (RetryRow.objects.count(), DeadLetter.objects.count()) == (1, 1)
    receiver.requests.clear()
    turn(start(other, only="failed", failed_at=hook), worker)
    assert sorted(numbers(receiver.requests)) == [1, 2]


def by_number(request: Request) -> Reply:
    return Reply({1: 422, 2: 503}.get(json.loads(request.body)["properties"]["n"], 200))


def test_chosen_events_are_sent_and_no_others(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    seqs = append(source, [message(n) for n in range(10)])
    run_live(hook, worker)
    receiver.requests.clear()
    turn(start(hook, only="chosen", seqs=[seqs[3], seqs[6]]), worker)
    assert sorted(numbers(receiver.requests)) == [3, 6]


def test_a_dead_letter_of_the_destination_does_not_spoil_the_replays_books(
    source: Source, receiver: Receiver, worker: Worker
) -> None:
    """The event died live; replayed it fails once and then arrives: delivered, in the replay's books."""
    hook = connect(source, receiver.script("/strict", [422, 503, 200]))
    append(source, [message(1)])
    run_live(hook, worker)
    replay = turn(start(hook), worker)
    assert books_of(replay) == {"seen": 1, "open": 1}
    logged.let_time_pass(hook)
    turn(replay, worker)
    assert (books_of(replay), books(hook)) == ({"seen": 1, "delivered": 1}, {"eligible": 1, "dead": 1})


def test_a_worker_that_dies_in_the_middle_costs_nothing(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(n) for n in range(50)])
    run_live(hook, worker)
    receiver.requests.clear()
    replay = start(hook)
    with postgres.connect() as connection:
        dead = leases.claim(connection, pipeline_of(replay).pk, "a worker that died")
    assert dead is not None
    turn(replay, worker)
    assert receiver.requests == []
    Pipeline.objects.filter(replay_id=replay.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    turn(replay, worker)
    assert sorted(numbers(receiver.requests)) == list(range(50))
    assert (books_of(replay), replay.state) == ({"seen": 50, "delivered": 50}, "done")


def test_its_end_is_noticed_even_if_the_worker_died_on_it(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    run_live(hook, worker)
    replay = start(hook)
    row = pipeline_of(replay)
    Pipeline.objects.filter(pk=row.pk).update(cursor_xid=row.until_xid, cursor_seq=row.until_seq)
    with postgres.connect() as connection:
        progress.look_after(connection)
    replay.refresh_from_db()
    assert replay.state == "done"
    assert AuditEntry.unscoped.filter(action="replay.ended", object_id=str(replay.pk)).exists()


@pytest.mark.parametrize(
    ("narrowing", "words"),
    [
        ({"trigger": "event = and"}, "filter"),
        ({"per_second": 0.0}, "requests a second"),
        ({"only": "dead"}, "at which destination"),
        ({"until": clock.now() - timedelta(days=1)}, "ends before it begins"),
        ({"only": "chosen", "seqs": []}, "between 1 and"),
        ({"since": clock.now() - timedelta(days=9), "until": clock.now() - timedelta(days=8)}, "No event in the log"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    source: Source, receiver: Receiver, narrowing: dict[str, object], words: str
) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    with pytest.raises(ReplayError, match=words):
        seen_before(hook, **narrowing)


def test_a_destination_that_is_off_or_paused_takes_no_replay(source: Source, receiver: Receiver) -> None:
    hook = connect(source, receiver.url("/ok"))
    tenants.pause_destination(hook, "a test", TESTER)
    with pytest.raises(ReplayError, match="resume it first"):
        seen_before(hook)
    tenants.resume_destination(hook, TESTER)
    Destination.unscoped.filter(pk=hook.pk).update(is_enabled=False)
    hook.refresh_from_db()
    with pytest.raises(ReplayError, match="switched off"):
        seen_before(hook)


def test_one_replay_at_a_time_goes_to_a_destination(source: Source, receiver: Receiver, worker: Worker) -> None:
    hook = connect(source, receiver.url("/ok"))
    append(source, [message(1)])
    run_live(hook, worker)
    first = start(hook)
    with pytest.raises(ReplayError, match="on its way"):
        start(hook)
    services.cancel(first, TESTER, "a test")
    assert start(hook).state == Replay.State.RUNNING
