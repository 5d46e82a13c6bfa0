"""What requests of one event loop share while they wait: time limits, turns, and one hand-over to the committer.

Submissions of the same turn of the loop are handed over together at its end. Handed over one by one, the first would
wake the committer for a commit of its own, and at saturation small commits cost more than all the parsing.

Bodies that take long to parse take turns, one to a round of the loop, so that whoever sends little waits for one of
them and not for all that have come.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from django.conf import settings

from hub.events.log import LogError, LogUnavailable, Submission
from hub.ingest.committer import ANSWER_WITHIN_SECONDS, HASTY_ANSWER_WITHIN_SECONDS, Ticket
from hub.ingest.deadlines import Deadlines
from hub.ingest.lanes import Lanes
from hub.ingest.runtime import current


@dataclass(slots=True, eq=False)
class Turn:
    """A large body that waits to be parsed. `lane` is whoever sent it."""

    lane: str
    size: int
    future: asyncio.Future[None]
    events: int = 1


class WaitingRoom:
    """The waits of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.bodies = Deadlines(loop, settings.BODY_SECONDS)
        self._commits = Deadlines(loop, ANSWER_WITHIN_SECONDS)
        self._hasty_commits = Deadlines(loop, HASTY_ANSWER_WITHIN_SECONDS)
        self._turn: list[Ticket] = []
        self._turns: Lanes[Turn] = Lanes()

    async def turn(self, lane: str, size: int) -> None:
        """Wait until it is this sender's turn to have a large body parsed."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._turns.put(Turn(lane, size, future))
        if self._turns.waiting == 1:
            self.loop.call_soon(self._give_turn)
        await future

    def _give_turn(self) -> None:
        """Wake one; it runs in the next round of the loop, before which what is small has had its own."""
        for turn in self._turns.take(1, 0):
            if not turn.future.done():
                turn.future.set_result(None)
        if self._turns.waiting:
            self.loop.call_soon(self._give_turn)

    async def commit(self, submission: Submission, is_hasty: bool = False) -> LogError | None:
        """Wait until the submission is stored; returns why it was not, if so."""
        future: asyncio.Future[LogError | None] = self.loop.create_future()
        self._turn.append(Ticket(submission, self.loop, future))
        if len(self._turn) == 1:
            self.loop.call_soon(self._hand_over)
        try:
            return await (self._hasty_commits if is_hasty else self._commits).within(future)
        except TimeoutError:
            return LogUnavailable("no commit in time")

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        committer = current().committer
        for ticket in turn:
            try:
                committer.submit(ticket)
            except LogError as refusal:
                if ticket.future is not None and not ticket.future.done():
                    ticket.future.set_result(refusal)


_rooms: list[WaitingRoom] = []


def room() -> WaitingRoom:
    """That of the running loop; a process has one loop, tests have many."""
    loop = asyncio.get_running_loop()
    if not _rooms or _rooms[0].loop is not loop:
        _rooms[:] = [WaitingRoom(loop)]
    return _rooms[0]
