"""Commit what became of a pipeline's events: one statement, void when the lease has passed to another.

Cursor, batch row, retry rows, dead letters, attempts and books change together or not at all.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from hub.delivery import filtered, remote
from hub.delivery.leases import LEASE_SECONDS, Lease
from hub.delivery.remote import RemoteJob
from hub.delivery.repair.signature import LONGEST_SIGNATURE, signature_of
from hub.delivery.replays import books
from hub.events.cursors import LogRow, Position
from hub.lib.arrays import literal
from hub.lib.postgres import Row
from hub.observability import metrics
from hub.routing import decide

if TYPE_CHECKING:
    from hub.delivery.parts import Delivery


class Status(IntEnum):
    """How an event stands at a destination; the number is what batch rows hold."""

    DELIVERED = 0  # every part arrived
    FILTERED = 1  # routing or the receiver's own rule said no, with a reason
    RETRYING = 2  # a part will be tried again
    DEAD = 3  # a part ended badly
    PENDING = 4  # the receiver works on it
    PARKED = 5  # waits behind an earlier event of the same user


OPEN = {Status.RETRYING, Status.PENDING, Status.PARKED}
MAX_SMALL = 32_767


@dataclass(slots=True)
class Decided:
    """One event's standing after this chunk."""

    row: LogRow
    status: Status
    reason: str = ""
    status_code: int = 0
    duration_ms: float = 0.0


@dataclass(slots=True)
class RetryDraft:
    """A retry row to be written, or to be changed when it has an id; `delay` in seconds from the database's now."""

    row: LogRow
    mapping_id: UUID | None
    state: str
    attempts: int
    delay: float
    reason: str = ""
    status_code: int = 0
    retry_id: int | None = None
    batch_key: str = ""
    job: RemoteJob | None = None


@dataclass(slots=True)
class DeadDraft:
    """A dead letter to be written."""

    row: LogRow
    mapping_id: UUID | None
    reason: str
    status_code: int
    message: str
    attempts: int
    first_at: datetime


@dataclass(slots=True)
class AttemptDraft:
    """One try to be kept in full; request and response are JSON texts without secrets, at most 2 KB of body each."""

    row: LogRow
    mapping_id: UUID | None
    delivery_id: str
    at: datetime
    attempt: int
    outcome: str
    reason: str
    status_code: int
    duration_ms: float
    request: str
    response: str


@dataclass(slots=True)
class ChunkOutcome:
    """Everything that one commit writes. `position` is where the cursor goes, None when it stays."""

    position: Position | None = None
    decided: list[Decided] = field(default_factory=list)
    retries: list[RetryDraft] = field(default_factory=list)
    dead: list[DeadDraft] = field(default_factory=list)
    attempts: list[AttemptDraft] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    held: list[Delivery] = field(default_factory=list)
    is_retry: bool = False
    had_success: bool = False
    last_failure: str = ""
    attempt_counts: dict[str, int] = field(default_factory=dict)
    retried: int = 0  # how many of a merged outcome's events come from retry rows


def merge(outcomes: Sequence[ChunkOutcome]) -> ChunkOutcome:
    """One outcome for consecutive chunks: they share a commit, and the cursor goes to the end of the last."""
    if len(outcomes) == 1:
        return outcomes[0]
    merged = ChunkOutcome(position=outcomes[-1].position, is_retry=all(outcome.is_retry for outcome in outcomes))
    for outcome in outcomes:
        merged.retried += len(outcome.decided) if outcome.is_retry else outcome.retried
        merged.decided += outcome.decided
        merged.retries += outcome.retries
        merged.dead += outcome.dead
        merged.attempts += outcome.attempts
        merged.gone += outcome.gone
        merged.held += outcome.held
        merged.had_success = merged.had_success or outcome.had_success
        merged.last_failure = outcome.last_failure or merged.last_failure
        for word, count in outcome.attempt_counts.items():
            merged.attempt_counts[word] = merged.attempt_counts.get(word, 0) + count
    return merged


