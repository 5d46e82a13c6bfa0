"""The one statement that writes to the log: dedupe, events and counts, in one round trip and one commit.

Each column travels as one text parameter whose values are joined by U+001F and split by the server. That is several
times faster than arrays built value by value or COPY, but a stray separator would shift every row behind it, other
workspaces' rows too: so the statement compares the lengths of all columns and fails when one differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import cast

import psycopg
from psycopg import errors, pq
from psycopg.pq.abc import PGresult

from hub.events.spec import EventRow
from hub.lib.postgres import has_dropped

SEPARATOR, NULL = "\x1f", "\x1e"
MIDNIGHT_MARGIN = timedelta(seconds=60)
ONE_DAY = timedelta(days=1)
# First day of the look-up, the day of arrival, its neighbour within a minute (else itself), last day of the look-up.
Window = tuple[date, date, date, date]
STATEMENT = b"append_events"

# Row columns, then columns of the commit's arrivals: what rows of one source and moment share is split and cast once.
ROW_COLUMNS = {
    "arrival": "integer", "key": "uuid", "message_key": "bigint", "user_key": "bigint", "flags": "smallint",
    "type": "text", "event_name": "text", "user_id": "text", "anonymous_id": "text", "message_id": "text",
    "body": "text",
}  # fmt: skip
ARRIVAL_COLUMNS = {
    "workspace_id": "uuid", "source_id": "uuid", "received_at": "timestamptz", "day": "date", "other_day": "date",
    "first_day": "date", "received": "integer", "rejected": "integer",
}  # fmt: skip
SHARED = ("workspace_id", "source_id", "received_at", "day", "other_day", "first_day")


def _arrays(columns: dict[str, str], prefix: str, first: int) -> str:
    return ", ".join(
        f"{_split(kind, number)}::{kind}[] AS {prefix}{name}"
        for number, (name, kind) in enumerate(columns.items(), start=first)
    )


def _split(kind: str, number: int) -> str:
    """Split one joined parameter. A lone empty text would become an empty array, so it is put back by hand."""
    split = f"string_to_array(${number}, U&'\\001F', U&'\\001E')"
    return f"(CASE WHEN ${number} = '' THEN ARRAY[''] ELSE {split} END)" if kind == "text" else split


def _lengths(columns: dict[str, str], prefix: str, count: str) -> str:
    return " AND ".join(f"coalesce(cardinality({prefix}{name}), 0) = {count}" for name in columns)


def _names(columns: dict[str, str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in columns)


FIRST_ROW_PARAMETER = 7
FIRST_ARRIVAL_PARAMETER = FIRST_ROW_PARAMETER + len(ROW_COLUMNS)
# The columns go as binary: as text, libpq would end each at its first NUL, and a row would be cut short in silence.
FORMATS = [pq.Format.TEXT] * (FIRST_ROW_PARAMETER - 1) + [pq.Format.BINARY] * (len(ROW_COLUMNS) + len(ARRIVAL_COLUMNS))
# $1 rows, $2 arrivals, $3 to $4 and $5 to $6 the days that are looked up, before and after that of the commit.
# - The look-ups are sub-selects, not joins, so that they are index probes whatever the planner believes of the table.
# - The commit's own day needs none: there the insert meets the key. Plain parameters prune the partitions once; the
#   row's own window is kept from pruning by the `+ 0`, else every row would prune them again.
# - Keys go in sorted, else two commits with the same keys in another order deadlock.
# - Near midnight a key is inserted for both days; the event is ours when its own day's key was inserted by us.


def _found(first: str, last: str) -> str:
    return f"""(SELECT true FROM event_dedupe d
           WHERE d.workspace_id = i.workspace_id AND d.source_id = i.source_id AND d.key = i.key
             AND d.day >= {first}::date AND d.day <= {last}::date
             AND d.day + 0 >= i.first_day AND d.day + 0 <= i.day + 1 LIMIT 1)"""  # noqa: S608 - made of constants only


APPEND = f"""
WITH sent AS MATERIALIZED (
    SELECT {_arrays(ROW_COLUMNS, "r_", FIRST_ROW_PARAMETER)},
           {_arrays(ARRIVAL_COLUMNS, "a_", FIRST_ARRIVAL_PARAMETER)}
), checked AS MATERIALIZED (
    SELECT * FROM sent
    WHERE CASE WHEN {_lengths(ROW_COLUMNS, "r_", "$1::integer")} AND {_lengths(ARRIVAL_COLUMNS, "a_", "$2::integer")}
          THEN true ELSE ('columns of different length' || left($1::text, 0))::boolean END
), input AS MATERIALIZED (
    SELECT t.*, {", ".join(f"a_{name}[t.arrival] AS {name}" for name in SHARED)}
    FROM checked, unnest({_names(ROW_COLUMNS, "r_")}) WITH ORDINALITY AS t({_names(ROW_COLUMNS)}, place)
), unseen AS (
    SELECT workspace_id, source_id, key, day, other_day FROM input i
    WHERE {_found("$3", "$4")} IS NULL AND {_found("$5", "$6")} IS NULL
), claimed AS (
    INSERT INTO event_dedupe (workspace_id, source_id, key, day)
    SELECT workspace_id, source_id, key, day FROM unseen
    UNION ALL SELECT workspace_id, source_id, key, other_day FROM unseen WHERE other_day <> day
    ORDER BY 1, 2, 3, 4
    ON CONFLICT DO NOTHING RETURNING workspace_id, source_id, key, day
), appended AS (
    INSERT INTO event_log (workspace_id, source_id, epoch, received_at, message_key, user_key, flags, type,
                           event_name, user_id, anonymous_id, message_id, body)
    SELECT workspace_id, source_id, (SELECT epoch FROM log_epoch WHERE id = 1), received_at, message_key, user_key,
           flags, type, event_name, user_id, anonymous_id, message_id, body
    FROM input JOIN claimed USING (workspace_id, source_id, key, day) ORDER BY place
    RETURNING workspace_id, source_id, (received_at AT TIME ZONE 'UTC')::date AS day
), accepted AS (
    SELECT workspace_id, source_id, day, count(*)::integer AS rows FROM appended GROUP BY 1, 2, 3
), arrived AS (
    SELECT workspace_id, source_id, day, sum(received)::integer AS received, sum(rejected)::integer AS rejected
    FROM checked, unnest({_names(ARRIVAL_COLUMNS, "a_")}) AS a({_names(ARRIVAL_COLUMNS)}) GROUP BY 1, 2, 3
), counted AS (
    INSERT INTO event_count (workspace_id, source_id, epoch, day, received, rejected, duplicate, accepted)
    SELECT workspace_id, source_id, (SELECT epoch FROM log_epoch WHERE id = 1), day, received, rejected,
           received - rejected - coalesce(rows, 0), coalesce(rows, 0)
    FROM arrived LEFT JOIN accepted USING (workspace_id, source_id, day)
    RETURNING accepted, duplicate
)
SELECT coalesce(sum(accepted), 0), coalesce(sum(duplicate), 0) FROM counted
"""  # noqa: S608 - made of constants only
SAMPLE = """
INSERT INTO event_rejected (workspace_id, source_id, code, message_type, event_name, message_id, sample)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
# The plan is made once, before anything is known of the rows: hash joins between CTEs, index probes into tables.
SESSION_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=4000 -c idle_in_transaction_session_timeout=10000 -c jit=off "
    "-c plan_cache_mode=force_generic_plan -c enable_nestloop=off -c enable_mergejoin=off -c enable_seqscan=off "
    "-c work_mem=32MB -c TimeZone=UTC"
)
CONNECT_SECONDS = 2


