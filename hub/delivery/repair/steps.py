"""Repair as jobs: each step is one short transaction, and the next waits while much that was put back is still due.

So a hundred thousand dead letters never become as many retry rows at once: the pipeline takes them as fast as it can,
fresh events keep their share, and nothing piles up when the destination is down again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from hub.delivery.repair import moving
from hub.delivery.repair.selection import Letter, Selection
from hub.jobs.errors import StepFailed
from hub.jobs.kinds import JobState, Progress
from hub.lib.postgres import PgConnection

STEP = 1_000
LEAST_STEP = 100
# As many rows may be due at the destination: some seconds' work of a quick one.
MOST_DUE = 2_000
# At an ordered destination more may wait behind them, each user's in a line.
MOST_PARKED = 10_000
# Half of how many events of one user may wait at an ordered destination before the oldest is given up.
MOST_OF_USER = 100
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 10.0
DESTINATION = """
SELECT slug, ordering = 'per_user', status, is_enabled, deleted_at IS NOT NULL FROM tenants_destination WHERE id = %s
"""
BEFORE_ALL = (-1, -1)


class RetryLetters:
    """Dead letters of a selection go back to waiting, in the order of the log."""

    title = "Retry dead letters"

    def step(self, job: JobState, connection: PgConnection) -> Progress:
        """Put back as many as there is room for, or wait for room."""
        selection = Selection.of(job.arguments)
        slug, is_ordered, status = _destination(connection, selection)
        due, parked = moving.open_rows(connection, selection.destination_id, MOST_DUE + MOST_PARKED)
        room = min(MOST_DUE - due, MOST_PARKED - parked)
        if room < LEAST_STEP:
            return _wait(job, slug, status)
        place = _place(job.cursor)
        letters = selection.letters(connection, place, min(room, STEP))
        if not letters:
            return Progress(job.cursor, is_over=True)
        chosen = within_users_room(connection, selection, letters) if is_ordered else letters
        if not chosen:
            return _wait(job, slug, status)
        changed = moving.revive(connection, selection.destination_id, [letter.id for letter in chosen])
        return Progress(
            cursor=_cursor(chosen),
            done=len(chosen),
            changed=changed,
            after=moving.hint(letter.pipeline_id for letter in chosen),
        )


class DiscardLetters:
    """Dead letters of a selection are marked as seen to."""

    title = "Discard dead letters"

    def step(self, job: JobState, connection: PgConnection) -> Progress:
        """Mark the next ones."""
        selection, place = Selection.of(job.arguments), _place(job.cursor)
        letters = selection.letters(connection, place, STEP)
        if not letters:
            return Progress(job.cursor, is_over=True)
        changed = moving.discard(connection, selection.destination_id, [letter.id for letter in letters])
        return Progress(_cursor(letters), len(letters), changed)


class HastenRows:
    """Rows that wait for their next try become due."""

    title = "Retry now"

    def step(self, job: JobState, connection: PgConnection) -> Progress:
        """Make the next ones due."""
        selection, after = Selection.of(job.arguments), int(job.cursor.get("id", 0))
        rows = selection.rows(connection, after, STEP)
        if not rows:
            return Progress(job.cursor, is_over=True)
        changed = moving.hasten(connection, selection.destination_id, [row_id for row_id, _ in rows])
        return Progress(
            cursor={"id": rows[-1][0]},
            done=len(rows),
            changed=changed,
            after=moving.hint(pipeline_id for _, pipeline_id in rows),
        )


def within_users_room(connection: PgConnection, selection: Selection, letters: Sequence[Letter]) -> list[Letter]:
    """The first letters, up to the one whose user has enough rows already: those behind it must not overtake it."""
    users = (letter.user_key for letter in letters)
    held = moving.rows_of_users(connection, selection.destination_id, users) if letters else {}

    def fits(letter: Letter) -> bool:
        held[letter.user_key] = held.get(letter.user_key, 0) + 1
        return held[letter.user_key] <= MOST_OF_USER

    chosen = list(takewhile(fits, letters))
    cut = letters[len(chosen)].seq if len(chosen) < len(letters) else None
    return [letter for letter in chosen if letter.seq != cut]


def _destination(connection: PgConnection, selection: Selection) -> tuple[str, bool, str]:
    row = connection.execute(DESTINATION, [selection.destination_id]).fetchone()
    if row is None or row[4]:
        raise StepFailed("The destination was deleted; its dead letters stay as they are.")
    if not row[3]:
        raise StepFailed("The destination was switched off; its dead letters stay as they are.")
    return str(row[0]), bool(row[1]), str(row[2])


def _wait(job: JobState, slug: str, status: str) -> Progress:
    """No room. The longer that lasts, the less often it is looked at."""
    waits = int(job.cursor.get("waits", 0))
    note = f"Waits until {slug} has taken more of what was put back; about {MOST_DUE:,} deliveries are due there."
    return Progress(
        cursor={**job.cursor, "waits": waits + 1},
        wait_seconds=min(FIRST_WAIT_SECONDS * 2 ** min(waits, 10), LONGEST_WAIT_SECONDS),
        note=note if status == "active" else f"Waits: {slug} is {status}.",
    )


def _place(cursor: Mapping[str, int]) -> tuple[int, int]:
    return (cursor["xid"], cursor["seq"]) if "seq" in cursor else BEFORE_ALL


def _cursor(letters: Sequence[Letter]) -> dict[str, int]:
    return {"xid": letters[-1].xid, "seq": letters[-1].seq}
