"""What a chunk does beside plain calls: look-ups before them, questions after jobs, writes to what speaks no HTTP.

Most destinations need none of it; what a chunk of theirs pays is this object. All runs in the sender's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from connectors.http import ItemOutcome, Outcome
from hub.delivery import drafts
from hub.delivery.calls import Call
from hub.delivery.config import Rule
from hub.delivery.lookups import Crashed, Lookups, LookupTag
from hub.delivery.parts import Part, Tag
from hub.delivery.polling import Polls, PollTag
from hub.delivery.run import Run
from hub.delivery.sinks.calls import SinkCall
from hub.delivery.sinks.running import WRITES_A_PIPELINE, runner
from hub.delivery.verdicts import Verdicts
from hub.lib.net import Answer

Told = Callable[[Call, list[ItemOutcome], Answer], None]
Build = Callable[[Rule, list[Part]], None]


class Detours:
    """Of one chunk. `calls` are its calls that may start, `build` makes those of parts that are ready."""

    def __init__(self, run: Run, verdicts: Verdicts, calls: deque[Call], build: Build, crashed: Crashed) -> None:
        self._run = run
        self._verdicts = verdicts
        self._calls = calls
        self._build = build
        self._crashed = crashed
        self._lookups: Lookups | None = None
        self.polls = Polls(run, verdicts, calls)

    def __bool__(self) -> bool:
        """Whether something is on its way that is no call yet."""
        return bool(self._lookups) or bool(self.polls)

    def looks_up(self, rule: Rule, parts: list[Part]) -> bool:
        """Whether look-ups come first; they have begun then."""
        if not rule.action.resolve or parts[0].found is not None:
            return False
        if self._lookups is None:
            self._lookups = Lookups(self._run, self._verdicts, self._calls, self._build, self._crashed)
        self._lookups.begin(rule, parts)
        return True

    def finish(self, call: Call, tag: Tag, answer: Answer) -> bool:
        """Take the answer of a call that was made here; False when it is a plain one's."""
        if isinstance(tag, LookupTag) and self._lookups is not None:
            self._lookups.finish(call, tag, answer)
            return True
        if isinstance(tag, PollTag):
            self.polls.finish(call, tag, answer)
            return True
        return False

    def starts_write(self, call: Call, told: Told) -> bool:
        """Begin a write in a thread of its own, unless the pipeline has enough of them; `told` is called here."""
        most = min(WRITES_A_PIPELINE, self._run.lane.max_in_flight)
        if not isinstance(call, SinkCall) or self._run.write_count >= most:
            return False
        self._run.write_count += 1
        home = self._run.lane.home
        runner().start(call.request, lambda items, answer: home.order(partial(told, call, items, answer)))
        return True

    def judge_write(self, call: Call, items: list[ItemOutcome], answer: Answer) -> list[list[Part]]:
        """Take the outcomes of a write. Returns the groups that are to be written again in smaller ones."""
        self._run.write_count -= 1
        tag: Tag = call.tag  # type: ignore[assignment]
        items = drafts.complete(items, tag.spec.covers, 0)
        if answer.error is not None and answer.sent and not tag.spec.is_repeatable:
            items = [drafts.unconfirmed(item) if item.outcome is Outcome.RETRY else item for item in items]
        return self._verdicts.take(call, tag, items, answer)

    def give_up(self, calls: Iterable[Call]) -> None:
        """The chunk is over: whatever was never sent is undecided."""
        tags: list[Tag] = [call.tag for call in calls]  # type: ignore[misc]
        parts = [part for tag in tags if not isinstance(tag, LookupTag) for part in tag.parts]
        parts += self.polls.give_up()
        if self._lookups is not None:
            parts += self._lookups.give_up()
        if parts:
            self._verdicts.leave_undecided(parts)