class LogError(Exception):
    """The log did not take the events."""


class LogUnavailable(LogError):
    """The database is away, too slow or not ready; nothing was stored, or nobody knows. Sending again is safe."""


class Unstorable(LogError):
    """The database refuses the content of these rows; it would refuse them again."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A refused message, kept for the people who sent it."""

    code: str
    message_type: str | None
    event_name: str | None
    message_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What one request brings to the log: its valid events in order, and how many of its messages were refused."""

    workspace_id: str
    source_id: str
    received_at: datetime
    dedupe_hours: int
    rows: Sequence[EventRow]
    rejected_count: int = 0
    samples: Sequence[Sample] = field(default=())

    @property
    def received_count(self) -> int:
        return len(self.rows) + self.rejected_count


@dataclass(frozen=True, slots=True)
class Appended:
    """How one commit ended."""

    accepted: int
    duplicate: int


class LogWriter:
    """Appends to the log over a connection of its own; for one thread."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def append(self, submissions: Sequence[Submission]) -> Appended:
        """Store the submissions in one transaction, which has committed when this returns.

        Raises Unstorable when the content is to blame, LogUnavailable for everything else; after the latter the
        connection is dropped and the next call opens a new one.
        """
        parameters = statement_parameters(submissions)
        try:
            connection = self._connected()
            outcome = connection.pgconn.exec_prepared(STATEMENT, cast("list[bytes]", parameters), FORMATS)
            if outcome.status != pq.ExecStatus.TUPLES_OK:
                raise errors.error_from_result(outcome)
        except (psycopg.DataError, errors.NotNullViolation) as error:
            raise Unstorable(str(error)) from error
        except (psycopg.Error, OSError) as error:
            self.close()
            raise LogUnavailable(str(error)) from error
        return Appended(_number(outcome, 0), _number(outcome, 1))

    def keep_samples(self, submissions: Iterable[Submission]) -> None:
        """Store samples of refused messages, after the answer: they are a courtesy, the counts are the promise."""
        rows = [
            (s.workspace_id, s.source_id, x.code, x.message_type, x.event_name, x.message_id, x.text)
            for s in submissions
            for x in s.samples
        ]
        try:
            with self._connected().cursor() as cursor:
                cursor.executemany(SAMPLE, rows)
        except psycopg.DataError as error:
            raise Unstorable(str(error)) from error
        except (psycopg.Error, OSError) as error:
            self.close()
            raise LogUnavailable(str(error)) from error

    def close(self) -> None:
        """Drop the connection; the next append opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is not None and not self._connection.closed and has_dropped(self._connection):
            self.close()  # nothing has been sent yet, so a new one does as well
        if self._connection is None or self._connection.closed:
            connection = psycopg.Connection.connect(
                self._dsn(),
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                options=SESSION_OPTIONS,
                application_name="headwater-ingest",
                client_encoding="UTF8",
            )
            prepared = connection.pgconn.prepare(STATEMENT, APPEND.encode())
            if prepared.status != pq.ExecStatus.COMMAND_OK:
                connection.close()
                raise errors.error_from_result(prepared)
            self._connection = connection
        return self._connection


def statement_parameters(submissions: Sequence[Submission]) -> list[bytes | None]:
    """Join everything the statement needs, leaving out second copies of one key: both would take the same claim."""
    places: list[str] = []
    rows: list[EventRow] = []
    arrivals: list[tuple[str, ...]] = []
    seen: set[tuple[str, str]] = set()
    windows: set[Window] = set()
    for submission in submissions:
        days = window(submission.received_at, submission.dedupe_hours)
        windows.add(days)
        arrivals.append(_arrival(submission, days))
        new = unrepeated(submission, seen)
        rows += new
        places += [str(len(arrivals))] * len(new)
    counts = [str(len(rows)).encode(), str(len(arrivals)).encode()]
    shared = [SEPARATOR.join(column).encode() for column in zip(*arrivals, strict=True)]
    return [*counts, *_looked_up(windows), *_joined_rows(places, rows), *shared]


def _arrival(submission: Submission, days: Window) -> tuple[str, ...]:
    moment, counts = submission.received_at.isoformat(), (submission.received_count, submission.rejected_count)
    return (submission.workspace_id, submission.source_id, moment, *_day_texts(days), *map(str, counts))


@lru_cache(maxsize=256)
def _day_texts(days: Window) -> tuple[str, str, str]:
    first, own, other, _last = days
    return own.isoformat(), other.isoformat(), first.isoformat()


def _looked_up(windows: Collection[Window]) -> list[bytes]:
    """First and last day before, and first and last day after, the one on which everything arrived.

    At midnight there are two such days, and each may hold the other's keys: then all are looked up, once.
    """
    first, last = min(days[0] for days in windows), max(days[3] for days in windows)
    own = {days[1] for days in windows}
    day = own.pop()
    ranges = (first, day - ONE_DAY, day + ONE_DAY, last) if not own else (first, last, last, first)
    return [limit.isoformat().encode() for limit in ranges]


def unrepeated(submission: Submission, seen: set[tuple[str, str]]) -> Sequence[EventRow]:
    """The submission's rows whose key has not been seen in this commit, which are nearly always all of them."""
    source = submission.source_id
    kept: list[EventRow] = []
    for row in submission.rows:
        claim = (source, row[0])
        if claim not in seen:
            seen.add(claim)
            kept.append(row)
    return kept