def storable(text: str, limit: int = 100) -> str:
    """A text from outside as PostgreSQL takes it: no NUL, no lone surrogates, cut."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:limit]


HEAD = """
WITH mine AS (
    UPDATE delivery_pipeline SET
        cursor_epoch = coalesce(%(epoch)s, cursor_epoch), cursor_xid = coalesce(%(xid)s, cursor_xid),
        cursor_seq = coalesce(%(seq)s, cursor_seq),
        lease_until = now() + make_interval(secs => %(lease)s), next_run_at = now() + make_interval(secs => %(lease)s),
        last_success_at = CASE WHEN %(had_success)s THEN now() ELSE last_success_at END,
        last_failure_at = CASE WHEN %(failure)s <> '' THEN now() ELSE last_failure_at END,
        last_failure = CASE WHEN %(failure)s <> '' THEN %(failure)s ELSE last_failure END
    WHERE id = %(pipeline)s AND fence = %(fence)s
    RETURNING id, workspace_id, destination_id, replay_id
), batch AS (
    INSERT INTO delivery_batch (seq, seq_min, workspace_id, destination_id, pipeline_id, fence, mappings, event_count,
        delivered, filtered, failed, is_retry, seqs, outcomes, reasons, statuses, durations)
    SELECT %(seq_max)s, %(seq_min)s, workspace_id, destination_id, id, %(fence)s, %(mappings)s, %(event_count)s,
        %(delivered)s, %(filtered)s, %(failed)s, %(is_retry)s, %(seqs)s, %(outcomes)s, %(reasons)s, %(statuses)s,
        %(durations)s
    FROM mine WHERE %(event_count)s > 0
), counted AS (
    INSERT INTO delivery_count AS c (workspace_id, destination_id, source_id, day, delivered, filtered, dead, expired)
    SELECT workspace_id, destination_id, u.source, u.day, u.delivered, u.filtered, u.dead, 0
    FROM mine, unnest(%(c_source)s::uuid[], %(c_day)s::date[], %(c_delivered)s::bigint[], %(c_filtered)s::bigint[],
                      %(c_dead)s::bigint[]) AS u(source, day, delivered, filtered, dead)
    ON CONFLICT (destination_id, source_id, day) DO UPDATE SET delivered = c.delivered + excluded.delivered,
        filtered = c.filtered + excluded.filtered, dead = c.dead + excluded.dead
)"""
ATTEMPTS = """, attempted AS (
    INSERT INTO delivery_attempt (seq, workspace_id, destination_id, mapping_id, delivery_id, message_id, at, attempt,
        outcome, reason, status_code, duration_ms, request, response, worker)
    SELECT u.seq, workspace_id, destination_id, u.mapping, u.delivery, u.message, u.at, u.attempt, u.outcome, u.reason,
        u.status, u.duration, u.request, u.response, %(worker)s
    FROM mine, unnest(%(a_seq)s::bigint[], %(a_mapping)s::uuid[], %(a_delivery)s::text[], %(a_message)s::text[],
        %(a_at)s::timestamptz[], %(a_attempt)s::int[], %(a_outcome)s::text[], %(a_reason)s::text[],
        %(a_status)s::smallint[], %(a_duration)s::int[], %(a_request)s::text[], %(a_response)s::text[])
        AS u(seq, mapping, delivery, message, at, attempt, outcome, reason, status, duration, request, response)
)"""
FAILURES = """, added AS (
    INSERT INTO delivery_retry (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day,
        user_key, state, attempts, first_at, next_run_at, reason, status_code, batch_key, job_id, job_index, job_size,
        job_until)
    SELECT workspace_id, destination_id, id, u.mapping, u.source, u.seq, u.xid, u.day, u.user_key, u.state, u.attempts,
        now(), now() + make_interval(secs => u.delay), u.reason, u.status, u.batch, u.job, u.place, u.size,
        now() + make_interval(secs => u.job_wait)
    FROM mine, unnest(%(r_mapping)s::uuid[], %(r_source)s::uuid[], %(r_seq)s::bigint[], %(r_xid)s::bigint[],
        %(r_day)s::date[], %(r_user)s::bigint[], %(r_state)s::text[], %(r_attempts)s::int[], %(r_delay)s::float8[],
        %(r_reason)s::text[], %(r_status)s::smallint[], %(r_batch)s::text[], %(r_job)s::text[], %(r_place)s::int[],
        %(r_size)s::int[], %(r_job_wait)s::float8[])
        AS u(mapping, source, seq, xid, day, user_key, state, attempts, delay, reason, status, batch, job, place, size,
             job_wait)
    RETURNING id, seq, mapping_id
), changed AS (
    UPDATE delivery_retry r SET mapping_id = u.mapping, state = u.state, attempts = u.attempts, reason = u.reason,
        next_run_at = now() + make_interval(secs => u.delay), status_code = u.status, batch_key = u.batch,
        job_id = u.job, job_index = u.place, job_size = u.size,
        job_until = CASE WHEN u.job = '' OR u.job_wait IS NOT NULL THEN now() + make_interval(secs => u.job_wait)
            ELSE r.job_until END
    FROM mine, unnest(%(x_id)s::bigint[], %(x_mapping)s::uuid[], %(x_state)s::text[], %(x_attempts)s::int[],
        %(x_delay)s::float8[], %(x_reason)s::text[], %(x_status)s::smallint[], %(x_batch)s::text[], %(x_job)s::text[],
        %(x_place)s::int[], %(x_size)s::int[], %(x_job_wait)s::float8[])
        AS u(id, mapping, state, attempts, delay, reason, status, batch, job, place, size, job_wait)
    WHERE r.id = u.id AND r.pipeline_id = mine.id
), gone AS (
    DELETE FROM delivery_retry r USING mine WHERE r.id = ANY(%(gone)s::bigint[]) AND r.pipeline_id = mine.id
), buried AS (
    INSERT INTO delivery_dead (workspace_id, destination_id, pipeline_id, mapping_id, source_id, seq, xid, day,
        user_key, message_id, reason, status_code, message, signature, attempts, first_at, at)
    SELECT workspace_id, destination_id, id, u.mapping, u.source, u.seq, u.xid, u.day, u.user_key, u.message_id,
        u.reason, u.status, u.message, u.signature, u.attempts, u.first_at, now()
    FROM mine, unnest(%(d_mapping)s::uuid[], %(d_source)s::uuid[], %(d_seq)s::bigint[], %(d_xid)s::bigint[],
        %(d_day)s::date[], %(d_user)s::bigint[], %(d_message_id)s::text[], %(d_reason)s::text[],
        %(d_status)s::smallint[], %(d_message)s::text[], %(d_signature)s::text[], %(d_attempts)s::int[],
        %(d_first)s::timestamptz[])
        AS u(mapping, source, seq, xid, day, user_key, message_id, reason, status, message, signature, attempts,
             first_at)
)"""
TAIL = " SELECT count(*) FROM mine"
TAIL_WITH_ROWS = """
SELECT (SELECT count(*) FROM mine), (SELECT json_agg(json_build_array(id, seq, mapping_id)) FROM added)
"""


def commit(
    connection: Connection[Row], lease: Lease, outcome: ChunkOutcome, mappings: dict[str, object], worker: str
) -> bool:
    """Write the outcome under the lease's fence. False when another holds the pipeline now: nothing was written."""
    statement, values = HEAD, _head_values(lease, outcome, mappings)
    if lease.kind == "replay":
        statement += books.REPLAYED
        values |= books.values_of(outcome)
    if outcome.attempts:
        statement += ATTEMPTS
        values |= _attempt_values(outcome.attempts) | {"worker": worker}
    if outcome.retries or outcome.gone or outcome.dead:
        statement += FAILURES
        values |= _retry_values(outcome.retries) | _dead_values(outcome.dead) | {"gone": outcome.gone}
    needs_rows = bool(outcome.held and outcome.retries)
    sent = {name: literal(value) if isinstance(value, list) else value for name, value in values.items()}
    row = connection.execute(statement + (TAIL_WITH_ROWS if needs_rows else TAIL), sent).fetchone()
    if not row or not row[0]:
        metrics.fenced.inc()
        return False
    if needs_rows:
        _note_rows(outcome.retries, row[1])
    if outcome.position is not None:
        lease.position = outcome.position
    for word, count in outcome.attempt_counts.items():
        metrics.delivery_attempts.labels(word).inc(count)
    for draft in outcome.dead:
        metrics.dead.labels(draft.reason).inc()
    filtered.count(item.reason for item in outcome.decided if item.status is Status.FILTERED)
    return True


