"""The fast path out: one thread per process that prepares, sends and finishes the calls of all its pipelines.

Task threads read the log and commit outcomes; they hand over whole chunks (`Work`), and this thread asks a chunk for
its next request only when a handle of its lane is free. So nothing per event crosses threads, and the interpreter lock
is not fought over. Lanes are served in turn, one request each. Waiting calls live on a second multi handle (see
`multi`), whose thread only moves bytes: what belongs to a lane is touched by the sender's thread alone.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic

import pycurl

from hub.delivery.calls import Call, Work
from hub.delivery.lanes import Crash, Lane, Learned, Seat
from hub.delivery.multi import LONGEST_SLEEP_SECONDS, Fast, Slow
from hub.lib.net import ABORTED, Answer, Gate, Wire
from hub.observability import log

logger = log.get(__name__)

# Calls of quick lanes under way in one process: more only lengthens the queue, and with it every call.
FAST_PLACES = 128
# A body that may not fit into the socket's buffer at once goes by the slow side. When libcurl stops in the middle of a
# write, an edge-triggered epoll does not always say that it can go on: uploads of 1 MB were seen to stand still.
LARGE_BODY_BYTES = 16 * 1024
STARTS_A_TURN = 32
LOOK_SECONDS = 0.25
IDLE_LANE_SECONDS = 5.0


class Sender:
    """What other threads see of the sending thread. It starts with the first use in a process, so also after a fork."""

    def __init__(self, gate: Gate, fast_places: int = FAST_PLACES) -> None:
        self._gate = gate
        self._fast_places = fast_places
        self._lock = threading.Lock()
        self._pid = 0
        self._lanes: dict[str, Lane] = {}
        self._thread: SendingThread | None = None

    def lane(self, key: str, max_in_flight: int = 64, probing: bool = False, learned: Learned | None = None) -> Lane:
        """The lane of a turn, made on first use, with what an earlier one learned; its limits are set each time."""
        thread = self._here()
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(thread, key, max_in_flight, probing, learned)
                thread.order(partial(thread.open, lane))
            lane.max_in_flight, lane.probing = max_in_flight, probing
        return lane

    def submit(self, work: Work) -> None:
        """Queue a work behind those of its lane."""
        self._of(work.lane).order(partial(work.lane.home.seat, work))

    def kick(self, lane: Lane) -> None:
        """Ask the lane's works again, though each had nothing to start when it was asked last."""
        self._of(lane).order(partial(lane.home.unblock, lane))

    def cancel(self, lane: Lane, abort_after: float | None = None) -> None:
        """Start no further call of the works now in the lane; each hears `stopped` once its calls are done.

        After `abort_after` seconds, calls still under way are given up; their answer has the error `aborted`.
        """
        self._of(lane).order(partial(lane.home.cancel, lane, abort_after))

    def close_lane(self, lane: Lane) -> None:
        """Let a lane and its handles go, once its calls are done. What waits in it is cancelled."""
        thread = self._of(lane)
        with self._lock:
            if self._lanes.get(lane.key) is lane:
                del self._lanes[lane.key]
        thread.order(partial(thread.close, lane))

    def shutdown(self, abort_after: float) -> None:
        """Cancel every lane and wait until nothing is under way. The sender cannot be used again in this process."""
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread.is_alive():
            thread.order(partial(thread.end, abort_after))
            thread.join()

    def _here(self) -> SendingThread:
        """This process's thread. A child of a fork has none yet, and its parent's lanes are not its own."""
        if self._pid != os.getpid() or self._thread is None:
            with self._lock:
                if self._pid != os.getpid() or self._thread is None:
                    self._lanes = {}
                    self._thread = SendingThread(self._gate, self._fast_places)
                    self._pid = os.getpid()
                    self._thread.start()
        return self._thread

    def _of(self, lane: Lane) -> SendingThread:
        thread = self._here()
        if lane.home is not thread:
            raise RuntimeError("this lane belongs to another process: lanes are made after the fork")
        return thread