def _joined_rows(places: Sequence[str], rows: Sequence[EventRow]) -> list[bytes | None]:
    if not rows:
        return [None] * len(ROW_COLUMNS)
    key, message_key, user_key, flags, call, event, user, anonymous, message_id, body = zip(*rows, strict=True)
    numbers = [map(str, column) for column in (message_key, user_key, flags)]
    optional = [[NULL if value is None else value for value in column] for column in (event, user, anonymous)]
    columns = [places, key, *numbers, call, *optional, message_id]
    return [*(SEPARATOR.join(column).encode() for column in columns), SEPARATOR.encode().join(body)]


def window(received_at: datetime, dedupe_hours: int) -> Window:
    """The days of one arrival: first of the look-up, its own, the neighbour within a minute (else its own), last."""
    return _window(int(received_at.timestamp()), dedupe_hours)


@lru_cache(maxsize=256)
def _window(second: int, dedupe_hours: int) -> Window:
    """The days of an arrival within this second; no day ends inside one."""
    moment = datetime.fromtimestamp(second, UTC)
    own = moment.date()
    other = (moment + MIDNIGHT_MARGIN).date()
    if other == own:
        other = (moment - MIDNIGHT_MARGIN).date()
    return (moment - timedelta(hours=dedupe_hours)).date(), own, other, own + ONE_DAY


def _number(outcome: PGresult, column: int) -> int:
    return int(outcome.get_value(0, column) or 0)