def _note_rows(drafts: list[RetryDraft], added: Any) -> None:
    """Tell the drafts which rows they have become."""
    ids = {(seq, mapping_id): row_id for row_id, seq, mapping_id in added or ()}
    for draft in drafts:
        if draft.retry_id is None:
            draft.retry_id = ids.get((draft.row.seq, draft.mapping_id and str(draft.mapping_id)))


def _head_values(lease: Lease, outcome: ChunkOutcome, mappings: dict[str, object]) -> dict[str, object]:
    is_live, position = lease.kind == "live", outcome.position
    decided = outcome.decided if is_live else [item for item in outcome.decided if item.reason != decide.NOT_CHOSEN]
    seqs = [item.row.seq for item in decided]
    reasons = list(dict.fromkeys(item.reason for item in decided))
    places = {reason: place for place, reason in enumerate(reasons)}
    tally = Counter(item.status for item in decided)
    return {
        "pipeline": lease.pipeline_id,
        "fence": lease.fence,
        "lease": LEASE_SECONDS,
        "epoch": position.epoch if position else None,
        "xid": position.xid if position else None,
        "seq": position.seq if position else None,
        "had_success": outcome.had_success,
        "failure": storable(outcome.last_failure, 300),
        "seq_max": max(seqs, default=0),
        "seq_min": min(seqs, default=0),
        "event_count": len(seqs),
        "mappings": Jsonb({**mappings, "reasons": [storable(reason) for reason in reasons]}),
        "is_retry": outcome.is_retry,
        "delivered": tally[Status.DELIVERED],
        "filtered": tally[Status.FILTERED],
        "failed": len(seqs) - tally[Status.DELIVERED] - tally[Status.FILTERED],
        "seqs": array("q", seqs).tobytes(),
        "outcomes": bytes([item.status for item in decided]),
        "reasons": bytes([min(places[item.reason], 255) for item in decided] if len(reasons) > 1 else len(decided)),
        "statuses": array("h", [item.status_code for item in decided]).tobytes(),
        "durations": array("h", [min(int(item.duration_ms), MAX_SMALL) for item in decided]).tobytes(),
        **_count_values(decided if is_live else []),
    }


