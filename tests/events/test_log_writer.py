"""The one statement that writes to the log, over a real database and connections of its own."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hub.events.log import (
    NULL,
    SEPARATOR,
    Appended,
    LogUnavailable,
    LogWriter,
    Sample,
    Submission,
    Unstorable,
    window,
)
from hub.events.spec import EventRow, row_of
from hub.lib import postgres

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def make_row(name: str = "", **changes: Any) -> EventRow:
    message = {"type": "track", "event": "Signed Up", "userId": "ada", "messageId": name or str(uuid.uuid4())}
    return row_of(message, b'{"messageId":"x"}', 0)._replace(**changes)


@dataclass(slots=True)
class Log:
    """Writers for one source, and what is in the tables."""

    dsn: str
    workspace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    source_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    writers: list[LogWriter] = field(default_factory=list)

    def writer(self) -> LogWriter:
        self.writers.append(LogWriter(lambda: self.dsn))
        return self.writers[-1]

    def submission(self, *rows: EventRow, at: datetime = NOON, **changes: Any) -> Submission:
        return replace(Submission(self.workspace_id, self.source_id, at, 24, rows), **changes)

    def query(self, sql: str, *parameters: object) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def events(self) -> list[str]:
        rows = self.query("SELECT message_id FROM event_log WHERE source_id = %s ORDER BY seq", self.source_id)
        return [row[0] for row in rows]

    def counts(self) -> list[tuple[int, ...]]:
        """received, rejected, duplicate, accepted of each count row"""
        return self.query(
            "SELECT received, rejected, duplicate, accepted FROM event_count WHERE source_id = %s ORDER BY xid_to, day",
            self.source_id,
        )

    def days(self, row: EventRow) -> list[date]:
        return [
            found[0]
            for found in self.query(
                "SELECT day FROM event_dedupe WHERE source_id = %s AND key = %s ORDER BY day", self.source_id, row.key
            )
        ]


@pytest.fixture
def log(db: None) -> Iterator[Log]:
    made = Log(postgres.dsn())
    yield made
    for writer in made.writers:
        writer.close()


def test_seq_follows_the_order_of_arrival(log: Log) -> None:
    names = [f"m{number:03}" for number in range(300)]
    shuffled = sorted(names, key=lambda name: hash((name, 7)))
    half = len(shuffled) // 2
    first, second = (log.submission(*map(make_row, part)) for part in (shuffled[:half], shuffled[half:]))
    assert log.writer().append([first, second]) == Appended(300, 0)
    assert log.events() == shuffled


def test_every_column_arrives_as_it_was_sent(log: Log) -> None:
    row = make_row("m1", anonymous_id="anon", user_id=None, event_name=None, flags=5, body=b'{"a":"\xc3\xbc\\u001f"}')
    log.writer().append([log.submission(row)])
    (found,) = log.query(
        "SELECT workspace_id::text, received_at, message_key, user_key, flags, type, event_name, user_id, "
        "anonymous_id, message_id, body, epoch FROM event_log WHERE source_id = %s",
        log.source_id,
    )
    assert found == (
        log.workspace_id, NOON, row.message_key, row.user_key, 5, "track", None, None, "anon", "m1",
        '{"a":"ü\\u001f"}', 1,
    )  # fmt: skip


def test_all_rows_of_a_commit_and_their_count_share_a_transaction(log: Log) -> None:
    log.writer().append([log.submission(make_row(), make_row()), log.submission(make_row())])
    ((xids, count_xids),) = log.query(
        "SELECT (SELECT array_agg(DISTINCT xid::text) FROM event_log WHERE source_id = %s), "
        "(SELECT array_agg(xid_from::text || xid_to::text) FROM event_count WHERE source_id = %s)",
        log.source_id,
        log.source_id,
    )
    assert count_xids == [xids[0] * 2]


def test_a_repeat_inside_one_submission_is_a_duplicate(log: Log) -> None:
    assert log.writer().append([log.submission(make_row("a"), make_row("b"), make_row("a"))]) == Appended(2, 1)
    assert log.events() == ["a", "b"]
    assert log.counts() == [(3, 0, 1, 2)]


def test_a_repeat_across_submissions_of_one_commit_is_a_duplicate(log: Log) -> None:
    writer = log.writer()
    assert writer.append([log.submission(make_row("a")), log.submission(make_row("a"))]) == Appended(1, 1)
    assert log.counts() == [(2, 0, 1, 1)]


def test_a_repeat_across_commits_is_a_duplicate_and_the_first_content_stays(log: Log) -> None:
    writer = log.writer()
    writer.append([log.submission(make_row("a", event_name="first"))])
    assert writer.append([log.submission(make_row("a", event_name="second"), make_row("b"))]) == Appended(1, 1)
    assert log.query("SELECT event_name FROM event_log WHERE source_id = %s ORDER BY seq LIMIT 1", log.source_id) == [
        ("first",)
    ]
    assert log.counts() == [(1, 0, 0, 1), (2, 0, 1, 1)]


def test_connections_that_bring_the_same_keys_in_another_order_store_each_once(log: Log) -> None:
    rounds, size = 6, 400
    barrier = threading.Barrier(2, timeout=10)
    outcomes: list[Appended] = []

    def send(step: int) -> None:
        writer = LogWriter(lambda: log.dsn)
        for number in range(rounds):
            rows = [make_row(f"r{number}-k{place}") for place in range(size)]
            barrier.wait()
            outcomes.append(writer.append([log.submission(*rows[::step])]))
        writer.close()

    threads = [threading.Thread(target=send, args=(step,)) for step in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 2 * rounds
    assert sum(outcome.accepted for outcome in outcomes) == rounds * size
    assert sum(outcome.duplicate for outcome in outcomes) == rounds * size
    assert len(log.events()) == len(set(log.events())) == rounds * size


def test_an_open_transaction_with_the_key_is_waited_for(log: Log) -> None:
    row = make_row("a")
    with psycopg.connect(log.dsn) as other:
        other.execute(
            "INSERT INTO event_dedupe VALUES (%s, %s, %s, %s)", [NOON.date(), log.workspace_id, log.source_id, row.key]
        )
        outcomes: list[Appended] = []
        writer = log.writer()
        thread = threading.Thread(target=lambda: outcomes.append(writer.append([log.submission(row)])))
        thread.start()
        thread.join(0.2)
        assert outcomes == []
        other.commit()
        thread.join()
    assert outcomes == [Appended(0, 1)]


def test_sources_of_one_commit_are_counted_apart(log: Log) -> None:
    other = Log(log.dsn)
    writer = log.writer()
    outcome = writer.append(
        [log.submission(make_row("a"), rejected_count=2), other.submission(make_row("a"), make_row("b"))]
    )
    assert outcome == Appended(3, 0)
    assert (log.counts(), other.counts()) == ([(3, 2, 0, 1)], [(2, 0, 0, 2)])
    assert (log.events(), other.events()) == (["a"], ["a", "b"])


def test_a_commit_in_which_everything_was_refused_is_counted(log: Log) -> None:
    assert log.writer().append([log.submission(rejected_count=3)]) == Appended(0, 0)
    assert log.counts() == [(3, 3, 0, 0)]
    assert log.events() == []


def test_refused_and_accepted_requests_share_a_commit(log: Log) -> None:
    log.writer().append(
        [log.submission(rejected_count=3), log.submission(make_row("a")), log.submission(make_row("a"))]
    )
    assert log.counts() == [(5, 3, 1, 1)]


MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
TODAY = MIDNIGHT.date()
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (MIDNIGHT - timedelta(seconds=61), [TODAY - DAY]),
        (MIDNIGHT - timedelta(seconds=59), [TODAY - DAY, TODAY]),
        (MIDNIGHT - timedelta(milliseconds=1), [TODAY - DAY, TODAY]),
        (MIDNIGHT, [TODAY - DAY, TODAY]),
        (MIDNIGHT + timedelta(seconds=59), [TODAY - DAY, TODAY]),
        (MIDNIGHT + timedelta(seconds=60), [TODAY]),
        (NOON, [TODAY]),
    ],
)
def test_within_a_minute_of_midnight_a_key_is_claimed_for_both_days(log: Log, at: datetime, days: list[date]) -> None:
    row = make_row("a")
    assert log.writer().append([log.submission(row, at=at)]) == Appended(1, 0)
    assert log.days(row) == days


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MIDNIGHT - timedelta(seconds=2), MIDNIGHT + timedelta(seconds=2)),
        (MIDNIGHT + timedelta(seconds=2), MIDNIGHT - timedelta(seconds=2)),
        (MIDNIGHT - timedelta(seconds=90), MIDNIGHT + timedelta(seconds=90)),
        (MIDNIGHT + timedelta(seconds=90), MIDNIGHT - timedelta(seconds=90)),
        (MIDNIGHT - timedelta(hours=12), NOON - timedelta(seconds=1)),
    ],
)
def test_a_repeat_on_the_other_side_of_midnight_is_a_duplicate(log: Log, first: datetime, second: datetime) -> None:
    writer = log.writer()
    writer.append([log.submission(make_row("a"), at=first)])
    assert writer.append([log.submission(make_row("a"), at=second)]) == Appended(0, 1)


@pytest.mark.parametrize("side", [-1, 1])
def test_one_commit_with_arrivals_of_two_days_finds_the_keys_of_both(log: Log, side: int) -> None:
    writer = log.writer()
    writer.append([log.submission(make_row("a"), at=MIDNIGHT + side * timedelta(hours=2))])
    repeated = log.submission(make_row("a"), at=MIDNIGHT - side * timedelta(seconds=90))
    new = log.submission(make_row("b"), at=MIDNIGHT + side * timedelta(seconds=90))
    assert writer.append([new, repeated]) == Appended(1, 1)


def test_two_open_transactions_on_either_side_of_midnight_store_one(log: Log) -> None:
    barrier = threading.Barrier(2, timeout=10)
    outcomes: list[Appended] = []

    def send(at: datetime) -> None:
        writer = LogWriter(lambda: log.dsn)
        for number in range(20):
            barrier.wait()
            outcomes.append(writer.append([log.submission(make_row(f"m{number}"), at=at)]))
        writer.close()

    threads = [threading.Thread(target=send, args=(MIDNIGHT + timedelta(seconds=s),)) for s in (-1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.accepted for outcome in outcomes) == 20


@pytest.mark.parametrize(("hours", "days_ago", "outcome"), [(24, 2, (1, 0)), (48, 2, (0, 1)), (168, 6, (0, 1))])
def test_the_window_is_the_workspaces_own(log: Log, hours: int, days_ago: int, outcome: tuple[int, int]) -> None:
    writer = log.writer()
    writer.append([log.submission(make_row("a"), at=NOON - days_ago * DAY)])
    assert writer.append([log.submission(make_row("a"), dedupe_hours=hours)]) == Appended(*outcome)


def test_the_count_is_of_the_day_of_arrival(log: Log) -> None:
    log.writer().append([log.submission(make_row("a"), at=MIDNIGHT - DAY / 2), log.submission(make_row("b"))])
    days = log.query("SELECT day, accepted FROM event_count WHERE source_id = %s ORDER BY day", log.source_id)
    assert days == [(TODAY - DAY, 1), (TODAY, 1)]


@pytest.mark.parametrize("column", ["event_name", "user_id", "anonymous_id", "message_id", "type"])
def test_a_stray_separator_fails_the_statement_and_shifts_nothing(log: Log, column: str) -> None:
    writer = log.writer()
    bad = make_row(**{column: f"a{SEPARATOR}b"})
    with pytest.raises(Unstorable, match="different length"):
        writer.append([log.submission(make_row(), bad, make_row())])
    assert log.events() == []
    assert log.counts() == []


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("column", ["event_name", "user_id", "anonymous_id", "message_id"])
def test_an_empty_text_stays_an_empty_text(log: Log, column: str, rows: int) -> None:
    log.writer().append([log.submission(*(make_row(f"m{n}", **{column: ""}) for n in range(rows)))])
    found = log.query(f"SELECT {column} FROM event_log WHERE source_id = %s", log.source_id)
    assert found == [("",)] * rows


@pytest.mark.parametrize(
    "bad",
    [
        {"body": b"nul\x00"},
        {"user_id": "nul\x00"},
        {"key": "no uuid"},
        {"body": b"\xff\xfe"},
        {"flags": 70_000},
        {"type": NULL},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_content_that_the_database_refuses_is_told_from_a_database_that_is_away(log: Log, bad: dict[str, Any]) -> None:
    writer = log.writer()
    with pytest.raises(Unstorable):
        writer.append([log.submission(make_row(**bad))])
    assert writer.append([log.submission(make_row("good"))]) == Appended(1, 0)
    assert log.events() == ["good"]


def test_a_database_that_is_away_is_told() -> None:
    writer = LogWriter(lambda: "host=127.0.0.1 port=1 dbname=none user=none")
    submission = Submission(str(uuid.uuid4()), str(uuid.uuid4()), NOON, 24, [make_row()])
    with pytest.raises(LogUnavailable):
        writer.append([submission])


def test_a_missing_partition_is_our_fault_and_not_the_contents(log: Log) -> None:
    with psycopg.connect(log.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE event_dedupe DETACH PARTITION event_dedupe_default")
        try:
            with pytest.raises(LogUnavailable):
                log.writer().append([log.submission(make_row(), at=NOON - 400 * DAY)])
        finally:
            connection.execute("ALTER TABLE event_dedupe ATTACH PARTITION event_dedupe_default DEFAULT")


def test_samples_are_stored_with_their_source(log: Log) -> None:
    sample = Sample("event_not_defined", "track", None, "m1", '{"type":"track"}')
    log.writer().keep_samples([log.submission(samples=[sample, sample])])
    found = log.query(
        "SELECT code, message_type, event_name, message_id, sample FROM event_rejected WHERE source_id = %s",
        log.source_id,
    )
    assert found == [("event_not_defined", "track", None, "m1", '{"type":"track"}')] * 2


@pytest.mark.parametrize(
    ("at", "hours", "expected"),
    [
        ("2026-11-24T12:00:00+00:00", 24, ("2026-11-23", "2026-11-24", "2026-11-24", "2026-11-25")),
        ("2026-11-24T00:00:59+00:00", 24, ("2026-11-23", "2026-11-24", "2026-11-23", "2026-11-25")),
        ("2026-11-24T23:59:01+00:00", 168, ("2026-11-17", "2026-11-24", "2026-11-25", "2026-11-25")),
        ("2026-11-24T23:30:00-02:00", 24, ("2026-11-24", "2026-11-25", "2026-11-25", "2026-11-26")),
    ],
)
def test_the_days_of_an_arrival(at: str, hours: int, expected: tuple[str, ...]) -> None:
    assert tuple(day.isoformat() for day in window(datetime.fromisoformat(at), hours)) == expected


def test_a_connection_that_was_dropped_meanwhile_costs_no_event(log: Log) -> None:
    writer = log.writer()
    writer.append([log.submission(make_row("before"))])
    log.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'headwater-ingest' AND datname = current_database()"
    )
    assert writer.append([log.submission(make_row("after"))]).accepted == 1
