from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from hub.delivery.lanes import Lane
from hub.delivery.sender import Sender
from hub.lib.net import Gate
from tests.delivery.works import Chain, Chunk, eventually
from tests.receivers import Receiver

LOOPBACK = Gate(allow_private=(ip_network("127.0.0.0/8"),))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender(LOOPBACK)
    yield sender
    sender.shutdown(abort_after=0.0)


@pytest.fixture(params=["slow", "fast"])
def lane(request: pytest.FixtureRequest, sender: Sender, receiver: Receiver) -> Lane:
    """A lane with 8 places that has shown good answers, on either multi handle."""
    lane = sender.lane("pipeline", 8, probing=request.param == "slow")
    make_fast(sender, lane, receiver)
    assert lane.starts_slow() == (request.param == "slow")
    return lane


def warm_up(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chunk = Chunk(lane, [receiver.url()] * 50)
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert chunk.statuses() == [200] * 50


def make_fast(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    """Give a lane good answers until it takes them for quick, which a busy machine may put off."""
    for _ in range(100):
        warm_up(sender, lane, receiver)
        if not lane.is_slow:
            return


def test_every_call_is_answered_once_and_in_the_senders_thread(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chunks = [Chunk(lane, [receiver.url(f"/ok/{number}")] * 100) for number in range(5)]
    for chunk in chunks:
        sender.submit(chunk)
    assert all(chunk.done.wait(10) for chunk in chunks)
    assert [chunk.statuses() for chunk in chunks] == [[200] * 100] * 5
    assert {name for chunk in chunks for name in chunk.threads} == {"sender"}
    assert len([path for path in receiver.paths() if path.startswith("/ok/")]) == 500
    assert receiver.busiest <= 8


def test_works_of_a_lane_start_in_the_order_they_were_submitted(sender: Sender, receiver: Receiver) -> None:
    lane = sender.lane("pipeline", 1)
    chunks = [Chunk(lane, [receiver.url(f"/ok/{chunk}/{place}") for place in range(10)]) for chunk in range(3)]
    for chunk in chunks:
        sender.submit(chunk)
    assert chunks[-1].done.wait(10)
    assert receiver.paths() == [f"/ok/{chunk}/{place}" for chunk in range(3) for place in range(10)]


@pytest.mark.parametrize(
    ("path", "status", "word", "timeout_ms"),
    [
        ("/hang", 0, "timeout", 300),
        ("/drip", 200, "timeout", 300),
        ("/slow-headers", 200, "timeout", 300),
        ("/processing", 102, "timeout", 300),
        ("/endless-headers", 200, "incomplete", 20_000),
        ("/huge", 200, None, 20_000),
        ("/huge-declared", 200, None, 20_000),
        ("/gzip-bomb", 200, None, 20_000),
        ("/redirect", 302, None, 20_000),
        ("/status/503", 503, None, 20_000),
        ("/close", 0, "incomplete", 20_000),
        ("/cut", 200, "incomplete", 20_000),
        ("/garbage", 0, "incomplete", 20_000),
    ],
)
def test_a_hostile_receiver_costs_its_own_calls_only(
    sender: Sender, lane: Lane, receiver: Receiver, path: str, status: int, word: str | None, timeout_ms: int
) -> None:
    chunk = Chunk(lane, [receiver.url(path)] * 3, timeout_ms)
    sender.submit(chunk)
    assert chunk.done.wait(30)
    assert (chunk.statuses(), chunk.words()) == ([status] * 3, [word] * 3)
    warm_up(sender, lane, receiver)


def test_retry_after_reaches_the_work(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chunk = Chunk(lane, [receiver.url("/busy")])
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert chunk.answers[0].retry_after == 7.0


def test_large_bodies_go_out_and_come_back(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chunk = Chunk(lane, [receiver.url("/echo")] * 20, body=bytes(range(256)) * 4_000)
    sender.submit(chunk)
    assert chunk.done.wait(20)
    assert {(answer.error, answer.truncated, answer.body) for answer in chunk.answers} == {
        (None, True, bytes(range(256)) * 256)
    }


@pytest.mark.parametrize(("size", "busiest"), [(1_000, 1), (20_000, 8)])
def test_a_large_body_goes_by_the_slow_side_and_takes_no_fast_place(
    receiver: Receiver, size: int, busiest: int
) -> None:
    sender = Sender(LOOPBACK, fast_places=1)
    lane = sender.lane("pipeline", 8)
    make_fast(sender, lane, receiver)
    receiver.busiest = 0
    chunk = Chunk(lane, [receiver.url("/delay/20")] * 8, body=b"x" * size)
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert receiver.busiest == busiest
    sender.shutdown(0.0)


def test_a_refused_address_is_blocked_and_nothing_is_sent(receiver: Receiver) -> None:
    sender = Sender(Gate(extra_ports=frozenset({receiver.port})))
    chunk = Chunk(sender.lane("pipeline"), [receiver.url("/ok", "localhost"), receiver.url(), "ftp://example.com/"])
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert chunk.words() == ["blocked"] * 3
    assert not any(answer.sent for answer in chunk.answers)
    assert receiver.connections == 0
    sender.shutdown(0.0)


def test_a_new_lane_gets_two_calls_until_its_first_success(sender: Sender, receiver: Receiver) -> None:
    hanging = Chunk(sender.lane("hanging", 64), [receiver.url("/hang")] * 20)
    sender.submit(hanging)
    warm_up(sender, sender.lane("other"), receiver)
    assert eventually(lambda: receiver.paths().count("/hang") == 2)
    assert len(hanging.started) == 2


def test_after_successes_a_lane_opens_to_its_limit_and_not_beyond(sender: Sender, receiver: Receiver) -> None:
    chunk = Chunk(sender.lane("pipeline", 16), [receiver.url("/delay/50")] * 100)
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert receiver.busiest == 16


def test_hanging_lanes_do_not_stop_the_others(sender: Sender, receiver: Receiver) -> None:
    hanging = [Chunk(sender.lane(f"hanging {number}"), [receiver.url("/hang")] * 9) for number in range(30)]
    for chunk in hanging:
        sender.submit(chunk)
    busy = [Chunk(sender.lane(f"busy {number}"), [receiver.url()] * 300) for number in range(3)]
    for chunk in busy:
        sender.submit(chunk)
    assert all(chunk.done.wait(10) for chunk in busy)
    assert not any(chunk.answers for chunk in hanging)


def test_a_lane_that_begins_to_hang_gives_its_places_back(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK, fast_places=4)
    turned = sender.lane("turned", 4)
    make_fast(sender, turned, receiver)
    hanging = Chunk(turned, [receiver.url("/hang")] * 8, timeout_ms=60_000)
    sender.submit(hanging)
    assert eventually(lambda: len(hanging.started) == 4)
    warm_up(sender, sender.lane("other", 4), receiver)
    assert turned.is_slow
    assert not hanging.answers
    sender.shutdown(0.0)
    assert hanging.words() == ["aborted"] * 4


def test_lanes_take_turns(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK, fast_places=2)
    first, second = sender.lane("first", 64), sender.lane("second", 64)
    make_fast(sender, first, receiver)
    make_fast(sender, second, receiver)
    long, short = Chunk(first, [receiver.url()] * 2_000), Chunk(second, [receiver.url()] * 20)
    short_ended_first: list[bool] = []
    sender.submit(long)
    sender.submit(short)
    assert short.done.wait(20)
    short_ended_first.append(not long.done.is_set())
    assert long.done.wait(20)
    assert short_ended_first == [True]
    sender.shutdown(0.0)


def test_cancelling_lets_calls_under_way_finish(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    flying = Chunk(lane, [receiver.url("/delay/200")] * 20)
    waiting = Chunk(lane, [receiver.url()] * 5)
    sender.submit(flying)
    sender.submit(waiting)
    assert eventually(lambda: len(flying.started) == 8)
    sender.cancel(lane)
    assert waiting.stop_told.wait(10)
    assert flying.stop_told.wait(10)
    assert flying.statuses() == [200] * 8
    assert (flying.stopped_count, waiting.stopped_count, len(waiting.started)) == (1, 1, 0)
    warm_up(sender, lane, receiver)


def test_cancelling_with_abort_leaves_nothing_under_way(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    flying = Chunk(lane, [receiver.url("/hang")] * 20, timeout_ms=60_000)
    sender.submit(flying)
    assert eventually(lambda: receiver.paths().count("/hang") == 8)
    sender.cancel(lane)
    sender.cancel(lane, abort_after=0.05)
    assert flying.stop_told.wait(10)
    assert flying.words() == ["aborted"] * 8
    assert flying.stopped_count == 1
    assert not lane.flying
    assert eventually(lambda: receiver.open_connections <= 8)
    warm_up(sender, lane, receiver)


def test_an_answer_within_the_time_to_abort_counts(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    flying = Chunk(lane, [receiver.url("/delay/100")] * 4)
    sender.submit(flying)
    assert eventually(lambda: len(flying.started) == 4)
    sender.cancel(lane, abort_after=30.0)
    assert flying.stop_told.wait(10)
    assert flying.statuses() == [200] * 4


@pytest.mark.parametrize(
    "raises", [["next_call"], ["finish"], ["next_call", "crashed", "stopped"], ["finish", "crashed"]]
)
def test_a_work_that_raises_stops_itself_and_nothing_else(
    sender: Sender, lane: Lane, receiver: Receiver, raises: list[str]
) -> None:
    bad, good = Chunk(lane, [receiver.url()] * 30, raises=raises), Chunk(lane, [receiver.url()] * 30)
    sender.submit(bad)
    sender.submit(good)
    assert good.done.wait(10)
    assert bad.stop_told.wait(10)
    assert {str(error) for error in bad.errors} == {raises[0]}
    assert bad.stopped_count == 1
    assert len(bad.answers) == len(bad.started)
    assert good.statuses() == [200] * 30


def test_a_call_of_wrong_types_is_a_crash_of_its_work(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    bad = Chunk(lane, [receiver.url(), None])  # type: ignore[list-item]
    bad._urls = iter([receiver.url(), 7])  # type: ignore[list-item]
    sender.submit(bad)
    assert bad.stop_told.wait(10)
    assert len(bad.errors) == 1
    warm_up(sender, lane, receiver)


def test_a_work_that_had_nothing_to_start_goes_on_when_kicked(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chain = Chain(lane, [receiver.url(f"/ok/{place}") for place in range(5)])
    chain.is_held = True
    sender.submit(chain)
    warm_up(sender, lane, receiver)
    assert not chain.started
    chain.is_held = False
    sender.kick(lane)
    assert chain.done.wait(10)
    assert receiver.paths()[-5:] == [f"/ok/{place}" for place in range(5)]


def test_a_waiting_work_does_not_hold_back_the_next_one_and_hears_that_it_was_cancelled(
    sender: Sender, lane: Lane, receiver: Receiver
) -> None:
    chain = Chain(lane, [receiver.url()])
    chain.is_held = True
    sender.submit(chain)
    warm_up(sender, lane, receiver)
    sender.cancel(lane)
    assert chain.stop_told.wait(10)


def test_a_finished_work_hears_nothing_of_a_later_cancelling(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    chunk, after = Chunk(lane, [receiver.url()] * 5), Chain(lane, [])
    sender.submit(chunk)
    assert chunk.done.wait(10)
    sender.submit(after)
    assert eventually(lambda: chunk.finished)
    sender.cancel(lane)
    assert after.stop_told.wait(10)
    assert chunk.stopped_count == 0


def test_a_failing_lane_keeps_the_headers_of_its_answers(sender: Sender, lane: Lane, receiver: Receiver) -> None:
    lane.max_in_flight = 1
    chunk = Chunk(lane, [receiver.url("/busy"), receiver.url("/busy"), receiver.url(), receiver.url()])
    sender.submit(chunk)
    assert chunk.done.wait(10)
    assert [bool(answer.headers) for answer in chunk.answers] == [False, True, True, False]


def test_more_than_a_thousand_descriptors_are_no_limit(sender: Sender, receiver: Receiver) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3_000:
        pytest.skip("the limit of open files is too low to try")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3_000), hard))
    held = [os.dup(0) for _ in range(1_200)]
    try:
        assert max(held) > 1_100
        fresh, probing = sender.lane("fast"), sender.lane("slow", probing=True)
        make_fast(sender, fresh, receiver)
        warm_up(sender, fresh, receiver)
        warm_up(sender, probing, receiver)
        assert (fresh.is_slow, probing.starts_slow()) == (False, True)
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_a_closed_lane_lets_its_handles_go_and_the_next_one_is_new(
    sender: Sender, lane: Lane, receiver: Receiver
) -> None:
    flying = Chunk(lane, [receiver.url("/delay/100")] * 2)
    sender.submit(flying)
    assert eventually(lambda: len(flying.started) == 2)
    sender.close_lane(lane)
    assert flying.stop_told.wait(10)
    assert flying.statuses() == [200, 200]
    assert eventually(lambda: not lane.spare and not lane.flying)
    late = Chunk(lane, [receiver.url()])
    sender.submit(late)
    assert late.stop_told.wait(10)
    assert not late.started
    assert sender.lane("pipeline") is not lane


def test_shutdown_aborts_what_takes_too_long_and_ends_the_thread(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK)
    quick = Chunk(sender.lane("quick"), [receiver.url("/delay/50")] * 2)
    hanging = Chunk(sender.lane("hanging"), [receiver.url("/hang")] * 9, timeout_ms=60_000)
    sender.submit(quick)
    sender.submit(hanging)
    assert eventually(lambda: len(receiver.requests) == 4)
    sender.shutdown(abort_after=0.5)
    assert (quick.statuses(), hanging.words()) == ([200, 200], ["aborted", "aborted"])
    assert hanging.stopped_count == 1
    with pytest.raises(RuntimeError):
        sender.submit(quick)
    sender.shutdown(abort_after=0.0)


def test_a_forked_child_gets_a_thread_of_its_own(receiver: Receiver) -> None:
    script = f"""
        import os, sys
        sys.path.insert(0, {str(ROOT)!r})
        from ipaddress import ip_network
        from hub.delivery.sender import Sender
        from hub.lib.net import Gate
        from tests.delivery.works import Chunk
        sender = Sender(Gate(allow_private=(ip_network("127.0.0.0/8"),)))
        def send(lane):
            chunk = Chunk(lane, [{receiver.url()!r}] * 50)
            sender.submit(chunk)
            assert chunk.done.wait(10)
        old = sender.lane("pipeline")
        send(old)
        if not os.fork():
            try:
                send(sender.lane("pipeline"))
                try:
                    sender.kick(old)
                except RuntimeError:
                    sender.shutdown(0.0)
                    os._exit(0)
            finally:
                os._exit(1)
        assert os.wait()[1] == 0
        send(old)
        sender.shutdown(0.0)
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], check=True, timeout=60)
    assert len(receiver.requests) == 150
