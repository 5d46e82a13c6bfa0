"""A lane: one pipeline's place at the sender. It knows how many calls may be under way and on which multi handle.

A lane starts with two calls and doubles with each success, so that a receiver that never answers holds two handles and
not sixty-four. It starts on the slow multi handle, and moves to the fast one when its answers come quickly: calls that
wait there are walked over at every turn, and they use up the places that all quick lanes share.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.delivery.calls import Call, Work
from hub.lib.net import Answer, Wire

if TYPE_CHECKING:
    from hub.delivery.sender import SendingThread

FIRST_CONTACT_CALLS = 2
GOOD_ANSWERS_TO_BE_FAST = 20
GOOD_ANSWER_MS = 500.0
# The smoothed duration below which a lane may go fast, and above which it must leave. With the 128 shared places, lanes
# that take 100 ms an answer would hold a whole process at 1,280 calls a second.
QUICK_MS, TARDY_MS = 50.0, 100.0
SMOOTHING = 1 / 8
HANGING_SECONDS = 1.0
# A pipeline of which more than one in twenty answers takes longer than this is run apart from the quick ones.
TARDY_ANSWER_MS, TARDY_SHARE = 2_000.0, 1 / 20


@dataclass(frozen=True, slots=True)
class Learned:
    """What a lane knows of its receiver, for the lane of the pipeline's next turn."""

    window: int
    is_slow: bool
    good_count: int
    smoothed_ms: float


class Seat:
    """A work in a lane, with the number of its calls under way."""

    __slots__ = ("calls", "is_leaving", "lane", "work")

    def __init__(self, lane: Lane, work: Work) -> None:
        self.lane = lane
        self.work = work
        self.calls = 0
        self.is_leaving = False


class Lane:
    """Limits, placement and waiting works of one pipeline in this process. Only the sender's thread changes it.

    `max_in_flight`, `probing` and `collect_headers` may be set from outside at any time; they act on the next call.
    Headers are always collected while a lane is failing, for the record of the failed attempt.
    """

    def __init__(
        self, home: SendingThread, key: str, max_in_flight: int, probing: bool, learned: Learned | None = None
    ) -> None:
        self.home = home
        self.key = key
        self.max_in_flight = max_in_flight
        self.probing = probing
        self.collect_headers = False
        self.seats: deque[Seat] = deque()
        self.flying: set[Wire] = set()
        self.spare: list[Wire] = []
        self.is_slow = learned is None or learned.is_slow
        self.is_failing = False
        self.is_blocked = False
        self.is_queued = False
        self.is_closed = False
        self.used_at = 0.0
        self.fast_count = 0
        self.answers = self._tardy_answers = 0
        self._window = FIRST_CONTACT_CALLS if learned is None else learned.window
        self._good_count = 0 if learned is None else learned.good_count
        self._smoothed_ms = 0.0 if learned is None else learned.smoothed_ms

    def is_ready(self) -> bool:
        """Whether another call may start, if a work has one to give."""
        if not self.seats or self.is_blocked:
            return False
        most = self._window if self._window < self.max_in_flight else self.max_in_flight
        return len(self.flying) < (most or 1)

    def learned(self) -> Learned:
        return Learned(self._window, self.is_slow, self._good_count, self._smoothed_ms)

    def is_tardy(self) -> bool:
        """Whether the slowest twentieth of the answers took longer than a quick pipeline's may."""
        return self._tardy_answers > self.answers * TARDY_SHARE

    def starts_slow(self) -> bool:
        return self.is_slow or self.probing

    def record(self, answer: Answer) -> None:
        """Learn from an answer how much this receiver can be trusted with."""
        self.answers += 1
        self._tardy_answers += answer.duration_ms > TARDY_ANSWER_MS
        if 200 <= answer.status < 300 and answer.error is None:
            self.is_failing = False
            if self._window < self.max_in_flight:
                self._window *= 2
        else:
            self.is_failing = True
            if answer.error is not None:
                self._window = max(FIRST_CONTACT_CALLS, self._window // 2)
        self._smoothed_ms += (answer.duration_ms - self._smoothed_ms) * SMOOTHING
        if not self.is_slow:
            if self._smoothed_ms > TARDY_MS:
                self.slow_down()
        elif answer.error is None and answer.duration_ms < GOOD_ANSWER_MS:
            self._good_count += 1
            self.is_slow = self._good_count < GOOD_ANSWERS_TO_BE_FAST or self._smoothed_ms > QUICK_MS
        else:
            self._good_count = 0

    def slow_down(self) -> None:
        self.is_slow = True
        self._good_count = 0

    def look(self, now: float) -> None:
        """Send a lane that hangs to the slow multi handle."""
        if not self.is_slow and any(wire.started_at < now - HANGING_SECONDS for wire in self.flying):
            self.slow_down()

    def draw(self) -> tuple[Seat, Call] | None:
        """The next call in order of submission. An exception is the work's own: it comes out as Crash."""
        place = 0
        while place < len(self.seats):
            seat = self.seats[place]
            try:
                call = seat.work.next_call()
                if call is not None:
                    return seat, call
                finished = seat.work.finished
            except Exception as error:
                raise Crash(seat, error) from error
            if finished:
                del self.seats[place]
            else:
                place += 1
        self.is_blocked = True
        return None

    def leave(self) -> list[Seat]:
        """Take every work out of the lane; those with calls under way may have been out of its queue already."""
        seats = dict.fromkeys([*self.seats, *(wire.flight[0] for wire in self.flying)])
        leaving = [seat for seat in seats if not seat.is_leaving]
        for seat in leaving:
            seat.is_leaving = True
        self.seats.clear()
        return leaving

    def remove(self, seat: Seat) -> None:
        """Ask one work for no further call."""
        if seat in self.seats:
            self.seats.remove(seat)

    def trim(self) -> None:
        """Close the handles that wait unused."""
        while self.spare:
            self.spare.pop().close()


class Crash(Exception):
    """A work raised in `next_call`; it never leaves the sender."""

    def __init__(self, seat: Seat, cause: Exception) -> None:
        super().__init__()
        self.seat = seat
        self.cause = cause