def _count_values(decided: list[Decided]) -> dict[str, object]:
    """The books' part: events that ended, by source and day of acceptance, in a fixed order against deadlocks."""
    ended: defaultdict[tuple[UUID, date], Counter[Status]] = defaultdict(Counter)
    at, source = None, None
    for item in decided:
        row = item.row
        if row.received_at != at or row.source_id != source:  # events of one request share both
            at, source = row.received_at, row.source_id
            counter = ended[source, at.date()]
        counter[item.status] += 1
    keys = sorted((key for key, counter in ended.items() if not OPEN.issuperset(counter)), key=str)
    return {
        "c_source": [source for source, _ in keys],
        "c_day": [day for _, day in keys],
        "c_delivered": [ended[key][Status.DELIVERED] for key in keys],
        "c_filtered": [ended[key][Status.FILTERED] for key in keys],
        "c_dead": [ended[key][Status.DEAD] for key in keys],
    }


def _attempt_values(drafts: list[AttemptDraft]) -> dict[str, object]:
    return {
        "a_seq": [draft.row.seq for draft in drafts],
        "a_mapping": [draft.mapping_id for draft in drafts],
        "a_delivery": [draft.delivery_id for draft in drafts],
        "a_message": [draft.row.message_id for draft in drafts],
        "a_at": [draft.at for draft in drafts],
        "a_attempt": [draft.attempt for draft in drafts],
        "a_outcome": [draft.outcome for draft in drafts],
        "a_reason": [storable(draft.reason) for draft in drafts],
        "a_status": [draft.status_code for draft in drafts],
        "a_duration": [int(draft.duration_ms) for draft in drafts],
        "a_request": [draft.request for draft in drafts],
        "a_response": [draft.response for draft in drafts],
    }


def _retry_values(drafts: list[RetryDraft]) -> dict[str, object]:
    added = [draft for draft in drafts if draft.retry_id is None]
    changed = [draft for draft in drafts if draft.retry_id is not None]
    return {
        **_row_values("r", added),
        "r_state": [draft.state for draft in added],
        "r_attempts": [draft.attempts for draft in added],
        "r_delay": [draft.delay for draft in added],
        "r_reason": [storable(draft.reason) for draft in added],
        "r_status": [draft.status_code for draft in added],
        "r_batch": [storable(draft.batch_key) for draft in added],
        **remote.columns("r", [draft.job for draft in added]),
        "x_id": [draft.retry_id for draft in changed],
        "x_mapping": [draft.mapping_id for draft in changed],
        "x_state": [draft.state for draft in changed],
        "x_attempts": [draft.attempts for draft in changed],
        "x_delay": [draft.delay for draft in changed],
        "x_reason": [storable(draft.reason) for draft in changed],
        "x_status": [draft.status_code for draft in changed],
        "x_batch": [storable(draft.batch_key) for draft in changed],
        **remote.columns("x", [draft.job for draft in changed]),
    }


def _dead_values(drafts: list[DeadDraft]) -> dict[str, object]:
    return {
        **_row_values("d", drafts),
        "d_message_id": [draft.row.message_id for draft in drafts],
        "d_reason": [storable(draft.reason) for draft in drafts],
        "d_status": [draft.status_code for draft in drafts],
        "d_message": [storable(draft.message, 500) for draft in drafts],
        "d_signature": [
            storable(signature_of(draft.reason, draft.status_code, draft.message), LONGEST_SIGNATURE)
            for draft in drafts
        ],
        "d_attempts": [draft.attempts for draft in drafts],
        "d_first": [draft.first_at for draft in drafts],
    }


def _row_values(prefix: str, drafts: list[RetryDraft] | list[DeadDraft]) -> dict[str, object]:
    """The columns that every row about an event has."""
    return {
        f"{prefix}_mapping": [draft.mapping_id for draft in drafts],
        f"{prefix}_source": [draft.row.source_id for draft in drafts],
        f"{prefix}_seq": [draft.row.seq for draft in drafts],
        f"{prefix}_xid": [draft.row.xid for draft in drafts],
        f"{prefix}_day": [draft.row.received_at.date() for draft in drafts],
        f"{prefix}_user": [draft.row.user_key for draft in drafts],
    }