class SendingThread(threading.Thread):
    """The loop: take orders, start calls, let curl work, finish calls, sleep. All but `order` runs inside it."""

    def __init__(self, gate: Gate, fast_places: int) -> None:
        super().__init__(name="sender", daemon=True)
        self._gate = gate
        self._fast_places = fast_places
        self._orders: deque[Callable[[], None]] = deque()
        self._lanes: set[Lane] = set()
        self._fast_ready: deque[Lane] = deque()
        self._slow_ready: deque[Lane] = deque()
        self._aborts: list[tuple[float, Lane, set[Seat]]] = []
        self._now = monotonic()
        self._look_at = 0.0
        self._places_taken = 0
        self._is_ending = self._is_over = False
        self._fast = Fast()
        self._slow = Slow(self._take_back)

    def order(self, act: Callable[[], None]) -> None:
        """Have something done inside the thread. Callable from any thread."""
        if self._has_stopped():
            raise RuntimeError("the sender is shut down")
        self._orders.append(act)
        self._fast.alarm.ring()
        if self._has_stopped():  # the thread ended in between and looks no more
            self._take_orders()

    def _has_stopped(self) -> bool:
        return self._is_over

    def _take_back(self, wire: Wire, code: int) -> None:
        self.order(partial(self._finish, wire, code))

    # Orders

    def open(self, lane: Lane) -> None:
        self._lanes.add(lane)

    def seat(self, work: Work) -> None:
        seat = Seat(work.lane, work)
        if self._is_ending or work.lane.is_closed:
            seat.is_leaving = True
            self._tell_stopped(seat)
            return
        work.lane.seats.append(seat)
        self.unblock(work.lane)

    def unblock(self, lane: Lane) -> None:
        lane.is_blocked = False
        self._offer(lane)

    def cancel(self, lane: Lane, abort_after: float | None) -> None:
        leaving = lane.leave()
        for seat in leaving:
            if not seat.calls:
                self._tell_stopped(seat)
        if abort_after is not None:
            # Also those that an earlier, more patient cancelling left under way.
            seats = {wire.flight[0] for wire in lane.flying if wire.flight[0].is_leaving}
            self._aborts.append((self._now + abort_after, lane, seats))

    def close(self, lane: Lane) -> None:
        lane.is_closed = True
        self.cancel(lane, None)
        self._let_go(lane)

    def end(self, abort_after: float) -> None:
        self._is_ending = True
        for lane in self._lanes:
            self.cancel(lane, abort_after)

    # The loop

    def run(self) -> None:
        while not self._has_ended():
            try:
                self._turn()
            except Exception:
                logger.exception("sender_turn_failed", lane_count=len(self._lanes))
        self._is_over = True
        while self._orders:
            self._take_orders()
        self._slow.close()
        for lane in self._lanes:
            lane.trim()
        self._fast.close()

    def _turn(self) -> None:
        self._now = monotonic()
        self._take_orders()
        self._start_some()
        ended = self._fast.turn()
        for wire, code in ended:
            self._finish(wire, code)
        if self._aborts:
            self._give_up()
        if self._now >= self._look_at:
            self._look()
        if not (ended or self._slow_ready or self._can_start_fast() or self._has_ended()):
            self._fast.sleep(self._patience(), self._orders)

    def _take_orders(self) -> None:
        """Those that are there now: whoever hands over faster than they are taken holds up nobody's calls."""
        for _ in range(len(self._orders)):
            try:
                act = self._orders.popleft()
            except IndexError:  # another thread, at the very end, had the last one
                return
            act()

    def _has_ended(self) -> bool:
        return self._is_ending and not any(lane.flying for lane in self._lanes)

    def _patience(self) -> float:
        return min([LONGEST_SLEEP_SECONDS, *(max(0.0, at - monotonic()) for at, _, _ in self._aborts)])

    def _look(self) -> None:
        """Now and then: lanes that hang move to the slow side, handles that nobody uses are closed."""
        self._look_at = self._now + LOOK_SECONDS
        for lane in self._lanes:
            was_slow = lane.is_slow
            lane.look(self._now)
            self._count_places(lane, was_slow)
            if not lane.flying and not lane.seats and lane.used_at < self._now - IDLE_LANE_SECONDS:
                lane.trim()

    # Starting calls

    def _offer(self, lane: Lane) -> None:
        """Give a lane its turn, if it has room and something to ask for."""
        if not lane.is_queued and lane.is_ready():
            lane.is_queued = True
            (self._slow_ready if lane.starts_slow() else self._fast_ready).append(lane)

    def _can_start_fast(self) -> bool:
        return bool(self._fast_ready) and self._places_taken < self._fast_places

    def _start_some(self) -> None:
        for _ in range(STARTS_A_TURN):
            if not self._slow_ready:
                break
            self._start_one(self._slow_ready.popleft())
        for _ in range(STARTS_A_TURN):
            if not self._can_start_fast():
                break
            self._start_one(self._fast_ready.popleft())

    def _start_one(self, lane: Lane) -> None:
        lane.is_queued = False
        if not lane.is_ready():
            return
        try:
            drawn = lane.draw()
        except Crash as crash:
            self._crash(crash.seat, crash.cause)
        else:
            if drawn is not None:
                self._start(lane, *drawn)
        self._offer(lane)

    def _start(self, lane: Lane, seat: Seat, call: Call) -> None:
        wire = lane.spare.pop() if lane.spare else Wire(self._gate)
        seat.calls += 1
        try:
            collect = lane.collect_headers or lane.is_failing
            refused = wire.load(call.method, call.url, call.headers, call.body, call.timeout_ms, collect)
        except (TypeError, AttributeError) as error:  # a call of wrong types is the work's fault
            lane.spare.append(wire)
            seat.calls -= 1
            self._crash(seat, error)
            return
        if refused is not None:
            lane.spare.append(wire)
            self._tell_finished(seat, call, Answer(0, refused, sent=False))
            return
        self._launch(lane, wire, seat, call)

    def _launch(self, lane: Lane, wire: Wire, seat: Seat, call: Call) -> None:
        is_slow = lane.starts_slow() or (call.body is not None and len(call.body) > LARGE_BODY_BYTES)
        wire.flight = (seat, call, is_slow)
        wire.started_at = self._now
        lane.flying.add(wire)
        if is_slow:
            self._slow.start(wire)
            return
        lane.fast_count += 1
        if not lane.is_slow:
            self._places_taken += 1
        try:
            self._fast.start(wire)
        except pycurl.error:
            logger.exception("sender_fast_add_failed", lane=lane.key)
            self._finish(wire, pycurl.E_FAILED_INIT)

    # Finishing calls

    def _finish(self, wire: Wire, code: int) -> None:
        seat, call, is_slow = wire.flight
        lane = seat.lane
        answer = wire.answer(code)
        wire.flight = None
        lane.flying.discard(wire)
        lane.spare.append(wire)
        lane.used_at = self._now
        if not is_slow:
            lane.fast_count -= 1
            if not lane.is_slow:
                self._places_taken -= 1
        if code != ABORTED:
            was_slow = lane.is_slow
            lane.record(answer)
            self._count_places(lane, was_slow)
        self._tell_finished(seat, call, answer)
        lane.is_blocked = False
        if lane.is_closed:
            self._let_go(lane)
        else:
            self._offer(lane)

    def _count_places(self, lane: Lane, was_slow: bool) -> None:
        """Calls that a lane left behind on the fast side take no place from quick lanes."""
        if lane.is_slow != was_slow:
            self._places_taken += lane.fast_count if was_slow else -lane.fast_count

    def _give_up(self) -> None:
        due = [entry for entry in self._aborts if entry[0] <= self._now]
        for entry in due:
            self._aborts.remove(entry)
            _, lane, seats = entry
            for wire in [wire for wire in lane.flying if wire.flight[0] in seats]:
                if wire.flight[2]:
                    self._slow.abort(wire)
                else:
                    self._fast.abort(wire)
                    self._finish(wire, ABORTED)

    def _let_go(self, lane: Lane) -> None:
        lane.trim()
        if not lane.flying:
            self._lanes.discard(lane)

    # Telling the work. What it raises is its own trouble: the thread and its other works go on.

    def _tell_finished(self, seat: Seat, call: Call, answer: Answer) -> None:
        seat.calls -= 1
        try:
            seat.work.finish(call, answer)
        except Exception as error:  # noqa: BLE001 - the work hears of it, and it knows its pipeline
            self._crash(seat, error)
            return
        if seat.is_leaving and not seat.calls:
            self._tell_stopped(seat)

    def _crash(self, seat: Seat, error: BaseException) -> None:
        seat.lane.remove(seat)
        seat.is_leaving = True
        try:
            seat.work.crashed(error)
        except Exception:
            logger.exception("sender_work_failed", lane=seat.lane.key)
        if not seat.calls:
            self._tell_stopped(seat)

    def _tell_stopped(self, seat: Seat) -> None:
        try:
            seat.work.stopped()
        except Exception:
            logger.exception("sender_work_failed", lane=seat.lane.key)
