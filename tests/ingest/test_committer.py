"""The thread before the log, with a writer that does as it is told."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from hub.events.log import Appended, LogError, LogUnavailable, Submission, Unstorable
from hub.events.spec import EventRow, row_of
from hub.ingest.committer import COMMIT_EVENTS, CROWD_REQUESTS, Committer, QueueFull, Ticket

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def make_row(name: str) -> EventRow:
    return row_of({"type": "track", "event": "e", "userId": "u", "messageId": name}, b"{}", 0)


def make_submission(*names: str, rejected_count: int = 0, workspace_id: str = "") -> Submission:
    rows = [make_row(name) for name in names]
    return Submission(workspace_id or str(uuid.uuid4()), "source", NOW, 24, rows, rejected_count)


class ScriptedWriter:
    """Stores what it is given, except for messages named `poison`; may be held up, or fail as a whole."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.rejected = 0
        self.gate = threading.Event()
        self.gate.set()
        self.is_in_commit = threading.Event()
        self.failure: Exception | None = None

    def append(self, submissions: Sequence[Submission]) -> Appended:
        self.is_in_commit.set()
        self.gate.wait(5)
        if self.failure is not None:
            raise self.failure
        names = [row.message_id for submission in submissions for row in submission.rows]
        if "poison" in names:
            raise Unstorable("invalid byte sequence")
        self.commits.append(names)
        self.rejected += sum(submission.rejected_count for submission in submissions)
        return Appended(len(names), 0)

    def keep_samples(self, submissions: Sequence[Submission]) -> None:
        raise LogUnavailable("samples are a courtesy")

    def close(self) -> None:
        pass


@pytest.fixture
def writer() -> ScriptedWriter:
    return ScriptedWriter()


@pytest.fixture
def hinted() -> list[str]:
    return []


@pytest.fixture
def start(writer: ScriptedWriter, hinted: list[str]) -> Iterator[Callable[..., Committer]]:
    made: list[Committer] = []

    def make(queue_events: int = 20_000) -> Committer:
        made.append(Committer(lambda: writer, hinted.extend, queue_events))
        return made[-1]

    yield make
    writer.gate.set()
    for committer in made:
        committer.close()


def submitted(committer: Committer, *submissions: Submission) -> list[Ticket]:
    tickets = [Ticket(submission, done=threading.Event()) for submission in submissions]
    for ticket in tickets:
        committer.submit(ticket)
    return tickets


def ends(tickets: Sequence[Ticket]) -> list[LogError | None]:
    for ticket in tickets:
        assert ticket.done is not None
        assert ticket.done.wait(5)
    return [ticket.error for ticket in tickets]


def held(committer: Committer, writer: ScriptedWriter) -> None:
    """Keep the committer busy, so that what is submitted next waits together."""
    writer.gate.clear()
    submitted(committer, make_submission("first"))
    assert writer.is_in_commit.wait(5)


def test_what_waits_together_is_committed_together(start: Callable[..., Committer], writer: ScriptedWriter) -> None:
    committer = start()
    held(committer, writer)
    tickets = submitted(committer, make_submission("a"), make_submission("b", "c"), make_submission("d"))
    writer.gate.set()
    assert ends(tickets) == [None] * 3
    assert writer.commits == [["first"], ["a", "b", "c", "d"]]


def test_a_commit_is_bounded(start: Callable[..., Committer], writer: ScriptedWriter) -> None:
    committer = start()
    held(committer, writer)
    third = COMMIT_EVENTS // 3 + 1
    tickets = submitted(committer, *(make_submission(*[f"{n}-{m}" for m in range(third)]) for n in range(4)))
    writer.gate.set()
    ends(tickets)
    assert [len(commit) for commit in writer.commits] == [1, 2 * third, 2 * third]


