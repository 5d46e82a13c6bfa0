"""What people do to failures: retry, discard, retry now; of single rows or of all that match.

Few are done at once, in the transaction of the request. Many become a job for each destination, so that one that is
down holds up the repair of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection as django_connection
from django.db import transaction

from hub.delivery.models import DeadLetter, RetryRow
from hub.delivery.repair import moving
from hub.delivery.repair.selection import Selection
from hub.jobs import services as jobs
from hub.jobs.models import Job
from hub.lib.postgres import PgConnection
from tenants.auditing import Actor, record
from tenants.models import Destination

AT_ONCE = 100


class NotOn(Exception):
    """The destination is off or deleted, so trying again would deliver nothing."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One act: its name in the audit trail, its kind of job, what it is about, and how it is done to a few."""

    action: str
    kind: str
    what: str
    do: Callable[[PgConnection, UUID, Sequence[int]], int]


RETRY = Verb("dead_letter.retried", "repair.retry", "letters", moving.revive)
DISCARD = Verb("dead_letter.discarded", "repair.discard", "letters", moving.discard)
RETRY_NOW = Verb("delivery.retried", "repair.retry_now", "rows", moving.hasten)
VERBS = {"retry": RETRY, "discard": DISCARD, "retry-now": RETRY_NOW}


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows an act has changed, of how many; those not yet are the jobs' to do."""

    changed: int
    asked: int
    jobs: tuple[Job, ...] = ()


def retry(letters: Iterable[DeadLetter], actor: Actor, reason: str) -> Done:
    """Put these dead letters back to waiting; they are tried at once and for the full time again."""
    return act(RETRY, selections_of(letters), actor, reason)


def discard(letters: Iterable[DeadLetter], actor: Actor, reason: str) -> Done:
    """Mark these dead letters as seen to; they stay dead in the books."""
    return act(DISCARD, selections_of(letters), actor, reason)


def selections_of(rows: Iterable[DeadLetter] | Iterable[RetryRow]) -> list[Selection]:
    """Single rows as selections, one for each destination."""
    found: dict[tuple[UUID, UUID], list[int]] = {}
    for row in rows:
        found.setdefault((row.workspace_id, row.destination_id), []).append(row.pk)
    return [Selection(*owner, ids=tuple(sorted(ids))) for owner, ids in found.items()]


@transaction.atomic
def act(verb: Verb, selections: Sequence[Selection], actor: Actor, reason: str) -> Done:
    """Do it to all that the selections find: at once when they are few, else by jobs.

    Raises `NotOn` when that would only turn what is dead or waiting into filtered.
    """
    connection = current_connection()
    found = [each.count(connection, verb.what) for each in selections]
    found = [(count, selection) for count, selection in found if count]
    if verb is not DISCARD:
        _require_on([selection for _, selection in found])
    asked = sum(count for count, _ in found)
    if asked > AT_ONCE:
        return Done(0, asked, tuple(_start(verb, selection, count, actor, reason) for count, selection in found))
    changed = sum(_at_once(connection, verb, selection, count, actor, reason) for count, selection in found)
    return Done(changed, asked)


def _require_on(selections: Sequence[Selection]) -> None:
    off = Destination.unscoped.filter(pk__in=[each.destination_id for each in selections])
    for destination in off.exclude(is_enabled=True, deleted_at=None):
        word = "switched off" if destination.deleted_at is None else "deleted"
        raise NotOn(f"The destination {destination.slug} is {word}: what is tried there now would end as filtered.")


def current_connection() -> PgConnection:
    """The connection of Django's transaction, as the data plane's statements want it."""
    django_connection.ensure_connection()
    raw: Any = django_connection.connection
    return raw  # type: ignore[no-any-return]


def _at_once(connection: PgConnection, verb: Verb, selection: Selection, count: int, actor: Actor, reason: str) -> int:
    if verb.what == "rows":
        rows = selection.rows(connection, 0, count)
    else:
        rows = [(letter.id, letter.pipeline_id) for letter in selection.letters(connection, (-1, -1), count)]
    changed = verb.do(connection, selection.destination_id, [row_id for row_id, _ in rows])
    if verb is not DISCARD:
        transaction.on_commit(moving.hint(pipeline_id for _, pipeline_id in rows))
    _audit(verb, selection, actor, {"reason": reason, "asked": count, "changed": changed})
    return changed


def _start(verb: Verb, selection: Selection, count: int, actor: Actor, reason: str) -> Job:
    job = jobs.start(verb.kind, selection.workspace_id, selection.arguments(), actor, reason, count)
    _audit(verb, selection, actor, {"reason": reason, "asked": count, "job": str(job.pk)})
    return job


def _audit(verb: Verb, selection: Selection, actor: Actor, notes: dict[str, Any]) -> None:
    """One entry for the destination that the rows belong to."""
    destination = Destination.unscoped.filter(pk=selection.destination_id).first()
    if destination is not None:
        record(actor, verb.action, destination, label=destination.slug, notes={**notes, "which": selection.in_words()})
