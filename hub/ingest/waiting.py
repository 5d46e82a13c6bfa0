"""What requests of one event loop share while they wait: the time limits, and one hand-over to the committer.

Submissions of the same turn of the loop are handed over together at its end. Handed over one by one, the first would
wake the committer for a commit of its own, and at saturation small commits cost more than all the parsing.
"""

from __future__ import annotations

import asyncio

from django.conf import settings

from hub.events.log import LogError, LogUnavailable, Submission
from hub.ingest.committer import ANSWER_WITHIN_SECONDS, Ticket
from hub.ingest.deadlines import Deadlines
from hub.ingest.runtime import current


class WaitingRoom:
    """The waits of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.bodies = Deadlines(loop, settings.BODY_SECONDS)
        self._commits = Deadlines(loop, ANSWER_WITHIN_SECONDS)
        self._turn: list[Ticket] = []

    async def commit(self, submission: Submission) -> LogError | None:
        """Wait until the submission is stored; returns why it was not, if so."""
        future: asyncio.Future[LogError | None] = self.loop.create_future()
        self._turn.append(Ticket(submission, self.loop, future))
        if len(self._turn) == 1:
            self.loop.call_soon(self._hand_over)
        try:
            return await self._commits.within(future)
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