def test_a_full_queue_refuses_at_once_and_takes_again_later(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start(queue_events=3)
    held(committer, writer)
    tickets = submitted(committer, make_submission("a", "b", "c"))
    with pytest.raises(QueueFull):
        committer.submit(Ticket(make_submission("d")))
    writer.gate.set()
    assert ends(tickets) == [None]
    assert ends(submitted(committer, make_submission("e"))) == [None]


def test_a_workspace_that_sends_little_is_in_the_next_commit_however_much_another_has_waiting(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start()
    held(committer, writer)
    loud = [make_submission(*[f"{n}-{m}" for m in range(100)], workspace_id="loud") for n in range(12)]
    tickets = submitted(committer, *loud, make_submission("quiet", workspace_id="quiet"))
    writer.gate.set()
    ends(tickets)
    assert "quiet" in writer.commits[1]
    assert all(len(commit) <= COMMIT_EVENTS for commit in writer.commits)


def test_a_workspace_that_has_filled_its_share_of_the_queue_leaves_room_for_others(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start(queue_events=20)
    held(committer, writer)
    loud = submitted(committer, *(make_submission(f"{n}", workspace_id="loud") for n in range(10)))
    with pytest.raises(QueueFull):
        committer.submit(Ticket(make_submission("more", workspace_id="loud")))
    quiet = submitted(committer, make_submission("quiet", workspace_id="quiet"))
    writer.gate.set()
    assert ends([*loud, *quiet]) == [None] * 11


def test_what_comes_while_a_crowd_is_served_is_gathered_into_one_commit(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start()
    held(committer, writer)
    crowd = submitted(committer, *(make_submission(f"c{n}") for n in range(CROWD_REQUESTS)))
    writer.gate.set()
    ends(crowd)
    late = submitted(committer, make_submission("a"), make_submission("b"))
    assert ends(late) == [None, None]
    assert sorted(name for commit in writer.commits[2:] for name in commit) == ["a", "b"]


def test_a_submission_larger_than_the_queue_passes_when_nothing_waits(start: Callable[..., Committer]) -> None:
    assert ends(submitted(start(queue_events=1), make_submission("a", "b"))) == [None]


def test_poison_costs_its_neighbours_nothing(
    start: Callable[..., Committer], writer: ScriptedWriter, hinted: list[str]
) -> None:
    committer = start()
    held(committer, writer)
    tickets = submitted(
        committer, make_submission("a"), make_submission("b", "poison", "c", rejected_count=1), make_submission("d")
    )
    writer.gate.set()
    assert ends(tickets) == [None] * 3
    assert sorted(name for commit in writer.commits for name in commit) == ["a", "b", "c", "d", "first"]
    assert writer.rejected == 2


def test_a_database_that_is_away_is_told_to_all_who_wait(
    start: Callable[..., Committer], writer: ScriptedWriter, hinted: list[str]
) -> None:
    committer = start()
    held(committer, writer)
    writer.failure = LogUnavailable("gone")
    tickets = submitted(committer, make_submission("a"), make_submission("b"))
    writer.gate.set()
    assert all(isinstance(error, LogUnavailable) for error in ends(tickets))
    writer.failure = None
    assert ends(submitted(committer, make_submission("c"))) == [None]


def test_a_fault_of_ours_is_answered_and_does_not_end_the_thread(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start()
    writer.failure = RuntimeError("a bug")
    assert isinstance(ends(submitted(committer, make_submission("a")))[0], LogUnavailable)
    writer.failure = None
    assert ends(submitted(committer, make_submission("b"))) == [None]


def test_a_fault_in_the_queue_is_answered_and_does_not_end_the_thread(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start(queue_events=4)
    held(committer, writer)
    tickets = submitted(committer, make_submission("a"), make_submission("b"))
    tickets[0].size = cast("int", "cannot be weighed")
    writer.gate.set()
    assert all(isinstance(error, LogUnavailable) for error in ends(tickets))
    assert ends(submitted(committer, make_submission("c", "d", "e", "f"))) == [None]
    committer.close()
    assert writer.commits == [["first"], ["c", "d", "e", "f"]]


def test_workspaces_with_new_events_are_hinted_and_others_are_not(
    start: Callable[..., Committer], hinted: list[str]
) -> None:
    committer = start()
    ends(submitted(committer, make_submission("a", workspace_id="acme"), make_submission(workspace_id="globex")))
    committer.close()
    assert hinted == ["acme"]


def test_closing_stores_what_waits_and_then_takes_no_more(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start()
    held(committer, writer)
    submitted(committer, make_submission("a"))
    writer.gate.set()
    committer.close()
    assert writer.commits == [["first"], ["a"]]
    with pytest.raises(QueueFull):
        committer.submit(Ticket(make_submission("b")))


def test_waiting_in_a_thread_ends_when_the_time_is_over(
    start: Callable[..., Committer], writer: ScriptedWriter
) -> None:
    committer = start()
    held(committer, writer)
    with pytest.raises(LogUnavailable):
        committer.commit(make_submission("a"), timeout=0.01)
